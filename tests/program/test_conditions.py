"""Conditions tell whether a row of the rewrites applies to what its variables stand for."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from symact.program import conditions
from symact.program.builder import Emitter, Value, call


@pytest.mark.parametrize(
    ("condition", "constants", "holds"),
    [
        (conditions.invertible, {"c": 3.0}, True),
        (conditions.invertible, {"c": 1e-300}, False),
        (conditions.positive, {"c": 1e-9}, True),
        (conditions.positive, {"c": 0.0}, False),
        (conditions.square, {"c": 9.0, "d": -3.0}, True),
        (conditions.square, {"c": 9.0, "d": 3.1}, False),
        (conditions.half_turn, {"c": 2.0, "d": math.pi}, True),
        (conditions.half_turn, {"c": 2.0, "d": 3.14}, False),
        (conditions.minus_half_turn, {"c": 2.0, "d": -math.pi}, True),
        (conditions.inverse, {"c": 8.0, "d": 0.125}, True),
        (conditions.inverse, {"c": 8.0, "d": 0.126}, False),
        (conditions.opposite, {"c": 0.5, "d": -0.5}, True),
        (conditions.opposite, {"c": 0.5, "d": 0.5}, False),
        (conditions.negative_square, {"c": -2.25}, True),
        (conditions.negative_square, {"c": -2.0}, False),
        (conditions.negative_square, {"c": 4.0}, False),
    ],
)
def test_constants(condition: Callable[..., bool], constants: dict[str, float], holds: bool) -> None:
    builder = Emitter(("x",))
    assert condition(builder, {name: builder.const(value) for name, value in constants.items()}) == holds


def values() -> tuple[Emitter, Value, Value]:
    builder = Emitter(("x", "beta"))
    x, beta = builder.inputs_as_values()
    return builder, x, beta


def test_total_is_what_holds_nothing_partial_however_deep() -> None:
    builder, x, _ = values()
    assert conditions.total(builder, {"u": call("tanh", x * x).number})
    assert not conditions.total(builder, {"u": call("tanh", call("log", x) * x).number})


def test_what_is_made_of_parameters_alone() -> None:
    builder, x, beta = values()
    alone = conditions.of_parameters("u")
    assert alone(builder, {"u": (beta * 2.0).number})
    assert not alone(builder, {"u": (beta * x).number})
    assert not alone(builder, {"u": builder.const(2.0)}), "a constant needs no such care"


def test_what_a_row_has_bounded_itself_is_not_bounded_again() -> None:
    builder, x, _ = values()
    clipped = call("min", x, 20.0)
    assert conditions.unbounded(builder, {"u": x.number})
    assert not conditions.unbounded(builder, {"u": clipped.number})
    for condition in (conditions.saturating_factor, conditions.falling_factor):
        assert condition(builder, {"c": builder.const(-2.0), "u": x.number})
        assert not condition(builder, {"c": builder.const(-2.0), "u": clipped.number})
        assert not condition(builder, {"c": builder.const(-1e-9), "u": x.number})
    assert not conditions.falling_factor(builder, {"c": builder.const(2.0), "u": x.number})
    assert not conditions.unclipped(builder, {"u": (-call("max", x, 0.0)).number})
    assert conditions.unclipped(builder, {"u": (-x).number})
