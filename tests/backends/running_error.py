"""How far a Program may be from the truth: every step in error by some units in its last place.

`bounds` runs a Program in high precision and carries along, with every value, how much it may have
moved when each step before was in error by `ULPS` units in the last place of float32: the sum over the
steps of 16 ulp times the condition of all that follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from mpmath import mp, mpf

from symact.program.mpmath_values import MEANING
from symact.program.program import Program

ULPS = 16
LARGEST = mpf(2) ** 128
_CHOICES = ("lt", "le", "eq", "sign")


@dataclass(frozen=True)
class Bound:
    """The exact value of an output, and how far a result may be from it.

    Attributes:
        value: of the output.
        error: the running bound; infinite where a step is so close to a jump that it may go either way.
        finite: whether all values on the way are numbers within the range of float32.
    """

    value: Any
    error: Any
    finite: bool


def _ulp(value: Any) -> Any:
    if value == 0 or not mpmath.isfinite(value):
        return mpf(2) ** -149
    return max(mpf(2) ** (math.floor(mpmath.log(abs(value), 2)) - 23), mpf(2) ** -149)


def _meaning(name: str, arguments: list[Any]) -> Any:
    try:
        return MEANING[name](*arguments)
    except (ZeroDivisionError, ValueError, OverflowError, mpmath.libmp.NoConvergence):
        return mpf("nan")


def _moved(name: str, value: Any, arguments: list[Any], errors: list[Any]) -> Any:
    """How far a step moves when its arguments do."""
    total = mpf(0)
    for position, error in enumerate(errors):
        if error == 0:
            continue
        worst = mpf(0)
        for sign in (1, -1):
            shifted = [*arguments[:position], arguments[position] + sign * error, *arguments[position + 1 :]]
            there = _meaning(name, shifted) if mpmath.isfinite(error) else mpf("nan")
            if mpmath.isnan(there) or (name in _CHOICES and there != value):
                return mpf("inf")
            worst = max(worst, abs(there - value))
        total += worst
    return total


def bounds(program: Program, inputs: list[float]) -> list[Bound]:
    """The outputs at exact inputs, with their bounds."""
    with mp.workprec(300):
        values, errors = [mpf(x) for x in inputs], [mpf(0)] * len(inputs)
        finite = True
        for operation in program.operations:
            if operation.name == "const":
                values.append(mpf(operation.value))
                held = abs(operation.value) > 3e38 or float(np.float32(operation.value)) == operation.value
                errors.append(mpf(0) if held else _ulp(values[-1]) / 2)
                continue
            if operation.name == "where":
                taken = operation.arguments[1 if values[operation.arguments[0]] != 0 else 2]
                unsure = mpmath.isinf(errors[operation.arguments[0]])
                values.append(values[taken])
                errors.append(mpf("inf") if unsure else errors[taken])
                continue
            arguments = [values[a] for a in operation.arguments]
            value = _meaning(operation.name, arguments) if all(map(mpmath.isfinite, arguments)) else mpf("nan")
            finite = finite and bool(mpmath.isfinite(value)) and abs(value) < LARGEST
            values.append(value)
            moved = _moved(operation.name, value, arguments, [errors[a] for a in operation.arguments])
            exact = operation.name in (*_CHOICES, "neg", "abs", "max", "min")
            errors.append(moved if exact or mpmath.isnan(value) else moved + ULPS * _ulp(value))
        return [Bound(values[output], errors[output], finite) for output in program.outputs]
