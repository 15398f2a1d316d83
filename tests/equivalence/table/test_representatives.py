"""Which member of a class stands for it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from symact.equivalence import enumerate_classes
from symact.equivalence.engine.classes import ClassBuilder
from symact.equivalence.table.enumeration import ShapeEnumerator
from symact.equivalence.table.representatives import way_of_computing
from symact.expr.grammar import Grammar
from symact.program.loading import parse_grammar

TEXT = """
name = "ways"
[unary]
zero = "0"
identity = "x"
reciprocal = "1/x"
relu = "relu(x)"
square = "x**2"
swish = "swish(x)"
[binary]
add = "a + b"
sub = "a - b"
div = "a/b"
[nary]
sum_n = "add"
[spaces]
pairs = ["binary(unary(x), unary(x))"]
sums = ["nary(unary(x), unary(x), unary(x))"]
deep = ["unary(unary(unary(unary(x))))", "unary(binary(unary(x), unary(x)))"]
[identity]
interval = [-5, 5]
"""


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return parse_grammar(TEXT)


def _ways(grammar: Grammar, space: str) -> dict[str, int]:
    (shape,) = grammar.space(space).shapes
    found = way_of_computing(ShapeEnumerator(grammar, ClassBuilder(grammar.interval, certify=False)), shape)
    texts = [str(expression) for expression in grammar.space(space)]
    kinds = ["nary" if space == "sums" else "binary", *["unary"] * (3 if space == "sums" else 2)]
    counts = [len(grammar.of_kind(kind)) for kind in kinds]
    assert len(found) == np.prod(counts)
    return dict(zip(texts, found.tolist(), strict=True))


def test_what_rounds_alike_is_computed_in_one_way(grammar: Grammar) -> None:
    ways = _ways(grammar, "pairs")
    assert ways["add(square(x),relu(x))"] == ways["add(relu(x),square(x))"]
    assert ways["sub(square(x),zero(x))"] != ways["sub(zero(x),square(x))"]
    distinct = {("add", frozenset(pair)) for pair in itertools.combinations_with_replacement(range(6), 2)}
    assert len(set(ways.values())) == len(distinct) + 2 * 36


def test_sums_are_folded_from_the_left(grammar: Grammar) -> None:
    ways = _ways(grammar, "sums")
    assert ways["sum_n(square(x),relu(x),swish(x))"] == ways["sum_n(relu(x),square(x),swish(x))"]
    assert ways["sum_n(square(x),relu(x),swish(x))"] != ways["sum_n(square(x),swish(x),relu(x))"]


def test_of_members_whose_arguments_were_found_equal_the_most_accurate_is_chosen(grammar: Grammar) -> None:
    table = enumerate_classes(grammar, "deep")
    chosen = table.filter(table["representative"])["expression"].to_pylist()
    # In float32 1/relu(x)**2 is infinite left of zero, where the function is not defined, and swish keeps that.
    assert "swish(div(reciprocal(x),relu(x)))" in chosen
    assert "swish(reciprocal(square(relu(x))))" not in chosen
