"""Shapes: read, written, measured, filled with operators."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.errors import FormulaError
from symact.expr.shape import MAXIMUM_DEPTH, TREE, X_SHAPE, Shape, parse_shape
from symact.program.loading import load_grammar

SHAPES = st.recursive(
    st.just(X_SHAPE),
    lambda inner: st.one_of(
        inner.map(lambda child: Shape("unary", (child,))),
        st.tuples(inner, inner).map(lambda pair: Shape("binary", pair)),
        st.lists(inner, min_size=1, max_size=4).map(lambda children: Shape("nary", tuple(children))),
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(SHAPES)
def test_what_is_written_is_read_back(shape: Shape) -> None:
    assert parse_shape(str(shape)) == shape
    assert shape.size == len(shape.slots()) == sum(part.kind != "x" for part in shape.walk())


def test_size_and_depth_count_operators() -> None:
    shape = parse_shape("binary(unary(unary(x)), nary(x, unary(x)))")
    assert (shape.size, shape.depth) == (5, 3)
    assert (X_SHAPE.size, X_SHAPE.depth) == (0, 0)
    assert (TREE.size, TREE.depth) == (1, 1)
    assert [part.kind for part in shape.walk()] == ["binary", "unary", "unary", "x", "nary", "x", "unary", "x"]


def test_the_deepest_shape_is_read() -> None:
    text = "unary(" * MAXIMUM_DEPTH + "x" + ")" * MAXIMUM_DEPTH
    assert parse_shape(text).depth == MAXIMUM_DEPTH


def test_shapes_are_read_and_written() -> None:
    for text in ("x", "tree(x)", "unary(x)", "binary(unary(x), nary(x, unary(x)))"):
        assert str(parse_shape(text)) == text
    assert parse_shape(" n-ary( unary(x),x )") == Shape("nary", (Shape("unary", (Shape("x"),)), Shape("x")))
    shape = parse_shape("binary(unary(x), x)")
    grammar = load_grammar("aquasurf")
    assert [slot.kind for slot in shape.slots()] == ["binary", "unary"]
    assert str(shape.build([grammar.operators["max"], grammar.operators["relu"]])) == "max(relu(x),x)"


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 0, "expected x"),
        ("unary", 5, "expected '('"),
        ("unary(x", 7, "before the end"),
        ("unary(x))", 8, "ends before"),
        ("unary(y)", 6, "unknown kind 'y'"),
        ("binary(x)", 0, "binary takes 2 arguments, got 1"),
        ("unary(tree(x))", 6, "stands alone"),
        ("tree(unary(x))", 0, "tree(x)"),
        ("unary(" * 200, 606, "deep"),
    ],
)
def test_shape_errors_point_at_the_place(text: str, column: int, reason: str) -> None:
    with pytest.raises(FormulaError) as error:
        parse_shape(text)
    assert reason in error.value.reason
    assert error.value.column == column
