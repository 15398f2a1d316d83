"""Every row of the ball table holds what high precision gives: at points, and over whole intervals."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from flint import arb
from mpmath import mp, mpf

from symact.equivalence.exact import balls
from symact.equivalence.exact.balls import BALLS, UNDEFINED, UNKNOWN
from symact.equivalence.numeric.float64 import FLOAT64
from symact.program.program import Operation, Program
from tests.program.meanings import BINARY, PAIRS, POINTS, UNARY, meaning


def ball(value: mpf) -> arb:
    sign, mantissa, exponent, _ = value._mpf_
    return arb(int(-mantissa if sign else mantissa)) * arb(2) ** int(exponent)  # gmpy2's whole numbers are mpmath's


def computed(name: str, *arguments: arb, exponent: int = 0, bits: int = 640):
    count = len(arguments)
    program = Program(("a", "b")[:count], (Operation(name, tuple(range(count)), exponent),), (count,))
    with balls.precision(bits):
        return balls.evaluate(program, arguments)


def holds(found, exact) -> bool:
    """A value lies in its ball; what is undefined is no ball; `UNKNOWN` says nothing."""
    if found is UNKNOWN or exact is None:
        return found in (UNKNOWN, UNDEFINED)
    with balls.precision(2500), mp.workprec(2500):
        # The yardstick itself is an asymptotic series somewhere.
        near = ball(exact) + abs(ball(exact)) * arb(0, 1) * arb(10) ** -60
        return found is not UNDEFINED and bool(found.overlaps(near))


def test_the_table_knows_what_float64_knows() -> None:
    assert set(BALLS) == set(FLOAT64)


@pytest.mark.parametrize("name", [name for name in UNARY if name in BALLS])
def test_a_function_at_a_point_is_in_its_ball(name: str) -> None:
    points = [x for x in POINTS if abs(x) <= 1e5]
    found = {x: computed(name, arb(x)) for x in points}
    assert [x for x in points if not holds(found[x], meaning(name, x))] == []
    # A point is narrow enough to know the value, jumps and edges of the domain included.
    assert [x for x in points if found[x] is UNKNOWN] == []


@pytest.mark.parametrize("name", [name for name in UNARY if name in BALLS])
def test_a_function_over_an_interval_is_in_its_ball(name: str) -> None:
    for middle in (-20.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.5):
        for radius in (1e-9, 0.05, 1.0):
            found = computed(name, arb(middle, radius), bits=128)
            inside = [middle + radius * float(part) for part in np.linspace(-0.99, 0.99, 5)]
            if isinstance(found, arb):
                exact = [meaning(name, x) for x in inside]
                assert all(value is not None and holds(found, value) for value in exact), (middle, radius)
            elif found is UNDEFINED:
                assert all(meaning(name, x) is None for x in inside), (middle, radius)


@pytest.mark.parametrize("name", [name for name in BINARY if name in BALLS])
def test_two_arguments(name: str) -> None:
    for a, b in PAIRS:
        assert holds(computed(name, arb(a), arb(b)), meaning(name, a, b)), (a, b)


@pytest.mark.parametrize("exponent", [2, 3, 64])
def test_whole_powers(exponent: int) -> None:
    with mp.workprec(2500):
        for x in POINTS:
            assert holds(computed("ipow", arb(x), exponent=exponent), mpmath.mpf(x) ** exponent), x
