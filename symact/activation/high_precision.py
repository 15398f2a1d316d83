"""Formulas and their derivatives in high precision: what an expression means, digit by digit.

A formula is evaluated from its functions' definitions (`expr.functions`), as (value, derivative)
pairs of mpmath numbers, with as many bits as it takes for two evaluations to agree. This shares
nothing with Programs, their rewrites or their gradients, and is what those are checked against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import mpmath
import sympy
from mpmath import mp, mpf

from symact.expr import functions
from symact.expr.formula import expand_definition

# Beyond 2**_HUGE an argument of exp overflows every format there is.
_HUGE = 220
# Beyond 2**_TURNS, outside every format, an angle is not reduced: that takes as many digits of pi as the angle has.
_TURNS = 1100
_NAN, _INFINITY = mpf("nan"), mpf("inf")


class Dual(NamedTuple):
    """A value and its derivative in the variable."""

    value: Any
    slope: Any


class UndefinedError(ArithmeticError):
    """The function is not defined at this point, or its derivative is not."""


def _exp(x: Any) -> Any:
    if mpmath.isfinite(x) and abs(x) > mpf(2) ** _HUGE:
        return _INFINITY if x > 0 else mpf(0)
    return mpmath.exp(x)


def _sinh(x: Any) -> Any:
    if abs(x) > mpf(2) ** _HUGE:
        return mpmath.sign(x) * _INFINITY
    return mpmath.sinh(x)


def _circular(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: _NAN if abs(x) > mpf(2) ** _TURNS else function(x)


_sin, _cos, _tan = map(_circular, (mpmath.sin, mpmath.cos, mpmath.tan))


def _tanh(x: Any) -> Any:
    return mpmath.sign(x) if abs(x) > mpf(10) ** 6 else mpmath.tanh(x)


def _erfc(x: Any) -> Any:
    """erfc, by its continued asymptotic series where mpmath's own is slow (DLMF 7.12.1)."""
    if x > 1e4:
        total = term = mpf(1)
        square = 2 * x * x
        for k in range(1, 40):
            term *= -(2 * k - 1) / square
            total += term
        return _exp(-x * x) / (x * mpmath.sqrt(mp.pi)) * total
    return mpf(2) if x < -1e4 else mpmath.erfc(x)


def _scaled_bessel(order: int, x: Any) -> Any:
    """exp(-|x|) I_order(x); for large arguments by DLMF 10.40.1."""
    size = abs(x)
    if size < 100:
        return mpmath.besseli(order, x) * mpmath.exp(-size)
    total = term = mpf(1)
    for k in range(1, 150):
        term *= -(mpf(4 * order * order) - (2 * k - 1) ** 2) / (k * 8 * size)
        total += term
    value = total / mpmath.sqrt(2 * mp.pi * size)
    return -value if order % 2 and x < 0 else value


def _i1e_slope(x: Any) -> Any:
    if x == 0:
        return mpf(1) / 2
    return _scaled_bessel(0, x) - _scaled_bessel(1, x) / x - mpmath.sign(x) * _scaled_bessel(1, x)


# Name of an elementary function -> its value and its derivative.
_ELEMENTARY: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "abs": (abs, mpmath.sign),
    "sign": (mpmath.sign, lambda x: mpf(0)),
    "exp": (_exp, _exp),
    "log": (mpmath.log, lambda x: 1 / x),
    "sin": (_sin, _cos),
    "cos": (_cos, lambda x: -_sin(x)),
    "tan": (_tan, lambda x: 1 + _tan(x) ** 2),
    "sinh": (_sinh, lambda x: abs(_sinh(x)) if abs(x) > 1e6 else mpmath.cosh(x)),
    "cosh": (lambda x: abs(_sinh(x)) if abs(x) > 1e6 else mpmath.cosh(x), _sinh),
    "tanh": (_tanh, lambda x: mpf(0) if abs(x) > 1e6 else mpmath.sech(x) ** 2),
    "asinh": (mpmath.asinh, lambda x: 1 / mpmath.sqrt(1 + x * x)),
    "atan": (mpmath.atan, lambda x: 1 / (1 + x * x)),
    "erf": (lambda x: 1 - _erfc(x) if abs(x) > 1e4 else mpmath.erf(x), lambda x: 2 / mpmath.sqrt(mp.pi) * _exp(-x * x)),
    "erfc": (_erfc, lambda x: -2 / mpmath.sqrt(mp.pi) * _exp(-x * x)),
    "i0e": (lambda x: _scaled_bessel(0, x), lambda x: _scaled_bessel(1, x) - mpmath.sign(x) * _scaled_bessel(0, x)),
    "i1e": (lambda x: _scaled_bessel(1, x), _i1e_slope),
}

_ORDER: dict[type, Callable[[Any, Any], bool]] = {
    sympy.StrictLessThan: lambda a, b: a < b,
    sympy.LessThan: lambda a, b: a <= b,
    sympy.StrictGreaterThan: lambda a, b: a > b,
    sympy.GreaterThan: lambda a, b: a >= b,
    sympy.Equality: lambda a, b: a == b,
    sympy.Unequality: lambda a, b: a != b,
}


@cache
def _definition(name: str) -> sympy.Expr:
    return expand_definition(functions.FUNCTIONS[name], functions.X)


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
        if row.definition:
            inner = DualEvaluator({"x": x.value})
            inner.symbols["x"] = x
            result = inner(_definition(row.name))
            self.at_kink |= inner.at_kink
            return result
        if row.name == "log" and x.value <= 0:
            raise UndefinedError(f"log({x.value})")
        self.at_kink |= row.name in ("abs", "sign") and bool(x.value == 0)
        value, slope = _ELEMENTARY[row.name]
        return Dual(value(x.value), slope(x.value) * x.slope if x.slope != 0 else mpf(0))


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
    return _exp(exponent * mpmath.log(base)) if base > 0 else _NAN


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
