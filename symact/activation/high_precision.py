"""Formulas and their derivatives in high precision: what an expression means, digit by digit.

A formula is evaluated from its functions' definitions (`expr.functions`), as (value, derivative)
pairs of mpmath numbers, with as many bits as it takes for two evaluations to agree. This shares
nothing with Programs, their rewrites or their gradients, and is what those are checked against; what an elementary
function is stands, in mpmath's words, in `program.mpmath_values`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import mpmath
import sympy
from mpmath import mp, mpf

from symact.expr import functions
from symact.expr.formula import applied
from symact.program.mpmath_values import MEANING, exp

# Beyond 2**_HUGE an exponent would be written out as an integer.
_HUGE = 220
_NAN = mpf("nan")


class Dual(NamedTuple):
    """A value and its derivative in the variable."""

    value: Any
    slope: Any


class UndefinedError(ArithmeticError):
    """The function is not defined at this point, or its derivative is not."""


_ORDER: dict[type, Callable[[Any, Any], bool]] = {
    sympy.StrictLessThan: lambda a, b: a < b,
    sympy.LessThan: lambda a, b: a <= b,
    sympy.StrictGreaterThan: lambda a, b: a > b,
    sympy.GreaterThan: lambda a, b: a >= b,
    sympy.Equality: lambda a, b: a == b,
    sympy.Unequality: lambda a, b: a != b,
}


@cache
def _formula(text: str) -> sympy.Expr:
    return applied(text, functions.X)


class DualEvaluator:
    """One evaluation of a formula at one point, at the precision that mpmath works with.

    Args:
        symbols: symbol name -> value; `x` is the variable.

    Attributes:
        at_kink: whether an absolute value, a sign, an extremum or a condition was at its kink.
    """

    def __init__(self, symbols: Mapping[str, Any]):
        self.at_kink = False
        self.symbols = {name: Dual(mpf(v), mpf(name == "x")) for name, v in symbols.items()}
        self._done: dict[Any, Dual] = {}

    def __call__(self, node: sympy.Basic) -> Dual:
        """Value and derivative of `node`.

        Raises:
            UndefinedError: where the function is.
        """
        done = self._done.get(node)
        if done is None:
            done = self._done[node] = self._evaluate(node)
        return done

    def _evaluate(self, node: sympy.Basic) -> Dual:
        if isinstance(node, sympy.Symbol):
            return self.symbols[node.name]
        if isinstance(node, sympy.Rational):
            return Dual(mpf(int(node.p)) / int(node.q), mpf(0))
        if isinstance(node, sympy.Number | sympy.NumberSymbol):
            return Dual(sympy.N(node, mp.dps)._to_mpmath(mp.prec), mpf(0))
        if isinstance(node, sympy.Piecewise):
            return next(self(case) for case, condition in node.args if self._holds(condition))
        if isinstance(node, sympy.Pow):
            return _power(self(node.args[0]), node.args[1], self)
        arguments = [self(argument) for argument in node.args]
        if isinstance(node, sympy.Add):
            return Dual(sum(a.value for a in arguments), sum(a.slope for a in arguments))
        if isinstance(node, sympy.Mul):
            return _product(arguments)
        if isinstance(node, sympy.Max | sympy.Min):
            self.at_kink |= len({a.value for a in arguments}) < len(arguments)
            return _extreme(arguments, isinstance(node, sympy.Max))
        return self._call(functions.HEADS[type(node)], arguments[0])

    def _holds(self, condition: sympy.Basic) -> bool:
        if condition == sympy.true:
            return True
        if isinstance(condition, sympy.And | sympy.Or):
            return (all if isinstance(condition, sympy.And) else any)(self._holds(part) for part in condition.args)
        left, right = (self(side).value for side in condition.args)
        self.at_kink |= bool(left == right)
        return _ORDER[type(condition)](left, right)

    def _call(self, row: functions.Function, x: Dual) -> Dual:
        inner = DualEvaluator({"x": x.value})
        if row.definition:
            inner.symbols["x"] = x
            result = inner(_formula(row.definition))
            self.at_kink |= inner.at_kink
            return result
        if row.name == "log" and x.value <= 0:
            raise UndefinedError(f"log({x.value})")
        meaning = MEANING[row.name]
        self.at_kink |= row.name == "abs" and bool(x.value == 0)
        if row.derivative == "0":
            below, above = (meaning(x.value * (1 + step)) for step in (-4 * mp.eps, 4 * mp.eps))
            self.at_kink |= bool(x.value == 0 or below != above)
        if row.domain and mpmath.isinf(meaning(x.value)):
            raise UndefinedError(f"{row.name}({x.value})")
        if x.slope == 0:
            return Dual(meaning(x.value), mpf(0))
        inner.symbols["x"] = Dual(x.value, mpf(0))
        slope = inner(_formula(row.derivative)).value if row.derivative else mpmath.diff(meaning, x.value)
        return Dual(meaning(x.value), slope * x.slope)


def _product(factors: list[Dual]) -> Dual:
    value, slope = factors[0]
    for factor in factors[1:]:
        value, slope = value * factor.value, slope * factor.value + value * factor.slope
    return Dual(value, slope)


def _extreme(arguments: list[Dual], largest: bool) -> Dual:
    best = (max if largest else min)(a.value for a in arguments)
    winners = [a.slope for a in arguments if a.value == best]
    return Dual(best, winners[0] if len(set(winners)) == 1 else _NAN)


def _raised(base: Any, exponent: Any) -> Any:
    if abs(exponent) <= mpf(2) ** _HUGE or base == 0:
        return mpmath.power(base, exponent)
    # mpmath would write such an exponent out as an integer.
    return exp(exponent * mpmath.log(base)) if base > 0 else _NAN


def _power(base: Dual, exponent: Any, evaluate: DualEvaluator) -> Dual:
    power = evaluate(exponent)
    whole = mpmath.isint(power.value)
    if (base.value < 0 and not whole) or (base.value == 0 and power.value < 0):
        raise UndefinedError(f"{base.value}**{power.value}")
    value = base.value ** int(power.value) if whole and abs(power.value) < 1e6 else _raised(base.value, power.value)
    slope = mpf(0)
    if base.slope != 0 and power.value != 0:
        if base.value == 0 and power.value < 1:
            slope = _NAN
        else:
            slope = power.value * _raised(base.value, power.value - 1) * base.slope
    if power.slope != 0:
        slope += value * mpmath.log(base.value) * power.slope if base.value > 0 else (0 if base.value == 0 else _NAN)
    return Dual(value, slope)


def evaluate(formula: sympy.Expr, x: float, parameters: Mapping[str, float] | None = None) -> Dual | None:
    """Value and derivative at `x` to at least 12 digits, or None where the function is undefined.

    Bits are added until two evaluations agree. A derivative that does not exist is NaN. Where branches of the
    formula meet and the function is smooth all the same, the derivative is that of both sides.
    """
    symbols = {"x": x, **(parameters or {})}
    found = _evaluate(formula, symbols)
    if found is None or not found[1]:
        return None if found is None else found[0]
    here, slopes = found[0], []
    for distance in _DISTANCES:
        with mp.workprec(_SIDE_BITS):
            sides = [_attempt(formula, {**symbols, "x": mpf(x) + side * distance}) for side in (-1, 1)]
        for side in sides:
            if side is None or not (_agree(side[0].value, here.value) or abs(side[0].value - here.value) < _NEAR):
                return here
            slopes.append(side[0].slope)
    return Dual(here.value, slopes[0]) if all(_agree(slope, slopes[0]) for slope in slopes) else here


# How far from a kink its sides are looked at, with how many bits, and how close values there are to that at the kink.
_DISTANCES, _SIDE_BITS, _NEAR = (mpf(2) ** -400, mpf(2) ** -200), 2600, mpf(2) ** -60


def _attempt(formula: sympy.Expr, symbols: Mapping[str, Any]) -> tuple[Dual, bool] | None:
    """Value and derivative, and whether the point is at a kink; None where the function is undefined."""
    evaluation = DualEvaluator(symbols)
    try:
        return evaluation(formula), evaluation.at_kink
    except (UndefinedError, ZeroDivisionError):
        return None


def _evaluate(formula: sympy.Expr, symbols: Mapping[str, Any]) -> tuple[Dual, bool] | None:
    x = symbols["x"]
    last: tuple[Dual, bool] | None = None
    for bits in (1200, 3500, 9000) if 10 < abs(x) <= 2000 else (300, 1200, 5000, 16000):
        with mp.workprec(bits):
            found = _attempt(formula, symbols)
            if found is not None and last is not None and all(map(_agree, last[0], found[0])):
                return found
            last = found
    return last


def _agree(a: Any, b: Any) -> bool:
    if mpmath.isnan(a) or mpmath.isnan(b):
        return bool(mpmath.isnan(a) and mpmath.isnan(b))
    if not (mpmath.isfinite(a) and mpmath.isfinite(b)):
        return bool(a == b)
    return bool(abs(a - b) <= abs(b) * mpf(10) ** -12)
