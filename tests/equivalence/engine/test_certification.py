"""Certification and the dense grid: groups are taken apart where members differ, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from symact.equivalence.engine.certification import Certification
from symact.equivalence.engine.classes import ClassBuilder
from symact.equivalence.engine.term_columns import TermColumns, spans
from tests.equivalence.engine.builders import described


def certified(texts: list[str], distinct: int = 0) -> list[int]:
    """Labels of one group of terms, whatever float64 says of them."""
    builder = ClassBuilder((-5.0, 5.0))
    terms = described(builder, texts)
    order, starts, ends = np.arange(len(texts)), np.array([0]), np.array([len(texts)])
    labels = np.zeros(len(texts), np.int64)
    with np.errstate(all="ignore"):
        extra = builder.dense.extra_points(terms, order, starts, ends)
        reliability = builder._analysis.reliability(terms, order)
        certification = Certification(
            builder.comparison,
            builder.base,
            terms,
            reliability,
            -np.arange(len(texts)) - 1,
            distinct,
            extra,
            {},
            lambda first, second: builder.dense.differences(terms, first, second),
        )
        certification.certify(order, starts, ends, labels)
    return np.unique(labels, return_inverse=True)[1].tolist()


def same(labels: list[int]) -> list[list[bool]]:
    return [[a == b for b in labels] for a in labels]


@pytest.mark.parametrize(
    ("texts", "classes"),
    [
        (["cosh(x)", "exp(x) - sinh(x)", "cosh(-x)"], [0, 0, 0]),
        (["tanh(exp(exp(x)))", "erf(exp(exp(x)))", "1"], [0, 1, 2]),
        (["x", "sqrt(x)**2", "exp(log(x))", "x + 0*x"], [0, 1, 1, 0]),
        (["0", "where(x > 1.7 and x < 1.7001, 1, 0)", "x - x"], [0, 1, 0]),
        (["sin(x)", "cos(x)", "sin(x) + 0", "cos(-x)", "tan(x)", "sinh(x)", "sin(x)*1"], [0, 1, 0, 1, 2, 3, 0]),
    ],
)
def test_a_group_is_cut_into_its_functions(texts, classes):
    assert same(certified(texts)) == same(classes)


def test_terms_that_are_known_to_be_different_are_not_merged():
    assert len(set(certified(["cosh(x)", "cosh(-x)", "tanh(x)"], distinct=3))) == 3


@pytest.mark.parametrize(
    ("first", "second", "differ"),
    [
        ("tanh(x)", "sinh(x)/cosh(x)", False),
        ("x", "where(x > 2 and x < 2.1, 0, x)", True),
        ("x", "sqrt(x)**2", True),
        ("relu(x)", "max(x, 0)", False),
    ],
)
def test_the_dense_grid_notes_where_two_terms_differ(first, second, differ):
    builder = ClassBuilder((-5.0, 5.0))
    terms = described(builder, [first, second])
    with np.errstate(all="ignore"):
        builder.extend()
        assert bool(builder.dense.differences(terms, 0, 1)) is differ
        extra = builder.dense.extra_points(terms, np.arange(2), np.array([0]), np.array([2]))
    assert (1 in extra) is differ


def test_a_piece_without_a_point_gets_one():
    builder = ClassBuilder((-5.0, 5.0))
    terms = described(builder, ["max(abs(x - 1.7001) - 0.00002, 0)"])
    with np.errstate(all="ignore"):
        found = list(builder.dense.unsampled_points(terms, np.arange(1), np.zeros(1, np.int64)))
    assert any(abs(grid.x[point] - 1.7001) < 0.00002 for _, grid, point in found)


def test_spans_are_the_parts_one_after_another():
    order = np.array([5, 3, 8, 1, 9, 2])
    assert spans(order, np.array([1, 4]), np.array([3, 6])).tolist() == [3, 8, 9, 2]


def test_columns_are_joined_at_the_widest():
    builder = ClassBuilder((-5.0, 5.0))
    terms = described(builder, ["add(x,tanh(x))", "tanh(x)"])
    assert terms.arguments.shape == (2, 2)
    assert [len(terms.term(n)[1]) for n in range(2)] == [2, 1]
    swapped = terms[np.array([1, 0])]
    assert TermColumns.joined([swapped[:1], swapped[1:]]).term(1) == terms.term(0)
