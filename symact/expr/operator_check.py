"""The test of a primitive when its grammar is loaded: where on the interval is it finite?

In: an operator's unevaluated SymPy. Out: the share of sample points at which it has a finite value, at
the initial values of its parameters. Scalars in float64, and no library but the standard one: a grammar
is loaded by commands that should answer at once. Values for real use come from `kernels`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import sympy

from symact.expr.formula import Measure, expand_definition
from symact.expr.functions import HEADS, A, B, X
from symact.expr.operators import Operator

# Fractions of the interval: both sides of its middle, and no symmetric pair that would hide a cancellation.
_FRACTIONS = (0.013, 0.11, 0.23, 0.341, 0.417, 0.478, 0.506, 0.551, 0.632, 0.743, 0.871, 0.987)

_SMALL = 300

_HEADS: dict[type, Callable[..., float]] = {
    sympy.Abs: abs,
    sympy.sign: lambda u: math.nan if math.isnan(u) else float((u > 0) - (u < 0)),
    sympy.exp: math.exp,
    sympy.log: math.log,
    sympy.sin: math.sin,
    sympy.cos: math.cos,
    sympy.tan: math.tan,
    sympy.sinh: math.sinh,
    sympy.cosh: math.cosh,
    sympy.tanh: math.tanh,
    sympy.asinh: math.asinh,
    sympy.atan: math.atan,
    sympy.erf: math.erf,
    sympy.erfc: math.erfc,
    sympy.Max: lambda *us: math.nan if any(map(math.isnan, us)) else max(us),
    sympy.Min: lambda *us: math.nan if any(map(math.isnan, us)) else min(us),
    sympy.Add: lambda *us: sum(us),
    sympy.Mul: lambda *us: math.prod(us),
    sympy.Pow: lambda base, exponent: base**exponent,
    sympy.StrictGreaterThan: lambda a, b: a > b,
    sympy.StrictLessThan: lambda a, b: a < b,
    sympy.GreaterThan: lambda a, b: a >= b,
    sympy.LessThan: lambda a, b: a <= b,
    sympy.Equality: lambda a, b: a == b,
    sympy.Unequality: lambda a, b: a != b,
    sympy.And: lambda *cs: all(cs),
    sympy.Or: lambda *cs: any(cs),
}


def finite_share(operator: Operator, interval: tuple[float, float]) -> float:
    """The share of sample points, in [0, 1], at which an operator is finite; of `nary`, its fold step."""
    low, high = interval
    points = [low * (1 - fraction) + high * fraction for fraction in _FRACTIONS]
    symbols = (X,) if operator.kind == "unary" else (A, B)
    start = {parameter.symbol: parameter.init for parameter in operator.parameters}
    # A formula of a thousand terms is tried at fewer pairs, so that loading stays quick.
    small = Measure().of(operator.formula)[0] < _SMALL
    places = itertools.product(points, repeat=len(symbols)) if small else zip(*[points] * len(symbols), strict=True)
    values = [evaluate(operator.formula, {**start, **dict(zip(symbols, place, strict=True))}) for place in places]
    return sum(map(math.isfinite, values)) / len(values)


def evaluate(expression: Any, values: Mapping[Any, float]) -> float:
    """The value of an unevaluated expression; NaN where it is undefined, infinite where it overflows."""
    if expression in values:
        return values[expression]
    if not expression.args:
        return expression == sympy.true if expression.is_Boolean else float(expression)
    if isinstance(expression, sympy.Piecewise):
        taken = (pair.args[0] for pair in expression.args if evaluate(pair.args[1], values))
        return next((evaluate(value, values) for value in taken), math.nan)
    arguments = [evaluate(argument, values) for argument in expression.args]
    row = HEADS.get(type(expression))
    try:
        if row is not None and row.definition:
            return evaluate(_definition(row.name), {X: arguments[0]})
        if type(expression) in _HEADS:
            result = _HEADS[type(expression)](*arguments)
            return math.nan if isinstance(result, complex) else result
    except OverflowError:
        return math.inf
    except (ValueError, ZeroDivisionError):
        return math.nan
    # Scaled Bessel functions, of which the standard library knows nothing: finite wherever they are asked.
    return 0.5 if math.isfinite(arguments[0]) else math.nan


@cache
def _definition(name: str) -> sympy.Expr:
    row = next(row for row in HEADS.values() if row.name == name)
    return expand_definition(row, X)
