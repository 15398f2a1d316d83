"""Bounds over an interval hold every value, derivative and ratio in it."""

from __future__ import annotations

import numpy as np
import pytest
from flint import arb

from symact.certify.duals import evaluate
from symact.certify.flat import flat_program
from symact.certify.interval import Interval
from symact.certify.intervals import over
from symact.equivalence.exact.balls import UNDEFINED, Marker, precision
from symact.expr.functions import FUNCTIONS
from symact.expr.tree import parse

NAMES = sorted(name for name, row in FUNCTIONS.items() if row.arity == 1)
COMPOSED = [
    "x*sigmoid(x)",
    "x*tanh(softplus(x))",
    "x/(1 + abs(x))",
    "x/(1 + exp(-1.5*x))",
    "max(x, sin(x)) - min(x**2, 1 + x)",
    "where(x > 1, 2 - 1/x, where(x < -1, -2 - 1/x, x))",
    "(1 + x**2)**tanh(x)",
    "x**3*exp(-abs(x)) + x**-3",
    "log(ndtr(x))*erfc(x)",
    "sin(3*x)/(2 + cos(x))",
    "softplus(x)*sigmoid(-x)/cosh(x)",
    "expm1(-x**2)*log1p(x**2)",
]


def intervals() -> list[tuple[float, float]]:
    random = np.random.default_rng(0)
    centres = random.normal(size=40) * np.exp(random.uniform(-3, 4, size=40))
    widths = np.exp(random.uniform(-9, 3, size=40))
    exact = [(float(c), float(c + w)) for c, w in zip(centres, widths, strict=True)]
    return [*exact, (-0.25, 0.0), (0.0, 0.25), (-1.0, 1.0), (128.0, 16384.0), (-16384.0, -128.0), (2.0**84, 2.0**100)]


@pytest.mark.parametrize("text", [f"{name}(x)" for name in NAMES] + COMPOSED)
def test_bounds_hold_every_point_of_an_interval(text: str) -> None:
    program = flat_program(parse(text))
    random = np.random.default_rng(1)
    checked = 0
    for low, high in intervals():
        if text in ("i0e(x)", "i1e(x)") and max(abs(low), abs(high)) > 1e3:
            continue
        with precision(128 if max(abs(low), abs(high)) < 1e3 else 640):
            bounds = over(program, arb(low), arb(high))
            for x in (low, high, *(low + random.uniform(size=3) * (high - low))):
                value, slope = evaluate(program, arb(min(max(x, low), high)))
                checked += inside(bounds.value, value) + inside(bounds.slope, slope)
                if bounds.slope_sign is not None and not isinstance(slope, Marker):
                    assert (slope * bounds.slope_sign) >= 0 if bounds.slope_sign else slope.contains(0)
    assert checked > 20


def inside(bounds: object, ball: object) -> bool:
    if isinstance(bounds, Marker):
        assert bounds is not UNDEFINED or isinstance(ball, Marker)
        return False
    assert isinstance(bounds, Interval)
    if isinstance(ball, Marker):
        return False
    assert isinstance(ball, arb)
    assert not ball < bounds.low, (bounds, ball)
    assert not ball > bounds.high, (bounds, ball)
    return True


def test_the_ratio_decides_the_sign_of_a_slope_of_many_magnitudes() -> None:
    with precision(1280):
        for text in ("x*sigmoid(x)", "gelu(x)", "mish(x)", "x/(1 + exp(-x))"):
            assert over(flat_program(parse(text)), -(arb(2) ** 28), -(arb(2) ** 14)).slope_sign == -1


def test_what_rises_is_bounded_by_its_ends() -> None:
    with precision(96):
        bounds = over(flat_program(parse("x + tanh(x) - exp(-x)")), arb(-1), arb(2))
        assert bounds.slope_sign == 1
        assert abs(bounds.value.low - (-1 + arb(-1).tanh() - arb(1).exp())) < 1e-20
        assert abs(bounds.value.high - (2 + arb(2).tanh() - arb(-2).exp())) < 1e-20
