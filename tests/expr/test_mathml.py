"""Formulas become trees of known elements, whatever their functions and operators are called."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.expr.functions import FUNCTIONS
from symact.expr.mathml import mathml
from symact.expr.tree import parse

ELEMENTS = {"mrow", "mi", "mn", "mo", "mtext", "msub", "msup", "msqrt", "mfrac", "mtable", "mtr", "mtd"}


def shape(tree: Any) -> str:
    """The tree in a line, invisible operators and rows left out."""
    if isinstance(tree, str):
        return tree.strip("\u2061\u2062")
    name, *children = tree
    inner = " ".join(filter(None, map(shape, children)))
    return inner if name in ("mrow", "mi", "mn", "mo", "mtext", "mtd") else f"{name}({inner})"


TEXTS = {
    "x*sigmoid(x)": "x sigmoid ( x )",
    "1/x": "mfrac(1 x)",
    "-x/2": "\u2212 mfrac(x 2)",
    "x - sin(x)": "x \u2212 sin ( x )",
    "erfc(x)**2": "msup(( erfc ( x ) ) 2)",
    "sqrt(x**2 + 1)": "msqrt(1 + msup(x 2))",
    "exp(-x)": "msup(e \u2212 x)",
    "abs(x)": "| x |",
    "hard_sigmoid(x)": "hard_sigmoid ( x )",
    "(x + 1)*tanh(x)": "( 1 + x ) tanh ( x )",
    "erf(x)*tanh(x)": "erf ( x ) · tanh ( x )",
    "where(x > 0, x, 0.01*x)": "{ mtable(mtr(x if  x > 0) mtr(mfrac(x 100) otherwise))",
}


@pytest.mark.parametrize("text", TEXTS)
def test_it_is_written_as_a_person_writes_it(text: str):
    assert shape(mathml(parse(text))) == TEXTS[text]


def names(tree: Any) -> set[str]:
    return set() if isinstance(tree, str) else {tree[0]}.union(*map(names, tree[1:]))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_of_the_language_is_typeset(name: str):
    row = FUNCTIONS[name]
    text = f"{name}({', '.join(['x', 'x/2 + 1', 'x - 1'][: row.arity])})"
    if name == "where":
        text = "where(x > 1, x, 2)"
    tree = mathml(parse(text))
    assert tree is not None
    assert names(tree) <= ELEMENTS


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.sampled_from(["x", "2", "0.5"]),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            st.tuples(st.sampled_from(["tanh", "exp", "erf", "abs", "relu"]), inner).map(lambda t: f"{t[0]}({t[1]})"),
        ),
        max_leaves=8,
    )
)
def test_no_formula_breaks_it(text: str):
    tree = mathml(parse(f"x + ({text})"))
    assert tree is None or names(tree) <= ELEMENTS
