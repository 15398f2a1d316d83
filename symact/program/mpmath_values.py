"""What every operation of the instruction set means, in mpmath: the yardstick of all back ends.

`MEANING` has one row per operation. Checks evaluate Programs by it, constants are folded by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import mpmath
from mpmath import mp, mpf

from symact.program.program import Program

_NAN, _INFINITY = mpf("nan"), mpf("inf")
# The square of less is nothing beside 1 at the precision that is worked in.
_TINY = mpf(2) ** -500
# Beyond 2**_HUGE an argument of exp overflows every format there is.
_HUGE = 220
_MANY_FACTORS = mpf(2) ** 64
# Beyond 2**_TURNS, outside every format, an angle is not reduced: that takes as many digits of pi as the angle has.
_TURNS = 1100


def exp(x: Any) -> Any:
    """The exponential function; 0 or infinite where the exponent has more digits than memory."""
    if mpmath.isfinite(x) and abs(x) > mpf(2) ** _HUGE:
        return _INFINITY if x > 0 else mpf(0)
    return mpmath.exp(x)


def _sinh(x: Any) -> Any:
    return mpmath.sign(x) * _INFINITY if abs(x) > mpf(2) ** _HUGE else mpmath.sinh(x)


def _cosh(x: Any) -> Any:
    return _INFINITY if abs(x) > mpf(2) ** _HUGE else mpmath.cosh(x)


def _tanh(x: Any) -> Any:
    return mpmath.sign(x) if abs(x) > mpf(10) ** 6 else mpmath.tanh(x)


def _circular(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: _NAN if abs(x) > mpf(2) ** _TURNS else function(x)


def _erfc(x: Any) -> Any:
    """erfc, by its asymptotic series where mpmath's own is slow (DLMF 7.12.1)."""
    if x > 1e4:
        total = term = mpf(1)
        square = 2 * x * x
        for k in range(1, 40):
            term *= -(2 * k - 1) / square
            total += term
        return exp(-x * x) / (x * mpmath.sqrt(mp.pi)) * total
    return mpf(2) if x < -1e4 else mpmath.erfc(x)


def _erf(x: Any) -> Any:
    return 1 - _erfc(x) if abs(x) > 1e4 else mpmath.erf(x)


def _real_power(base: Any, exponent: Any) -> Any:
    if base == 0 and exponent < 0:
        return mpf("inf")
    if base < 0 and exponent != mpmath.floor(exponent):
        return _NAN
    if abs(exponent) > _MANY_FACTORS and base != 0:
        # Repeated squaring takes milliseconds.
        with mp.extraprec(_HUGE + 40):
            size = exp(exponent * mpmath.log(abs(base)))
        return -size if base < 0 and exponent % 2 == 1 else size
    return mpmath.power(base, exponent)


def _erfcx(x: Any) -> Any:
    if x > 1e8:
        return 1 / (x * mpmath.sqrt(mp.pi))
    with mp.extraprec(60):
        return exp(x * x) * _erfc(x)


def _scaled_bessel(order: int, x: Any) -> Any:
    """`exp(-|x|) I_order(x)`, order 0 or 1; DLMF 10.40.1 for large arguments, where mpmath is slow as for tiny ones."""
    size = abs(x)
    if size < _TINY:
        return (x / 2 if order else 1) * mpmath.exp(-size)
    if size < 1000:
        return mpmath.besseli(order, x) * mpmath.exp(-size)
    total, term = mpf(1), mpf(1)
    for k in range(1, 150):
        term *= -mpf(4 * order * order - (2 * k - 1) ** 2) / (k * 8 * size)
        total += term
    value = total / mpmath.sqrt(2 * mp.pi * size)
    return -value if order % 2 and x < 0 else value


def _difference(x: Any) -> Any:
    with mp.extraprec(160):
        return _scaled_bessel(0, x) - _scaled_bessel(1, x)


def _sinc_grad(x: Any) -> Any:
    if x == 0:
        return mpf(0)
    # Near 0 all digits cancel down to the square of x.
    with mp.extraprec(400 - 2 * min(mpmath.mag(x), 0)):
        return (mpmath.cos(x) - mpmath.sin(x) / x) / x


def _lgamma(x: Any) -> Any:
    """log(abs(Gamma(x))), infinite at its poles."""
    if x <= 0 and (x == mpmath.floor(x) or x < -(mpf(2) ** 60)):
        return mpf("inf")
    return mpmath.re(mpmath.loggamma(x))


def _softplus(x: Any) -> Any:
    return mpmath.log1p(exp(x)) if x < 0 else x + mpmath.log1p(exp(-x))


def _log_ndtr(x: Any) -> Any:
    if x < -1e6:
        return -x * x / 2 - mpmath.log(-x) - mpmath.log(2 * mp.pi) / 2 + mpmath.log1p(-1 / (x * x))
    if x > 0:
        return mpmath.log1p(-_erfc(x / mpmath.sqrt(2)) / 2)
    return mpmath.log(_erfc(-x / mpmath.sqrt(2)) / 2)


def _logcosh(x: Any) -> Any:
    size = abs(x)
    with mp.extraprec(220):
        return size + mpmath.log1p(exp(-2 * size)) - mpmath.log(2)


