"""What is fuzzed: every parser that reads a stranger's text. Shared by run.py and test_parsers.py.

A target takes one text. It returns when the text was read or refused as documented, with an error whose
message is plain text, and raises whatever else happened. What was read must mean the same when it is
written and read again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from symact.backends import torch_source
from symact.errors import InputError
from symact.expr.operators import NO_GRAMMAR
from symact.expr.shape import parse_shape
from symact.expr.space import Space
from symact.expr.tree import from_document, parse, to_document
from symact.program import pipeline
from symact.program.loading import load_grammar, parse_grammar, shipped
from symact.store import Settings, outcomes
from symact.store.rows import Asked, problem
from symact.store.settings import first_problem
from symact.study.feature_cache import stacked, unpack

GRAMMARS = [None, load_grammar("ramachandran"), load_grammar("aquasurf")]


def refuse(message: object) -> None:
    """Check a refusal: one clear line, then at most the caret lines; nothing that a terminal would obey."""
    lines = str(message).split("\n")
    assert lines[0].strip(), "an error without a message"
    assert len(lines) in (1, 3), f"more than a line and a caret: {message!r}"
    assert all(line.isprintable() for line in lines), f"control characters in {message!r}"


def formula(text: str) -> None:
    """An expression, in operators of a grammar or as a formula."""
    for grammar in GRAMMARS:
        try:
            expr = parse(text, grammar)
        except InputError as error:
            refuse(error)
            continue
        assert parse(str(expr), grammar) == expr, "not the same when it is read again"
        document = json.loads(json.dumps(to_document(expr, grammar or NO_GRAMMAR)))
        assert from_document(document, grammar or NO_GRAMMAR) == expr


def lowered(text: str) -> None:
    """A formula on its way to source: `symact compile` without the parts that draw and execute."""
    try:
        torch_source.source(pipeline.lower(parse(text)))
    except InputError as error:
        refuse(error)


def grammar(text: str) -> None:
    """The text of a grammar file."""
    try:
        read = parse_grammar(text)
    except InputError as error:
        refuse(error)
        return
    assert read.text == text
    for space in read.spaces.values():
        assert space.count() >= 0


def shape(text: str) -> None:
    """A shape of a space."""
    try:
        read = parse_shape(text)
    except InputError as error:
        refuse(error)
        return
    assert parse_shape(str(read)) == read


def candidate(text: str) -> None:
    """The JSON document of a candidate, as a store holds it and a worker is sent it."""
    try:
        document = outcomes.load(text)
    except ValueError:
        return
    for grammar_ in GRAMMARS[1:]:
        try:
            read = from_document(document, grammar_)
        except InputError as error:
            refuse(error)
            continue
        again = json.loads(json.dumps(to_document(read, grammar_)))
        if document.get("grammar") is not False:
            assert from_document(again, grammar_) == read


def settings(text: str) -> None:
    """The settings document of a run folder, and what a resume reads out of it before anything else."""
    try:
        made = Settings.model_validate_json(text)
    except ValidationError as error:
        refuse(first_problem(error))
        return
    assert Settings.model_validate_json(made.model_dump_json()) == made
    try:
        vocabulary = parse_grammar(made.grammar)
        Space(vocabulary, made.space, [parse_shape(one) for one in made.shapes])
    except InputError as error:
        refuse(error)


def outcome(text: str) -> None:
    """The outcome that a worker sends or a store holds, the rows beside it, and packed features."""
    try:
        document = outcomes.load(text)
        read = outcomes.from_document(document)
        assert outcomes.from_document(outcomes.to_document(read)) == read
    except ValueError:
        pass
    stacked([unpack(text)])
    try:
        row = Asked(*outcomes.load(text))
    except (ValueError, TypeError):
        return
    assert isinstance(problem([row]), str)


TARGETS: dict[str, Callable[[str], None]] = {
    "formula": formula,
    "lowered": lowered,
    "grammar": grammar,
    "shape": shape,
    "candidate": candidate,
    "settings": settings,
    "outcome": outcome,
}

_OUTCOME = '{"status":"finished","score":0.5,"reason":"","metrics":{"curve":[1,2.5,null]},"constants":[{"beta":1.0}]}'
_FORMULAS = [
    "x*sigmoid(beta*x)",
    "where(x > 0, x, 0.01*x)",
    "max(relu(x),cosh(elu(x)))",
    "-x**2/(1e-7 + abs(x))",
    "where(x < 0 and x != -1 or x >= 2, softplus(x), erf(x)**-0.5)",
    "2**10**10",
    "logcosh(x) - log1p(exp(-abs(x))) + pi*e",
    "where(0 < x <= 1, i0e(x), sinc(x)*atan(x))",
    "neg(div(relu(x),x))",
]


def seeds(name: str) -> list[str]:
    """Texts to begin with."""
    if name in ("formula", "lowered"):
        return _FORMULAS
    if name == "grammar":
        return [Path(path).read_text() for path in shipped().values()] + [_small_grammar()]
    if name == "shape":
        return ["tree(x)", "binary(unary(x), unary(x))", "n-ary(unary(x),unary(unary(x)),x)"]
    if name == "candidate":
        weight = {"name": "alpha", "init": 0.5, "per": "layer", "positive": False, "share": True, "range": [-3.0, 3.0]}
        documents = [{"expressions": [text], "parameters": []} for text in _FORMULAS]
        documents.append({"expressions": ["alpha*x + tanh(x)", "x"], "parameters": [{**weight, "mixture": True}]})
        documents.append({"expressions": ["relu(x)"], "parameters": [], "grammar": False})
        return [json.dumps(document) for document in documents]
    if name == "settings":
        task = {"kind": "name", "name": "digits-deep"}
        made = Settings.build(grammar=_small_grammar(), space="main", shapes=("unary(x)",), task=task, optimizer="rl")
        return [made.model_dump_json(), made.model_copy(update={"budgets": (0.1, 1.0)}).model_dump_json()]
    return [_OUTCOME, '[0,-1,"baseline",1.0,1,null,null,"0",{"expressions":["relu(x)"]}]']


def _small_grammar() -> str:
    return (
        'name = "small"\n[parameters]\nbeta = { init = 1.0, share = false, range = [-1, 1] }\n[constants]\nc = 1e-7\n'
        '[unary]\nf = "beta*x"\n[binary]\nadd = "a + b"\n[nary]\nsum = "add"\n[spaces]\nmain = ["unary(x)"]\n'
        '[identity]\ninterval = [-5, 5]\n[limits]\nmax_depth = 3\nforbid = ["f(f)", "f(...add)"]\n'
        "max_argument_size = { f = 2, add = [1, 2] }\n"
    )


# What a mutation may put in, separated by blanks; `SPECIAL` is put in everywhere.
_WORDS = {
    "formula": """x a b ( ) , + - * / ** . 0 1 2 e pi < > <= >= == != and or not ' [ ] { } : = ^ % ~ @ beta where(
        sigmoid( max( min( exp( log( sqrt( relu( erf( i0e( heaviside( 1e308 1e-400 0x1f 1_0 2**10**10 9999999999
        lambda: __class__ if else (((((((( )))))))) --------""",
    "grammar": """name source [parameters] [constants] [unary] [binary] [nary] [spaces] [identity] [limits] init per
        positive share range interval max_depth max_size max_argument_size forbid true false nan inf "layer" channel
        tree(x) ... [ ] { } = " '
        , . # [[spaces]] \"\"\" 1e400 0x10 1979-05-27 "\\u001b[2J" [a.b] "x" "a+b" beta unary(""",
    "shape": "x unary binary nary n-ary tree ( ) ,",
    "candidate": """{ } [ ] : , null true false NaN 1e400 -0 "expressions" "parameters" "grammar" "name" "init" "range"
        "per" "x" "\\u001b[2J" "\\ud800" """,
    "settings": """{ } [ ] : , null true NaN 1e400 -1 "grammar" "shapes" "task" "kind" "file" "text" "sha256" "budgets"
        "memory" "../../etc/passwd" "\\u001b[2J" """,
    "outcome": """{ } [ ] : , null true NaN 1e400 "status" "score" "nonfinite" "metrics" "constants" eJw= "\\ud800" """,
}
_WORDS["lowered"] = _WORDS["formula"]
SPECIAL = ["\n", "\t", " ", "\\", "é", "\u202e", "\x1b[31m", "9" * 400, "(" * 150, "[" * 2000]
WORDS = {name: [*words.split(), *SPECIAL] for name, words in _WORDS.items()}
