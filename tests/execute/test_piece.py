"""A piece is as it was when every name in it stands for what it stood for."""

from __future__ import annotations

from symact.execute.piece import Piece, same_names


def test_names_may_come_but_none_may_go_or_change():
    value = [1]
    assert same_names({"a": value}, {"a": value, "b": 2})
    assert not same_names({"a": value}, {"b": 2})
    assert not same_names({"a": value}, {"a": [1]}), "equal is not the same"
    assert not same_names({"a": None}, {})


def test_values_are_compared_by_equality_where_nothing_else_is_said():
    piece = Piece("a list", list, lambda saved: None)
    assert piece.same([1], [1])
    assert not piece.same([1], [2])
