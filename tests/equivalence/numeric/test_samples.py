"""Sample grids: where functions are compared, and what terms are there."""

from __future__ import annotations

import numpy as np
import pytest

from symact.equivalence.numeric.samples import (
    BLOCKS,
    DENSE,
    MIDDLES,
    PER_BLOCK,
    POINTS,
    SampleGrid,
    dense_points,
    sample_points,
)
from symact.equivalence.terms import TermGraph, numbered_slots
from symact.expr.operators import Parameter
from symact.expr.tree import parse
from symact.program.loading import load_grammar

AQUASURF = load_grammar("aquasurf")
INTERVALS = [(-5.0, 5.0), (-100.0, 100.0), (0.5, 3.0), (-1.0, 0.0)]


@pytest.mark.parametrize(("low", "high"), INTERVALS)
@pytest.mark.parametrize(("points", "count"), [(sample_points, POINTS), (dense_points, DENSE)])
def test_points_ascend_inside_the_interval_and_are_always_the_same(points, count, low, high):
    x = points(low, high)
    assert len(x) == count
    assert (np.diff(x) > 0).all()
    assert low <= x[0]
    assert x[-1] <= high
    assert points(low, high) is x
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 0


@pytest.mark.parametrize(("low", "high"), INTERVALS[:2])
def test_a_third_of_the_sample_points_crowd_around_zero(low, high):
    x = sample_points(low, high)
    assert 2e-4 * high < np.abs(x).min() < 6e-4 * high
    assert (np.abs(x) < 0.1 * high).sum() >= POINTS // 4


def test_the_dense_grid_reaches_the_ends_and_meets_no_sample_point():
    dense = dense_points(-5.0, 5.0)
    assert dense[0] + 5 < 1e-6
    assert 5 - dense[-1] < 1e-6
    assert not set(dense) & set(sample_points(-5.0, 5.0))


def test_blocks_are_eighths_with_their_middles():
    assert BLOCKS * PER_BLOCK == POINTS
    assert MIDDLES.tolist() == [PER_BLOCK * block + PER_BLOCK // 2 for block in range(BLOCKS)]


def filled(text: str, doubled: bool = True) -> tuple[SampleGrid, int]:
    graph = TermGraph()
    grid = SampleGrid(graph, sample_points(-5.0, 5.0), doubled=doubled)
    expression = parse(text, AQUASURF)
    number = graph.term_of(expression, numbered_slots(expression.parameters))
    with np.errstate(all="ignore"):
        grid.extend()
    return grid, number


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("add(tanh(x),square(x))", lambda x: np.tanh(x) + x * x),
        ("max(exp(x),negative(x))", lambda x: np.maximum(np.exp(x), -x)),
        ("mul(sin(x),cos(one(x)))", lambda x: np.sin(x) * np.cos(1.0)),
        ("pow(x,identity(x))", lambda x: np.where(x > 0, np.abs(x) ** x, np.nan)),
    ],
)
def test_values_are_those_of_the_function_and_both_halves_agree(text, function):
    grid, number = filled(text)
    values = grid.values[number]
    expected = function(grid.x)
    assert np.allclose(values[:POINTS], expected, rtol=1e-14, atol=1e-15, equal_nan=True)
    assert np.allclose(values[POINTS:], expected, rtol=1e-12, atol=1e-15, equal_nan=True)


def test_what_is_not_in_the_graph_is_evaluated_alike():
    grid, number = filled("tanh(square(x))", doubled=False)
    symbol, arguments = grid.graph.term(number)
    assert (grid.apply(symbol, np.array([arguments]))[0] == grid.values[number]).all()


def test_a_parameter_takes_one_value_of_each_stratum_of_its_range():
    graph = TermGraph()
    slot = numbered_slots([Parameter("beta", range=(-3.0, 3.0))])["beta"]
    values = SampleGrid(graph, sample_points(-5.0, 5.0)).parameter(slot)[0]
    assert (values[:POINTS] == values[POINTS:]).all()
    strata = np.sort(np.floor((values[:POINTS] + 3) / 6 * POINTS))
    assert strata.tolist() == list(range(POINTS))
    again = SampleGrid(TermGraph(), sample_points(-5.0, 5.0)).parameter(slot)[0]
    assert (values == again).all()


def test_on_a_line_a_parameter_has_one_value_that_hangs_on_the_seed():
    slot = numbered_slots([Parameter("beta", range=(0.0, 2.0))])["beta"]
    lines = [
        SampleGrid(TermGraph(), sample_points(-5.0, 5.0), seed, doubled=False, fixed_parameters=True) for seed in (1, 2)
    ]
    values = [line.parameter(slot)[0] for line in lines]
    assert [len(set(own)) for own in values] == [1, 1]
    assert values[0][0] != values[1][0]
    assert all(0 < own[0] < 2 for own in values)


def test_parameters_of_one_kind_and_other_numbers_have_other_values():
    slots = numbered_slots([Parameter("a"), Parameter("b")])
    grid = SampleGrid(TermGraph(), sample_points(-5.0, 5.0))
    assert (grid.parameter(slots["a"]) != grid.parameter(slots["b"])).any()
