"""What differs only within a formula, by less than float64 shows outside of it, is told apart."""

from __future__ import annotations

import itertools

import pytest

from symact.equivalence import FunctionIndex, enumerate_classes
from symact.equivalence.terms import FunctionSymbol
from symact.expr.grammar import Grammar
from symact.expr.tree import parse
from symact.program.loading import parse_grammar

# Two functions that are nearly one: they differ by 9e-12 at most, on [7, 10] or nowhere near a sample point.
NEARLY = {
    "capped": ("min(gelu(x), 7)", "gelu(min(x, 7))"),
    "of two inputs": ("min(gelu(x), 7) + 0*g", "gelu(min(x, 7)) + 0*g"),
}
AROUND = ("sigmoid({})*x", "x*tanh({})", "x*sigmoid({})**2", "x*erf({})", "exp(-({})**2) + x", "x - x*sigmoid(-({}))")


def grammar(unary: str = 'id = "x"', inputs: str = "x") -> Grammar:
    quoted = ", ".join(f'"{name}"' for name in inputs)
    return parse_grammar(
        f"inputs = [{quoted}]\n[unary]\n{unary}\n[spaces]\nall = ['unary(x)']\n[identity]\ninterval = [-10, 10]"
    )


@pytest.mark.parametrize(("pair", "around"), list(itertools.product(NEARLY, AROUND)))
def test_whole_formulas_are_compared_where_their_parts_differ(pair: str, around: str):
    index = FunctionIndex(grammar(inputs="xg" if pair == "of two inputs" else "x"))
    first, second = (index.add(parse(around.format(part))) for part in NEARLY[pair])
    assert first != second


@pytest.mark.parametrize("around", AROUND)
def test_so_are_operators_of_a_grammar(around: str):
    first, second = (around.format(part) for part in NEARLY["capped"])
    own = grammar(f'f = "{first}"\nh = "{second}"')
    assert len(set(enumerate_classes(own)["class_id"].to_pylist())) == 2


@pytest.mark.parametrize("around", AROUND)
def test_parts_that_differ_nowhere_keep_nothing_apart(around: str):
    index = FunctionIndex(grammar())
    first, second = (index.add(parse(around.format(part))) for part in ("relu(gelu(x))", "gelu(relu(x))"))
    assert first == second


def test_formulas_share_their_equal_parts():
    own = [FunctionSymbol.of(parse(text).operator).parts for text in ("sigmoid(min(gelu(x), 7))", "x*gelu(x) + 2*pi")]
    assert [str(operator.formula) for operator, _ in own[0]] == ["Min(7, gelu(x))", "gelu(x)"]
    assert own[0][1] in own[1]
