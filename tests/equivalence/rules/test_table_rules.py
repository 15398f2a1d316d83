"""Rules that identify rows at sight: each is listed, and gives what evaluation and comparison would give."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from symact.equivalence import enumerate_classes
from symact.equivalence.engine.classes import ClassBuilder
from symact.equivalence.rules import table_rules
from symact.equivalence.rules.rules import RULES
from symact.program.loading import parse_grammar

UNARY = """
zero = "0"
one = "1"
identity = "x"
negative = "-x"
reciprocal = "1/x"
abs = "abs(x)"
relu = "relu(x)"
elu = "elu(x)"
exp = "exp(x)"
fall = "-cosh(x)"
square = "x**2"
i0e = "i0e(x)"
sqrt = "sqrt(x)"
log = "log(x)"
"""
GRAMMAR = f"""
name = "rules"
[unary]
{UNARY}
[binary]
add = "a + b"
sub = "a - b"
mul = "a*b"
div = "a/b"
pow = "a**b"
max = "max(a, b)"
min = "min(a, b)"
[nary]
sum_n = "add"
[spaces]
pairs = ["binary(unary(unary(x)), unary(x))"]
chains = ["unary(unary(unary(x)))"]
sums = ["nary(unary(x), unary(x), unary(x))"]
[identity]
interval = [-5, 5]
"""


def test_every_rule_is_listed() -> None:
    listed = {rule.name for rule in RULES}
    tables = (table_rules.NEUTRAL, table_rules.CONSTANT, table_rules.ORDERED)
    named = {row.rule for table in tables for row in table}
    named |= {*table_rules.IDEMPOTENT.values(), *table_rules.KEEPING.values()}
    named |= {rule for rule, _, _ in table_rules.INVERSE.values()}
    assert named <= listed


@pytest.mark.parametrize("space", ["pairs", "chains", "sums"])
def test_classes_are_those_without_the_rules(space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grammar = parse_grammar(GRAMMAR)
    with_rules = enumerate_classes(grammar, space)
    monkeypatch.setattr(table_rules.TableRules, "terms", lambda self, number, arguments: np.full(len(arguments), -1))
    monkeypatch.setattr(
        table_rules.TableRules,
        "applications",
        lambda self, number, arguments: [(number, arguments, np.arange(len(arguments)))],
    )
    without = enumerate_classes(grammar, space)
    assert with_rules["class_id"].equals(without["class_id"])
    assert with_rules["domain"].to_pylist() == without["domain"].to_pylist()


def _column(table: pa.Table, name: str) -> dict[str, object]:
    return dict(zip(table["expression"].to_pylist(), table[name].to_pylist(), strict=True))


def test_what_rules_identify_is_proved() -> None:
    grammar = parse_grammar(
        """
        name = "signs"
        [unary]
        identity = "x"
        negative = "-x"
        reciprocal = "1/x"
        size = "abs(x)"
        bell = "i0e(x)"
        [binary]
        sub = "a - b"
        add = "a + b"
        div = "a/b"
        mul = "a*b"
        [spaces]
        pairs = ["binary(unary(x), unary(x))"]
        """
    )
    table = enumerate_classes(grammar, "pairs")
    classes, evidence = _column(table, "class_id"), _column(table, "evidence")
    for first, second in (
        ("sub(bell(x),negative(x))", "add(identity(x),bell(x))"),
        ("div(bell(x),reciprocal(x))", "mul(bell(x),identity(x))"),
        ("mul(negative(x),negative(x))", "mul(identity(x),identity(x))"),
    ):
        assert classes[first] == classes[second]
        assert evidence[first] == "proved" or first == "mul(negative(x),negative(x))"
    # |x|*|x| is x*x by no rule of this table.
    assert evidence["mul(identity(x),identity(x))"] != "proved"


@pytest.mark.parametrize(
    "text",
    [
        "div(relu(identity(x)),relu(x))",
        "sub(log(identity(x)),log(x))",
        "mul(zero(identity(x)),log(x))",
        "pow(one(identity(x)),log(x))",
        "max(log(identity(x)),fall(x))",
    ],
)
def test_guards_keep_the_domain(text: str) -> None:
    assert _column(enumerate_classes(parse_grammar(GRAMMAR), "pairs"), "domain")[text] == "partly"


def test_what_is_defined_everywhere_cancels() -> None:
    classes = _column(enumerate_classes(parse_grammar(GRAMMAR), "pairs"), "class_id")
    assert classes["sub(exp(identity(x)),exp(x))"] == classes["mul(zero(identity(x)),identity(x))"]
    assert classes["max(exp(identity(x)),fall(x))"] == classes["mul(exp(identity(x)),one(x))"]


def test_symbols_that_compute_the_same_are_one() -> None:
    grammar = parse_grammar(GRAMMAR)
    builder = ClassBuilder(grammar.interval)
    add, total = (builder.graph.symbol(o) for o in (grammar.of_kind("binary")[0], grammar.of_kind("nary")[0]))
    ((number, arguments, _),) = builder.rules.applications(total, np.array([[0, 0]]))
    assert number == add
    assert arguments.tolist() == [[0, 0]]
