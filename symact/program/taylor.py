"""Taylor series of Programs at 0: what a function is where its quotients are 0/0.

`(x - sin(x))/x**3`, `1/expm1(x) - 1/x` and the derivatives of `log1p(x)/x` have values at 0 that no
precision computes from the formula near it. There a Program is replaced by its series, which is
found by arithmetic on truncated series (`series`), for either side of 0, and used only where it agrees with the
Program at the edge of the interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from symact.program.builder import Emitter, Value, call
from symact.program.mpmath_values import at, values_at
from symact.program.program import Operation, Program
from symact.program.series import POLES, TERMS, NoSeriesError, Series, Side, leading, padded

# Terms that are used: quotients lose some at the end.
USED = 44
_RADII = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01)
# Terms that may count at the edge, relative to the largest, and how well series and Program agree there.
_NEGLIGIBLE, _ALL_DIGITS, _AGREEMENT = 1e-8, 1e-17, 1e-6


def _run(program: Program, rows: Side) -> list[Series]:
    """The series of the outputs at `grad` 1; a value that has none may stand in a branch that is not taken."""
    values: list[Series | None] = [padded(np.append([0.0, 1.0], np.zeros(TERMS - 2)))]
    values += [rows.constant(1.0) for _ in program.inputs[1:]]
    with np.errstate(all="ignore"):
        for operation in program.operations:
            values.append(_value(operation, values, rows))
    outputs = [values[output] for output in program.outputs]
    if any(output is None for output in outputs):
        raise NoSeriesError
    return [output for output in outputs if output is not None]


def _value(operation: Operation, values: list[Series | None], rows: Side) -> Series | None:
    if operation.name == "const":
        return rows.constant(operation.number)
    condition = values[operation.arguments[0]]
    if operation.name == "where" and condition is not None:
        return values[operation.arguments[1 if condition[POLES] != 0 else 2]]
    arguments = [a for a in [values[number] for number in operation.arguments] if a is not None]
    if len(arguments) < len(operation.arguments):
        return None
    try:
        found = rows(operation.name, *arguments)
    except NoSeriesError:
        return None
    return found if np.isfinite(found).all() else None


def _quotients(program: Program) -> bool:
    """Whether anything is divided by what may be 0 at 0; a number there decides most cases, and soon."""
    constant = {len(program.inputs) + i for i, o in enumerate(program.operations) if o.name == "const"}
    below = {o.arguments[1] for o in program.operations if o.name == "div"} - constant
    if not below:
        return False
    ones = [1.0] * (len(program.inputs) - 1)
    near = [values_at(program, x, *ones) for x in (_NEXT_TO_ZERO, -_NEXT_TO_ZERO)]
    return not all(_VANISHING < abs(values[divisor]) < math.inf for values in near for divisor in below)


# What is 0 at 0 is far below the former at the latter.
_VANISHING, _NEXT_TO_ZERO = 1e-9, 1e-300


def _radius(sides: list[Series], negligible: float) -> tuple[float, int]:
    """How far the terms fall off fast enough, and how many of them count there; 0 where they do not."""
    for radius in _RADII:
        # What rows of the table put near 0 has all digits up to 0.5.
        if negligible == _ALL_DIGITS and radius >= 0.5:
            continue
        sizes = np.array([np.abs(series) * radius ** np.arange(USED) for series in sides])
        small = (sizes <= negligible * np.maximum(sizes.max(1, keepdims=True), 1e-30)).all(0)
        if small[-4:].all():
            return radius, int(np.flatnonzero(~small).max(initial=0)) + 1
    return 0.0, 0


def _polynomial(x: Value, series: Series) -> Value:
    total: Value = x * 0.0 + float(series[-1])
    for coefficient in series[-2::-1]:
        total = total * x + float(coefficient)
    return total


@dataclass(frozen=True)
class _Expansion:
    """A Program near 0: `right` (for x >= 0) and `left` are its series from `x**-poles` on, for |x| < radius."""

    right: Series
    left: Series
    radius: float
    poles: int

    @property
    def smooth(self) -> bool:
        """Whether one series is that of both sides, without poles."""
        return not self.poles and np.array_equal(self.right, self.left)


def _expansion(program: Program, negligible: float) -> _Expansion | None:
    """Where a Program has quotients that are 0/0 at 0, one variable, and a series."""
    names = program.inputs[1:]
    if names not in ((), ("grad",)) or len(program.outputs) != 1 or not _quotients(program):
        return None
    sides = Side(1.0), Side(-1.0)
    try:
        right = _run(program, sides[0])[0]
        left = _run(program, sides[1])[0] if sides[0].mattered else right
    except NoSeriesError:
        return None
    poles = max(POLES - min(leading(right), leading(left)), 0)
    if not any(side.removable or (side.poles and not poles) for side in sides):
        return None
    right, left = (series[POLES - poles :][:USED] for series in (right, left))
    radius, count = _radius([right, left], negligible)
    right, left = right[:count], left[:count]
    if not radius or not _agrees(program, right, left, radius, poles):
        return None
    return _Expansion(right, left, radius, poles)


@lru_cache(maxsize=4096)
def expanded(program: Program, double: bool = False) -> Program:
    """The same function with its series near 0, where it has quotients, one variable, and a series.

    Args:
        program: with inputs `x`, or `x` and `grad`, in which it is linear; one output.
        double: whether the series has all digits of float64, or else of float32.
    """
    expansion = _expansion(program, _ALL_DIGITS if double else _NEGLIGIBLE)
    if expansion is None:
        return program
    # At 0 itself a value that the Program has is right, and its slope is the declared one.
    here = at(program, 0.0, *[1.0] * (len(program.inputs) - 1))[0]
    if not math.isfinite(here):
        return _with_series(program, expansion, False)
    limit = float(expansion.right[0])
    continuous = expansion.smooth and abs(here - limit) <= 1e-12 * abs(limit)
    return _with_series(program, expansion, not continuous)


@lru_cache(maxsize=4096)
def extended_to_zero(program: Program) -> Program | None:
    """A function of x alone that is 0/0 at 0, with its series near 0 and its limit there; None where it has none.

    The series has all digits of float64, so that it can be differentiated.
    """
    expansion = _expansion(program, _ALL_DIGITS)
    if expansion is None or not expansion.smooth:
        return None
    return _with_series(program, expansion, False)


def _with_series(program: Program, expansion: _Expansion, but_at_zero: bool) -> Program:
    builder = Emitter(program.inputs, False, program.variables)
    inputs = builder.inputs_as_values()
    x = inputs[0]
    near = call("max", call("min", x, expansion.radius), -expansion.radius)
    value = _polynomial(near, expansion.right)
    if not np.array_equal(expansion.right, expansion.left):
        value = call("where", call("lt", x, 0.0), _polynomial(near, expansion.left), value)
    for _ in range(expansion.poles):
        value = value / near
    if len(inputs) > 1:
        value = value * inputs[1]
    main = Value(builder, builder.inline(program, tuple(range(len(inputs))))[0])
    result = call("where", call("lt", call("abs", x), expansion.radius), value, main)
    return builder.build((call("where", call("eq", x, 0.0), main, result) if but_at_zero else result).number)


def _agrees(program: Program, right: Series, left: Series, radius: float, poles: int) -> bool:
    """Whether series and Program, at `grad` 1, are the same near the edge."""
    powers = np.arange(len(right)) - float(poles)
    for point in (radius * part for part in (0.6, 0.8, 1.0, -0.6, -0.8, -1.0)):
        wanted = float(((right if point > 0 else left) * np.float64(point) ** powers).sum())
        found = at(program, point, *[1.0] * (len(program.inputs) - 1))[0]
        if not abs(found - wanted) <= _AGREEMENT * (abs(wanted) + 1e-3):
            return False
    return True
