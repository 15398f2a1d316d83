"""Every row of the float64 table against high precision: at tails, kinks and special points, undefined where it is."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from symact.equivalence.numeric.float64 import FLOAT64, RELIABLE_HUGE, RELIABLE_TINY, Saturation, run
from symact.program.instructions import EXACT, HELPERS
from symact.program.program import Operation, Program
from tests.program.meanings import BINARY, PAIRS, POINTS, UNARY, meaning


def computed(name: str, *arguments: float, exponent: int = 0) -> tuple[float, bool]:
    """The value of one step, and whether it is reliable."""
    count = len(arguments)
    program = Program(("a", "b")[:count], (Operation(name, tuple(range(count)), exponent),), (count,))
    bounds = Saturation(1)
    with np.errstate(all="ignore"):
        values = run(program, [np.array([[a, a]]) for a in arguments], bounds, salt=0)
    return float(values[0, 0]), bool(bounds.reliable(values)[0, 0])


def agrees(name: str, *arguments: float, exponent: int = 0) -> bool:
    found, reliable = computed(name, *arguments, exponent=exponent)
    with mp.workprec(2500):
        exact = meaning(name, *arguments) if name != "ipow" else mpf(arguments[0]) ** exponent
    if exact is None or exact == 0:
        return np.isnan(found) if exact is None else found == 0
    if RELIABLE_TINY < abs(exact) < RELIABLE_HUGE:
        return reliable and bool(abs(found - exact) <= 1e-12 * abs(exact))
    # What is too large or too small for the format saturates: it has a sign, is not zero, and is not reliable.
    return bool(np.isfinite(found) and np.sign(found) == mpmath.sign(exact) and not reliable)


def test_there_is_one_row_for_every_instruction_that_an_exact_program_holds() -> None:
    assert set(FLOAT64) == set(EXACT) - set(HELPERS) - {"const", "ipow"}


@pytest.mark.parametrize("name", [name for name in UNARY if name in FLOAT64])
def test_functions_of_one_argument(name: str) -> None:
    assert [(x, computed(name, x)) for x in POINTS if not agrees(name, x)] == []


@pytest.mark.parametrize("name", [name for name in BINARY if name in FLOAT64])
def test_functions_of_two_arguments(name: str) -> None:
    assert [(a, b) for a, b in PAIRS if not agrees(name, a, b)] == []


@pytest.mark.parametrize("exponent", [2, 3, 7, 64])
def test_whole_powers(exponent: int) -> None:
    assert [x for x in POINTS if not agrees("ipow", x, exponent=exponent)] == []
