"""The derivative of an instruction, as the table of functions has it, runs as a Program."""

from __future__ import annotations

import mpmath
import pytest
from mpmath import mp, mpf

from symact.expr.functions import FUNCTIONS
from symact.program.derivatives import DIFFERENTIABLE, derivative
from symact.program.instructions import HELPERS, INSTRUCTIONS
from symact.program.mpmath_values import MEANING, at


@pytest.mark.parametrize("name", sorted(DIFFERENTIABLE))
def test_the_program_is_the_slope_of_the_instruction(name: str) -> None:
    for x in (-2.3, -0.7, 0.4, 1.9):
        if mpmath.isfinite(MEANING[name](mpf(x))):
            with mp.workprec(300):
                exact = mpmath.diff(MEANING[name], mpf(x), h=mpf(10) ** -30)
            assert at(derivative(name), x)[0] == pytest.approx(float(exact), rel=1e-9, abs=1e-14), x


def test_every_function_of_one_argument_that_is_an_instruction_has_one() -> None:
    unary = {name for name, row in INSTRUCTIONS.items() if row.arity == 1 and name in FUNCTIONS}
    assert unary - HELPERS.keys() == DIFFERENTIABLE
