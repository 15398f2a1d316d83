"""Values of unevaluated formulas in mpmath, by the definitions alone: what tests of identity are checked against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mpmath
import sympy
from mpmath import mpf

from symact.expr.formula import expand_definition
from symact.expr.functions import HEADS

_PLAIN = {
    "abs": abs,
    "sign": mpmath.sign,
    "exp": mpmath.exp,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "asinh": mpmath.asinh,
    "atan": mpmath.atan,
    "erf": mpmath.erf,
    "erfc": mpmath.erfc,
    "i0e": lambda u: mpmath.besseli(0, u) * mpmath.exp(-abs(u)),
    "i1e": lambda u: mpmath.besseli(1, u) * mpmath.exp(-abs(u)),
    "floor": mpmath.floor,
    "lgamma": lambda u: None if u <= 0 and u == mpmath.floor(u) else mpmath.re(mpmath.loggamma(u)),
    "max": max,
    "min": min,
}
_RELATIONS = {
    sympy.StrictGreaterThan: lambda a, b: a > b,
    sympy.StrictLessThan: lambda a, b: a < b,
    sympy.GreaterThan: lambda a, b: a >= b,
    sympy.LessThan: lambda a, b: a <= b,
    sympy.Equality: lambda a, b: a == b,
    sympy.Unequality: lambda a, b: a != b,
}


def value(node: sympy.Basic, at: Mapping[str, mpf]) -> Any:
    """The value of unevaluated SymPy at named variables, at mpmath's precision; None where it is undefined."""
    if isinstance(node, sympy.Symbol):
        return at[node.name]
    if isinstance(node, sympy.Rational):
        return mpf(int(node.p)) / int(node.q)
    if node in (sympy.pi, sympy.E):
        return mpmath.pi() if node == sympy.pi else mpmath.e()
    if isinstance(node, sympy.Piecewise):
        return _branch(node, at)
    arguments = [value(argument, at) for argument in node.args]
    if any(argument is None for argument in arguments):
        return None
    if type(node) in _RELATIONS:
        return _RELATIONS[type(node)](*arguments)
    if isinstance(node, sympy.And | sympy.Or):
        return all(arguments) if isinstance(node, sympy.And) else any(arguments)
    if isinstance(node, sympy.Add):
        return mpmath.fsum(arguments)
    if isinstance(node, sympy.Mul):
        return mpmath.fprod(arguments)
    if isinstance(node, sympy.Pow):
        return _power(*arguments)
    row = HEADS[type(node)]
    if row.name == "log":
        return mpmath.log(arguments[0]) if arguments[0] > 0 else None
    if row.definition:
        return value(expand_definition(row, sympy.Symbol("u", real=True)), {"u": arguments[0]})
    return _PLAIN[row.name](*arguments)


def _branch(node: sympy.Piecewise, at: Mapping[str, mpf]) -> Any:
    for pair in node.args:
        taken = True if pair.args[1] == sympy.true else value(pair.args[1], at)
        if taken is None:
            return None
        if taken:
            return value(pair.args[0], at)
    return None


def _power(base: mpf, exponent: mpf) -> Any:
    whole = exponent == mpmath.floor(exponent)
    if (base < 0 and not whole) or (base == 0 and exponent < 0):
        return None
    return base ** int(exponent) if whole and abs(exponent) < 1e6 else mpmath.power(base, exponent)