# Arguments are finite mpf numbers unless a step before was undefined.
MEANING: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b if b != 0 else (_NAN if a == 0 else mpf("inf") * mpmath.sign(a)),
    "neg": lambda a: -a,
    "abs": abs,
    "sign": mpmath.sign,
    "floor": mpmath.floor,
    "max": max,
    "min": min,
    "lt": lambda a, b: mpf(a < b),
    "le": lambda a, b: mpf(a <= b),
    "eq": lambda a, b: mpf(a == b),
    "where": lambda c, a, b: a if c != 0 else b,
    "sqrt": lambda a: mpmath.sqrt(a) if a >= 0 else _NAN,
    "pow": _real_power,
    "exp": exp,
    "expm1": mpmath.expm1,
    "log": lambda a: mpmath.log(a) if a > 0 else (-mpf("inf") if a == 0 else _NAN),
    "log1p": lambda a: mpmath.log1p(a) if a > -1 else (-mpf("inf") if a == -1 else _NAN),
    "sin": _circular(mpmath.sin),
    "cos": _circular(mpmath.cos),
    "tan": _circular(mpmath.tan),
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "asinh": mpmath.asinh,
    "atan": mpmath.atan,
    "sigmoid": lambda a: 1 / (1 + exp(-a)),
    "logsigmoid": lambda a: -_softplus(-a),
    "softplus": _softplus,
    "erf": _erf,
    "erfc": _erfc,
    "erfcx": _erfcx,
    "ndtr": lambda a: _erfc(-a / mpmath.sqrt(2)) / 2,
    "log_ndtr": _log_ndtr,
    "logcosh": _logcosh,
    "i0e": lambda a: _scaled_bessel(0, a),
    "i1e": lambda a: _scaled_bessel(1, a),
    "sinc": lambda a: mpmath.sin(a) / a if a != 0 else mpf(1),
    "lgamma": _lgamma,
    "sinc_grad": _sinc_grad,
    "erfcx_grad": lambda a: _erfcx_grad(a),
    "i1e_ratio": lambda a: _scaled_bessel(1, a) / a if a != 0 else mpf(0.5),
    "i0e_minus_i1e": _difference,
    "hypot1": lambda a: mpmath.sqrt(1 + a * a),
    "product_rest": lambda a, b: mpf(0),
    "sum_rest": lambda a, b: mpf(0),
    "sin_sum": lambda a, b: mpmath.sin(a + b),
    "cos_sum": lambda a, b: mpmath.cos(a + b),
}


def _erfcx_grad(x: Any) -> Any:
    if x > 1e6:
        return (1.5 / (x * x) - 1) / (mpmath.sqrt(mp.pi) * x * x)
    with mp.extraprec(200):
        return 2 * x * _erfcx(x) - 2 / mpmath.sqrt(mp.pi)


def fold(name: str, arguments: list[float]) -> float | None:
    """`name(arguments)` correctly rounded to float64, or None where it is not finite."""
    return _folded(name, *arguments) if all(map(math.isfinite, arguments)) else None


# Zeros of either sign are one key, and one number to mpmath.
@lru_cache(maxsize=65536)
def _folded(name: str, *arguments: float) -> float | None:
    with mp.workprec(120):
        found = float(MEANING[name](*map(mpf, arguments)))
    return found if math.isfinite(found) else None


def at(program: Program, *inputs: float) -> list[float]:
    """The outputs of a Program at one point in float64; NaN where one is not finite."""
    values = values_at(program, *inputs)
    return [values[output] if math.isfinite(values[output]) else math.nan for output in program.outputs]


def values_at(program: Program, *inputs: float) -> list[float]:
    """All values of a Program at one point in float64, by value number, each operation right to an ulp or so."""
    values = list(inputs)
    for operation in program.operations:
        if operation.name == "const":
            values.append(operation.number)
            continue
        arguments = [values[a] for a in operation.arguments]
        if operation.name == "where":
            values.append(arguments[1] if arguments[0] != 0.0 else arguments[2])
        elif operation.name in _PLAIN:
            values.append(_PLAIN[operation.name](*arguments))
        elif operation.name in _LIBM:
            values.append(_by_libm(operation.name, arguments[0]))
        else:
            values.append(value(operation.name, *arguments))
    return values


# What Python's floats compute as float64 does.
_PLAIN: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b if b else (math.nan if not a or math.isnan(a) else math.copysign(math.inf, a)),
    "neg": lambda a: -a,
    "abs": abs,
    "sign": lambda a: a if math.isnan(a) or not a else math.copysign(1.0, a),
    "max": lambda a, b: math.nan if math.isnan(a) or math.isnan(b) else max(a, b),
    "min": lambda a, b: math.nan if math.isnan(a) or math.isnan(b) else min(a, b),
    "lt": lambda a, b: float(a < b),
    "le": lambda a, b: float(a <= b),
    "eq": lambda a, b: float(a == b),
}


# What the C library computes all but as well as mpmath, in a hundredth of the time.
_LIBM: dict[str, Callable[[float], float]] = {
    name: getattr(math, name)
    for name in ("sqrt", "exp", "expm1", "log", "log1p", "sinh", "cosh", "tanh", "asinh", "atan", "erf", "erfc")
}


def _by_libm(name: str, x: float) -> float:
    """A function of the C library; NaN where it is not finite."""
    try:
        found = _LIBM[name](x) if math.isfinite(x) else math.nan
    except (ValueError, OverflowError):
        return math.nan
    return found


def value(name: str, *arguments: float) -> float:
    """`name(arguments)` rounded to float64; NaN where it is not finite."""
    found = fold(name, list(arguments))
    return math.nan if found is None else found
