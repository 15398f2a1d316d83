"""Grammar files: what the shipped ones hold, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.errors import GrammarError, InputError
from symact.program.loading import load_grammar, parse_grammar, shipped

AQUASURF = [
    "zero",
    "one",
    "identity",
    "negative",
    "abs",
    "reciprocal",
    "square",
    "exp",
    "erf",
    "erfc",
    "sinh",
    "cosh",
    "tanh",
    "expm1",
    "sigmoid",
    "log_sigmoid",
    "arcsinh",
    "arctan",
    "bessel_i0e",
    "bessel_i1e",
    "relu",
    "elu",
    "selu",
    "swish",
    "softplus",
    "softsign",
    "hard_sigmoid",
]
OPERATORS = {
    "aquasurf": (AQUASURF, "add sub mul div pow max min", "sum_n prod_n max_n min_n"),
    "pangaea": ([*AQUASURF, "scale"], "add sub mul div pow max min", ""),
    "bansal": (["relu", "tanh", "sin"], "", ""),
    "first": (
        ["identity", "negative", "square", "relu", "elu", "sigmoid", "tanh", "softplus", "sin", "gauss"],
        "add sub mul max",
        "",
    ),
    "ramachandran": (
        [
            "identity",
            "negative",
            "abs",
            "square",
            "cube",
            "sqrt",
            "scale",
            "shift",
            "log_abs",
            "exp",
            "sin",
            "cos",
            "sinh",
            "cosh",
            "tanh",
            "asinh",
            "atan",
            "sinc",
            "relu",
            "min_zero",
            "sigmoid",
            "softplus",
            "gauss",
            "erf",
            "beta",
        ],
        "add mul sub div max min gate rbf laplace blend",
        "",
    ),
}


# Grammars of no paper's search space, whose operators are pinned by no paper; `atlas` is made from a table of its own.
OURS = ("atlas", "gates", "inr", "modern", "norms", "pinn")


@pytest.mark.parametrize("name", list(OPERATORS))
def test_a_shipped_grammar_has_exactly_its_operators(name: str) -> None:
    grammar = load_grammar(name)
    unary, binary, nary = OPERATORS[name]
    assert [o.name for o in grammar.of_kind("unary")] == unary
    assert [o.name for o in grammar.of_kind("binary")] == binary.split()
    assert [o.name for o in grammar.of_kind("nary")] == nary.split()
    assert grammar.name == name
    assert set(shipped()) == {*OPERATORS, *OURS}


def test_parameters_constants_and_intervals_of_the_shipped_grammars() -> None:
    ramachandran = load_grammar("ramachandran")
    assert ramachandran.parameters["beta"].init == 1.0
    assert ramachandran.parameters["beta"].share
    assert ramachandran.constants == {"eps": sympy.Rational(1, 10**7)}
    assert [p.name for p in ramachandran.operators["blend"].parameters] == ["beta"]
    assert ramachandran.operators["beta"].total
    assert not ramachandran.operators["scale"].total
    assert load_grammar("aquasurf").interval == (-5.0, 5.0)
    assert load_grammar("bansal").interval == (-100.0, 100.0)
    alpha = load_grammar("pangaea").parameters["alpha"]
    assert (alpha.per, alpha.share) == ("channel", False)
    assert load_grammar("first").limits.forbid == {("relu", "relu"), ("negative", "negative"), ("identity", "identity")}


def test_a_grammar_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    grammar = load_grammar("first")
    copy = tmp_path / "mine.toml"
    copy.write_bytes(shipped()["first"].read_bytes())
    assert load_grammar(copy).sha256 == load_grammar(str(copy)).sha256 == grammar.sha256
    assert parse_grammar(grammar.text).operators == grammar.operators
    assert grammar.space().name == "small"
    with pytest.raises(InputError, match="no space 'large'; it has small"):
        grammar.space("large")


ERRORS = [
    ("", "", "the grammar is empty"),
    ('nam = "x"', "1:1: [nam]", "unknown section 'nam'; did you mean 'name'?"),
    ("name = 1", "1:8: [name]", "expected text"),
    ("[unary]\nf = ", "2:5:", "not TOML: Invalid value"),
    ('[unary]\nf = "x"\nf = "x"', "3:8:", "not TOML: Cannot overwrite a value"),
    ('[unary]\nswish = "x*sigmod(x)"', "2:12: [unary.swish]", "unknown function 'sigmod'; did you mean 'sigmoid'?"),
    ('[unary]\nf = "sigmoid(x, x)"', "2:6: [unary.f]", "sigmoid takes 1 argument, got 2"),
    ('[unary]\nf = "a"', "2:6: [unary.f]", "unknown name 'a'; expected x, pi, e"),
    ('[binary]\nf = "a + x"', "2:10: [binary.f]", "unknown name 'x'; expected a and b"),
    ('[unary]\nf = "gamma*x"', "2:6: [unary.f]", "unknown name 'gamma'"),
    ('[unary]\nf = "1 + f(x)"', "2:10: [unary.f]", "recursive: it calls itself"),
    ('[unary]\ng = "x"\nf = "g(x)"', "3:6: [unary.f]", "'g' is an operator of this grammar"),
    ('[unary]\nf = "x"\n[binary]\nf = "a"', "4:1: [binary.f]", "stands under [unary] already"),
    ("[unary]\nf = 3", "2:5: [unary.f]", "expected a formula in x"),
    ("unary = 3", "1:9: [unary]", "expected a section"),
    ('[unary]\n"a b" = "x"', "2:1: [unary.a b]", "is not a name"),
    ('[unary]\nlambda = "x"', "2:1: [unary.lambda]", "reserved"),
    ('[unary]\nf = "1/(x - x)"', "2:5: [unary.f]", "'f' is finite nowhere on [-100, 100]"),
    ('[unary]\nf = "x"\n[nary]\nn = "f"', "4:6: [nary.n]", "'f' is unary"),
    ('[binary]\ng = "a"\n[nary]\nn = "h"', "4:6: [nary.n]", "the name of a binary operator (g); 'h' is not one"),
    ('[unary]\nf = "x"\n[spaces]\ns = []', "4:5: [spaces.s]", "the space is empty"),
    ('[unary]\nf = "x"\n[spaces]\ns = "unary(x)"', "4:5: [spaces.s]", "expected a list of shapes"),
    ('[unary]\nf = "x"\n[spaces]\ns = ["binary(unary(x), x)"]', "4:5: [spaces.s]", "no [binary] section"),
    ('[unary]\nf = "x"\n[spaces]\ns = ["x", "unari(x)"]', "4:12: [spaces.s]", "unknown kind 'unari'"),
    ('[unary]\nf = "x"\n[spaces]\ns = ["tree(x)"]', "4:5: [spaces.s]", "tree(x) needs [limits] max_size"),
    (
        '[unary]\nf = "x"\n[limits]\nforbid = ["f(f)"]\n[spaces]\ns = ["unary(unary(x))"]',
        "6:5: [spaces.s]",
        "forbid leaves nothing",
    ),
    (
        '[unary]\nf = "x"\n[limits]\nmax_depth = 1\n[spaces]\ns = ["unary(unary(x))"]',
        "6:5:",
        "more than [limits] allows",
    ),
    ("[limits]\nmax_depth = 0", "2:13: [limits.max_depth]", "a whole number of operators, 1 or more"),
    ("[limits]\nmax_size = true", "2:12: [limits.max_size]", "a whole number"),
    ("[limits]\nmax = 3", "2:1: [limits.max]", "unknown key 'max'"),
    ('[unary]\nf = "x"\n[limits]\nforbid = ["f(g)"]', "4:14: [limits.forbid]", "unknown operator 'g'"),
    ('[limits]\nforbid = ["f"]', "2:11: [limits.forbid]", "expected outer(inner)"),
    ("[identity]\ninterval = [1, 0]", "2:12: [identity.interval]", "low < high"),
    ("[identity]\ninterval = [1, inf]", "2:16: [identity.interval]", "finite number"),
    ("[identity]\ninterval = [1]", "2:12: [identity.interval]", "two numbers"),
    ("[parameters]\nbeta = 1", "2:8: [parameters.beta]", "expected a table"),
    ("[parameters]\nbeta = { ini = 1 }", "2:10: [parameters.beta.ini]", "did you mean 'init'?"),
    ('[parameters]\nbeta = { per = "net" }', "2:16: [parameters.beta.per]", '"layer" or "channel"'),
    ("[parameters]\nbeta = { positive = 1 }", "2:21: [parameters.beta.positive]", "true or false"),
    ("[parameters]\nbeta = { positive = true, init = 0 }", "2:34: [parameters.beta.init]", "above zero"),
    ("[parameters]\nbeta = { range = [2, 1] }", "2:18: [parameters.beta.range]", "low < high"),
    ("[parameters.b]\ninit = [1]", "1:13: [parameters.b]", "name 'b' is reserved"),
    ("[parameters]\nsin = {}", "2:1: [parameters.sin]", "is the name of a function"),
    ("[parameters]\nc = { share = false }\n[constants]\nc_1 = 2", "4:1: [constants.c_1]", "occurrences of 'c'"),
    ("[parameters]\nc = {}\n[constants]\nc = 2", "4:1: [constants.c]", "is a parameter already"),
    ("[constants]\neps = 'x'", "2:7: [constants.eps]", "a finite number"),
]


@pytest.mark.parametrize(("text", "place", "reason"), ERRORS, ids=[text[:40] for text, _, _ in ERRORS])
def test_a_wrong_grammar_is_told_where_and_what(text: str, place: str, reason: str) -> None:
    with pytest.raises(GrammarError) as error:
        parse_grammar(text, "mine.toml")
    first = str(error.value).splitlines()[0]
    assert first.startswith(f"mine.toml:{place}")
    assert reason in first
    assert error.value.exit_code == 2


def test_the_caret_stands_under_the_offending_part() -> None:
    with pytest.raises(GrammarError) as error:
        parse_grammar('[unary]\nswish = "x*sigmod(x)"  # close\n', "mine.toml")
    assert str(error.value).splitlines() == [
        "mine.toml:2:12: [unary.swish] unknown function 'sigmod'; did you mean 'sigmoid'?",
        '    swish = "x*sigmod(x)"  # close',
        "               ^^^^^^",
    ]


HOSTILE = [
    "(" * 1_000_000,
    "a = " + "[" * 100_000,
    "a = " + "9" * 100_000,
    '[unary]\nf = "' + "(" * 500_000 + '"',
    '[unary]\nf = "' + "sin(" * 5_000 + '"',
    '[unary]\nf = "' + "-" * 10_000 + 'x"',
    '[unary]\nf = "' + "leakyrelu(" * 90 + "x" + ")" * 90 + '"',
    '[unary]\nf = "2**10**10*x"',
    '[binary]\nf = "' + "+".join(["a*b"] * 300) + '"',
    '[unary]\nf = "x"\n[spaces]\ns = ["' + "unary(" * 10_000 + '"]',
    "\0",
    "[unary]\n" + "".join(f'f{i} = "x"\n' for i in range(2_000)),
]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_grammars_are_answered(text: str) -> None:
    message = ""
    try:
        parse_grammar(text)
    except GrammarError as error:
        message = str(error)
    assert len(message) < 1_000


WORDS = st.sampled_from(
    [
        "[unary]\n",
        "[binary]\n",
        "[spaces]\n",
        "[limits]\n",
        "[parameters]\n",
        "[identity]\n",
        "f",
        "beta",
        " = ",
        '"x"',
        '"sin(x)"',
        '"a+b"',
        "[",
        "]",
        "{",
        "}",
        ",",
        '"unary(x)"',
        '"tree(x)"',
        "max_size",
        "interval",
        "init",
        "\n",
        "1",
        "-1e9",
        "true",
        "forbid",
        '"f(f)"',
        "'",
        '"',
        "#",
        "\\",
        "é",
        "\t",
        "..",
        "[[a]]\n",
        "1979-05-27",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=25).map("".join)))
def test_any_text_is_a_grammar_or_a_grammar_error(text: str) -> None:
    try:
        grammar = parse_grammar(text)
    except GrammarError:
        return
    assert grammar.text == text


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="xabn()*+-/., 01e_pisqrtmax<>=where^'\\", max_size=30))
def test_any_formula_of_an_operator_is_accepted_or_a_grammar_error(formula: str) -> None:
    try:
        grammar = parse_grammar(f'[unary]\nf = "{formula}"')
    except GrammarError as error:
        assert str(error).startswith("grammar"), "the message begins with the place"  # noqa: PT017 both ends are allowed
        return
    assert list(grammar.operators) == ["f"]
    assert grammar.operators["f"].kind == "unary"
