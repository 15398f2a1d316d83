"""The truth at given inputs: value and derivative of a function, from balls, as float64.

Bits are added until a ball is narrow enough to be rounded to float64 within one unit. At an edge, where branches meet,
the derivative is what both sides have. Where balls cannot tell at all (whether a constant is zero) the formula is
evaluated in high precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy
from flint import arb

from symact.activation.high_precision import evaluate as evaluate_formula
from symact.arrays import Array
from symact.certify.duals import EDGE, evaluate
from symact.certify.flat import flat_program, parameter_values
from symact.equivalence.exact.balls import UNDEFINED, Marker, precision
from symact.expr.tree import Expr, to_sympy
from symact.program.program import Program

PRECISIONS = (96, 256, 1024, 4096, 16_384)
# A ball is narrow enough with this many digits, or where it is smaller than every number of float64.
_DIGITS = 58
_NOTHING = arb(2) ** -1100
# How far from an edge its sides are looked at, with how many bits, and how close they have to be to be the same.
_SIDE, _SIDE_BITS, _NEAR = -400, 2600, 2.0**-44
# A derivative of that size beside an edge is none at it.
_STEEP = 2.0**130


@dataclass(frozen=True)
class Truth:
    """What a function is at some inputs.

    Attributes:
        values: the exact values, rounded to float64; NaN where the function is undefined.
        slopes: its derivative likewise; NaN where there is none.
        searched: at how many inputs balls did not suffice.
    """

    values: Array
    slopes: Array
    searched: int


class Reference:
    """The exact function of an expression.

    Args:
        expr: an expression.
        parameters: values of its parameters, by name; else their initial ones, in float32.
    """

    def __init__(self, expr: Expr, parameters: Mapping[str, float] | None = None):
        self.expr = expr
        self.program: Program = flat_program(expr, parameters)
        self._parameters = {**parameter_values(expr), **(parameters or {})}

    @cached_property
    def _formula(self) -> sympy.Expr:
        return to_sympy(self.expr)

    def at(self, x: Array, progress: Callable[[int, int], None] | None = None) -> Truth:
        """Value and derivative at finite float64 numbers."""
        values, slopes = np.empty(len(x)), np.empty(len(x))
        searched = 0
        for place, number in enumerate(x.tolist()):
            if progress is not None and place % 512 == 0:
                progress(place, len(x))
            values[place], slopes[place], by_balls = self.point(number)
            searched += not by_balls
        return Truth(values, slopes, searched)

    def point(self, x: float) -> tuple[float, float, bool]:
        """Value and derivative at one number, and whether balls decided them."""
        for bits in PRECISIONS:
            with precision(bits):
                found = evaluate(self.program, arb(x))
            if _settled(found.value) and (_settled(found.slope) or found.value is UNDEFINED):
                return _float(found.value), _float(found.slope), True
            if _settled(found.value) and found.slope is EDGE:
                return _float(found.value), self._across(x, found.value), True
        with precision(PRECISIONS[-1]):
            found = evaluate(self.program, arb(x), last=True)
        if _settled(found.value):
            return _float(found.value), _float(found.slope) if _settled(found.slope) else np.nan, False
        exact = evaluate_formula(self._formula, x, self._parameters)
        if exact is None:
            return np.nan, np.nan, False
        return float(exact.value), float(exact.slope), False

    def _across(self, x: float, value: arb) -> float:
        """The derivative that both sides of an edge have, where the function is continuous; else NaN."""
        slopes = []
        with precision(_SIDE_BITS):
            for side in (-1, 1):
                beside = evaluate(self.program, arb(x) + side * arb(2) ** _SIDE)
                if isinstance(beside.value, Marker) or isinstance(beside.slope, Marker):
                    return np.nan
                if abs(beside.value - value).upper() > abs(value).upper() * _NEAR + _NEAR:
                    return np.nan
                if abs(beside.slope).upper() > _STEEP:
                    return np.nan
                slopes.append(beside.slope)
            apart = abs(slopes[0] - slopes[1]).upper()
            same = apart <= abs(slopes[0]).upper() * _NEAR + _NEAR**4
            return _float((slopes[0] + slopes[1]) / 2) if same else np.nan


def _settled(value: object) -> bool:
    if isinstance(value, Marker):
        return value is UNDEFINED
    assert isinstance(value, arb)
    return bool(value.rel_accuracy_bits() >= _DIGITS or value.abs_upper() < _NOTHING)


def _float(value: object) -> float:
    if isinstance(value, Marker):
        return np.nan
    assert isinstance(value, arb)
    if value.abs_upper() < _NOTHING:
        return 0.0
    return float(value.mid())
