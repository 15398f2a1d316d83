"""Double-word arithmetic: float32 gives what twice its digits give, for values that no single float32 holds."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from mpmath import mpf

from symact.activation.double_word import doubled
from symact.backends import torch_source
from symact.program.builder import Builder
from symact.program.instructions import INSTRUCTIONS
from symact.program.mpmath_values import MEANING
from symact.program.program import Program

POINTS = (-1e9, -3000.1, -40.3, -1.5, -0.3, 1e-3, 0.4, 1.0, 2.9, 70.7, 123456.7, 1e9)


def found(program: Program, *inputs: float) -> float:
    tensors = [torch.tensor([value], dtype=torch.float32) for value in inputs]
    return float(torch_source.function(doubled(program))(*tensors))


def rounded(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float32))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "max", "min", "sqrt", "hypot1", "abs", "neg"])
def test_what_an_operation_rounds_is_kept(name: str) -> None:
    # f(x, y) - (what float32 makes of it): rounding alone, which is 0 without a second word.
    for x in POINTS:
        for y in (0.7, -1.3, 3e4):
            arity = INSTRUCTIONS[name].arity
            values = [rounded(abs(x) if name == "sqrt" else x), rounded(y)][:arity]
            with mpmath.workdps(60):
                exact = MEANING[name](*map(mpf, values))
            builder = Builder(("x", "y")[:arity])
            value = builder.emit(name, *range(arity))
            program = builder.build(builder.emit("sub", value, builder.const(rounded(float(exact)))))
            with mpmath.workdps(60):
                rest = float(exact - mpf(rounded(float(exact))))
            assert found(program, *values) == pytest.approx(rest, rel=1e-4, abs=1e-12 * abs(float(exact))), values


def test_constants_bring_what_float32_does_not_hold() -> None:
    builder = Builder(("x",))
    below = builder.build(builder.emit("lt", 0, builder.const(0.1)))
    # The float32 next to 0.1 is greater than 0.1.
    assert found(below, rounded(0.1)) == 0.0
    assert found(below, 0.0999999) == 1.0
    difference = builder.build(builder.emit("sub", 0, builder.const(0.1)))
    assert found(difference, rounded(0.1)) == pytest.approx(rounded(0.1) - 0.1, rel=1e-5)


@pytest.mark.parametrize("name", ["exp", "tanh", "log1p", "sin", "cos", "tan", "expm1", "sigmoid"])
def test_functions_are_corrected_by_their_slopes(name: str) -> None:
    # f(x*y) where the product is not a number of float32.
    builder = Builder(("x", "y"))
    program = builder.build(builder.emit(name, builder.emit("mul", 0, 1)))
    for x in (0.3, 7.7, 60.1):
        y = rounded(1.3)
        with mpmath.workdps(40):
            exact = float(MEANING[name](mpf(rounded(x)) * mpf(y)))
        assert found(program, rounded(x), y) == pytest.approx(exact, rel=4e-7)


def test_what_overflows_has_no_rest() -> None:
    builder = Builder(("x",))
    square = builder.emit("mul", 0, 0)
    quotient = builder.build(builder.emit("div", builder.const(1.0), builder.emit("add", square, builder.const(1.0))))
    assert found(quotient, 1e30) == 0.0
    assert found(builder.build(square), 1e30) == math.inf
    assert found(builder.build(builder.emit("sqrt", 0)), 0.0) == 0.0
