"""Truncated power series on one side of 0, and what every instruction makes of them.

In: the coefficients of its arguments. Out: those of its value. Functions come from their derivatives in the table
of functions, but for those that the others are made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from operator import mul

import numpy as np

from symact.expr.functions import FUNCTIONS
from symact.program.derivatives import derivative
from symact.program.mpmath_values import fold

# Number of terms: series are arrays of coefficients of x**0, x**1, ...; those of a Program's values start
# at x**-POLES instead, since sums of poles may be finite.
TERMS, POLES = 56, 8
# Terms of a sum that cancel to less than this part of them are zero.
_ROUNDING = 1e-14

Series = np.ndarray


class NoSeriesError(ArithmeticError):
    """The function is not analytic at this side of 0."""


def _remembered(row: Callable[..., Series]) -> Callable[..., Series]:
    """The same function of series, which keeps what it found: derivatives ask for what values have asked for."""

    @lru_cache(maxsize=2048)
    def kept(*contents: bytes) -> Series:
        found = row(*map(np.frombuffer, contents))
        found.flags.writeable = False
        return found

    return lambda *arguments: kept(*[argument.tobytes() for argument in arguments])


def _constant(value: float) -> Series:
    result = np.zeros(TERMS)
    result[0] = value
    return result


def _cleaned(total: Series, scale: Series) -> Series:
    return np.where(np.abs(total) <= _ROUNDING * scale, 0.0, total)


def _add(a: Series, b: Series) -> Series:
    return _cleaned(a + b, np.abs(a) + np.abs(b))


def _multiply(a: Series, b: Series) -> Series:
    product = np.convolve(a, b)[:TERMS]
    return _cleaned(product, np.convolve(np.abs(a), np.abs(b))[:TERMS])


def leading(a: Series) -> int:
    """The place of the first term that is not zero, or the length of the zero series."""
    found = np.flatnonzero(a)
    return int(found[0]) if len(found) else len(a)


def _divide(a: Series, b: Series) -> Series:
    """Powers of x that both have are cancelled; the terms that are lost at the end are taken as zero."""
    shift = leading(b)
    if shift == TERMS or leading(a) < shift:
        raise NoSeriesError
    return _ratio(np.append(a[shift:], np.zeros(shift)), np.append(b[shift:], np.zeros(shift)))


@_remembered
def _ratio(a: Series, b: Series) -> Series:
    """The quotient where `b[0]` is not 0."""
    # Lists: the series are short, and each step needs the one before.
    quotient: list[float] = []
    first, *others = b.tolist()
    while others and others[-1] == 0.0:
        others.pop()
    backwards, count = others[::-1], len(others)
    for k, top in enumerate(a.tolist()):
        parts = list(map(mul, quotient[max(k - count, 0) :], backwards[max(count - k, 0) :]))
        rest = top - sum(parts)
        quotient.append(0.0 if abs(rest) <= _ROUNDING * (abs(top) + sum(map(abs, parts))) else rest / first)
    return np.array(quotient)


def _derivative(a: Series) -> Series:
    return np.append(a[1:] * np.arange(1, TERMS), 0.0)


def _integral(a: Series, start: float) -> Series:
    return np.append(start, a[:-1] / np.arange(1, TERMS))


@lru_cache(maxsize=4096)
def _number(name: str, x: float) -> float:
    value = fold(name, [x])
    if value is None:
        raise NoSeriesError
    return value


@_remembered
def _exp(u: Series) -> Series:
    """y' = y*u'."""
    slope, y = _derivative(u), np.zeros(TERMS)
    y[0] = _number("exp", float(u[0]))
    for k in range(1, TERMS):
        y[k] = (y[:k] * slope[k - 1 :: -1][:k]).sum() / k
    return y


def _sine_and_cosine(u: Series, sign: float, even: str, odd: str) -> Series:
    """s' = c*u' and c' = sign*s*u', for circular and hyperbolic functions."""
    slope, s, c = _derivative(u), np.zeros(TERMS), np.zeros(TERMS)
    s[0], c[0] = _number(odd, float(u[0])), _number(even, float(u[0]))
    for k in range(1, TERMS):
        backwards = slope[k - 1 :: -1][:k]
        s[k], c[k] = (c[:k] * backwards).sum() / k, sign * (s[:k] * backwards).sum() / k
    return np.stack([s, c])


@_remembered
def _circular(u: Series) -> Series:
    return _sine_and_cosine(u, -1.0, "cos", "sin")


@_remembered
def _hyperbolic(u: Series) -> Series:
    return _sine_and_cosine(u, 1.0, "cosh", "sinh")


@_remembered
def _sqrt(u: Series) -> Series:
    order = leading(u)
    if order % 2 or (order < TERMS and u[order] < 0):
        raise NoSeriesError
    if order == TERMS:
        return u
    shifted, y = np.append(u[order:], np.zeros(order)), np.zeros(TERMS)
    y[0] = math.sqrt(shifted[0])
    for k in range(1, TERMS):
        y[k] = (shifted[k] - (y[1:k] * y[k - 1 : 0 : -1]).sum()) / (2.0 * y[0])
    half = order // 2
    return np.append(np.zeros(half), y)[:TERMS]


def _one_plus_square(u: Series) -> Series:
    return _add(_constant(1.0), _multiply(u, u))


def _inverse(u: Series) -> Series:
    return _divide(_constant(1.0), u)


def _log(u: Series) -> Series:
    if not u[0] > 0:
        raise NoSeriesError
    return _integral(_divide(_derivative(u), u), _number("log", float(u[0])))


def _sigmoid(u: Series) -> Series:
    return _inverse(_add(_constant(1.0), _exp(-u)))


def _sinc(u: Series) -> Series:
    return _divide(_circular(u)[0], u)


def _bessel(order: int) -> Callable[[Series], Series]:
    """I_order(u)/u**order, by its power series (DLMF 10.25.2), for u that is 0 at 0."""

    def row(u: Series) -> Series:
        if u[0] != 0:
            raise NoSeriesError
        quarter, total = 0.25 * _multiply(u, u), _constant(0.0)
        for k in range(TERMS // 2, 0, -1):
            total = _multiply(quarter, _add(total, _constant(1.0))) / (k * (k + order))
        return (0.5 if order else 1.0) * _add(total, _constant(1.0))

    return row


_I0, _I1 = _remembered(_bessel(0)), _remembered(_bessel(1))
_PEAK = 2.0 / math.sqrt(math.pi)

# Functions of one argument that are analytic where they are defined: those that others are made of, and helpers.
SERIES: dict[str, Callable[[Series], Series]] = {
    "sqrt": _sqrt,
    "exp": _exp,
    "expm1": lambda u: np.append(_number("expm1", float(u[0])), _exp(u)[1:]),
    "log": _log,
    "sin": lambda u: _circular(u)[0],
    "cos": lambda u: _circular(u)[1],
    "tan": lambda u: _divide(*_circular(u)),
    "sinh": lambda u: _hyperbolic(u)[0],
    "cosh": lambda u: _hyperbolic(u)[1],
    "sigmoid": _sigmoid,
    "hypot1": lambda u: _sqrt(_one_plus_square(u)),
    "sinc": _sinc,
    "sinc_grad": lambda u: _divide(_add(_circular(u)[1], -_sinc(u)), u),
}


def padded(series: Series) -> Series:
    """A series without poles as those with poles are written."""
    return np.append(np.zeros(POLES), series)


class Side:
    """Arithmetic on series with poles, on one side of 0.

    Args:
        side: 1.0 on the right, -1.0 on the left.

    Attributes:
        poles: whether what is not 0 at 0 was divided by what is.
        removable: whether 0 was divided by 0 there.
        mattered: whether anything was another on the other side.
    """

    def __init__(self, side: float):
        self.side = side
        self.poles = self.removable = self.mattered = False
        self._open: set[str] = set()

    def __call__(self, name: str, *arguments: Series) -> Series:
        """The series of `name(arguments)`.

        Raises:
            NoSeriesError: it has none.
        """
        if name in _ROWS:
            return _ROWS[name](self, *arguments)
        (u,) = arguments
        row = SERIES.get(name)
        return self.by_derivative(name, u) if row is None else self.analytic(row, u)

    def analytic(self, row: Callable[[Series], Series], u: Series) -> Series:
        """A function of a series without poles."""
        if u[:POLES].any():
            raise NoSeriesError
        return padded(row(u[POLES:]))

    def by_derivative(self, name: str, u: Series) -> Series:
        """A function by its limit at 0 and the integral of the derivative that the table of functions has."""
        if name in self._open or u[:POLES].any():
            raise NoSeriesError
        start = float(u[POLES])
        if FUNCTIONS[name].derivative == "0":
            # It jumps, perhaps just here.
            side = self.sign(_add(u, -self.constant(start)))
            return self.constant(_number(name, math.nextafter(start, side * math.inf) if side else start))
        self._open.add(name)
        try:
            program = derivative(name)
            values = [u]
            for operation in program.operations:
                if operation.name == "const":
                    values.append(self.constant(operation.number))
                else:
                    values.append(self(operation.name, *[values[a] for a in operation.arguments]))
        finally:
            self._open.remove(name)
        slope = values[program.output]
        if slope[:POLES].any():
            raise NoSeriesError
        return padded(_integral(_multiply(slope[POLES:], _derivative(u[POLES:])), _number(name, start)))

    def constant(self, value: float) -> Series:
        """A number as a series."""
        return padded(_constant(value))

    def sign(self, u: Series) -> float:
        """The sign of a series close to 0."""
        order = leading(u)
        self.mattered |= order != len(u) and order % 2 == 1
        return 0.0 if order == len(u) else math.copysign(1.0, u[order]) * self.side ** (order % 2)

    def absolute(self, u: Series) -> Series:
        """The absolute value of a series close to 0."""
        return -u if self.sign(u) < 0 else u

    def multiply(self, a: Series, b: Series) -> Series:
        """The product."""
        product = np.convolve(a, b)[: 2 * POLES + TERMS]
        product = _cleaned(product, np.convolve(np.abs(a), np.abs(b))[: 2 * POLES + TERMS])
        if product[:POLES].any():
            raise NoSeriesError
        return product[POLES:]

    def divide(self, a: Series, b: Series) -> Series:
        """The quotient; terms that are lost at the end are taken as zero."""
        top, bottom = leading(a), leading(b)
        if bottom == len(b) or top - bottom < -POLES:
            raise NoSeriesError
        self.poles |= bottom > POLES
        self.removable |= min(bottom, top) > POLES
        if top == len(a):
            return a
        quotient = _ratio(np.append(a[top:], np.zeros(top)), np.append(b[bottom:], np.zeros(bottom)))
        return np.append(np.zeros(POLES + top - bottom), quotient)[: len(a)]


# (side, arguments) -> the value; of all that may have a pole, or that depends on the side.
_ROWS: dict[str, Callable[..., Series]] = {
    "add": lambda _, a, b: _add(a, b),
    "sub": lambda _, a, b: _add(a, -b),
    "mul": lambda side, a, b: side.multiply(a, b),
    "div": lambda side, a, b: side.divide(a, b),
    "neg": lambda _, a: -a,
    "abs": lambda side, a: side.absolute(a),
    "max": lambda side, a, b: b if side.sign(_add(a, -b)) < 0 else a,
    "min": lambda side, a, b: a if side.sign(_add(a, -b)) < 0 else b,
    "lt": lambda side, a, b: side.constant(float(side.sign(_add(a, -b)) < 0)),
    "le": lambda side, a, b: side.constant(float(side.sign(_add(a, -b)) <= 0)),
    "eq": lambda side, a, b: side.constant(float(side.sign(_add(a, -b)) == 0)),
    "pow": lambda side, a, b: side("exp", side.multiply(b, side("log", a))),
    "i0e": lambda side, a: side.multiply(side("exp", -side.absolute(a)), side.analytic(_I0, a)),
    "i1e_ratio": lambda side, a: side.multiply(side("exp", -side.absolute(a)), side.analytic(_I1, a)),
    "i1e": lambda side, a: side.multiply(a, side("i1e_ratio", a)),
    "erfcx": lambda side, a: side.multiply(side("exp", side.multiply(a, a)), side("erfc", a)),
    "erfcx_grad": lambda side, a: _add(2.0 * side.multiply(a, side("erfcx", a)), side.constant(-_PEAK)),
    "product_rest": lambda side, a, b: side.constant(0.0),
    "sum_rest": lambda side, a, b: side.constant(0.0),
    "sin_sum": lambda side, a, b: side("sin", _add(a, b)),
    "cos_sum": lambda side, a, b: side("cos", _add(a, b)),
    "i0e_minus_i1e": lambda side, a: _add(side("i0e", a), -side("i1e", a)),
}
