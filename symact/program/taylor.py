"""Taylor series of Programs at 0: what a function is where its quotients are 0/0.

`(x - sin(x))/x**3`, `1/expm1(x) - 1/x` and the derivatives of `log1p(x)/x` have values at 0 that no
precision computes from the formula near it. There a Program is replaced by its series, which is
found by arithmetic on truncated series, for either side of 0, and used only where it agrees with the
Program at the edge of the interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import mul

import numpy as np

from symact.expr.functions import FUNCTIONS
from symact.program.builder import Emitter, Value, call
from symact.program.derivatives import derivative
from symact.program.mpmath_values import at, fold
from symact.program.program import Program

# Number of terms: series are arrays of coefficients of x**0, x**1, ...; those of a Program's values start
# at x**-POLES instead, since sums of poles may be finite.
TERMS, POLES = 56, 8
# Terms that are used: quotients lose some at the end.
USED = 44
# Terms of a sum that cancel to less than this part of them are zero.
_ROUNDING = 1e-14
_RADII = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01)
# Terms that may count at the edge, relative to the largest, and how well series and Program agree there.
_NEGLIGIBLE, _ALL_DIGITS, _AGREEMENT = 1e-8, 1e-17, 1e-6

Series = np.ndarray


class NoSeriesError(ArithmeticError):
    """The function is not analytic at this side of 0."""


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


def _leading(a: Series) -> int:
    """The place of the first term that is not zero, or the length of the zero series."""
    found = np.flatnonzero(a)
    return int(found[0]) if len(found) else len(a)


def _divide(a: Series, b: Series) -> Series:
    """Powers of x that both have are cancelled; the terms that are lost at the end are taken as zero."""
    shift = _leading(b)
    if shift == TERMS or _leading(a) < shift:
        raise NoSeriesError
    return _ratio(np.append(a[shift:], np.zeros(shift)), np.append(b[shift:], np.zeros(shift)))


def _ratio(a: Series, b: Series) -> Series:
    """The quotient where `b[0]` is not 0."""
    # Lists: the series are short, and each step needs the one before.
    quotient: list[float] = []
    first, *others = b.tolist()
    for k, top in enumerate(a.tolist()):
        parts = list(map(mul, quotient, others[:k][::-1]))
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


def _exp(u: Series) -> Series:
    """y' = y*u'."""
    slope, y = _derivative(u), np.zeros(TERMS)
    y[0] = _number("exp", float(u[0]))
    for k in range(1, TERMS):
        y[k] = (y[:k] * slope[k - 1 :: -1][:k]).sum() / k
    return y


def _sine_and_cosine(u: Series, sign: float, even: str, odd: str) -> tuple[Series, Series]:
    """s' = c*u' and c' = sign*s*u', for circular and hyperbolic functions."""
    slope, s, c = _derivative(u), np.zeros(TERMS), np.zeros(TERMS)
    s[0], c[0] = _number(odd, float(u[0])), _number(even, float(u[0]))
    for k in range(1, TERMS):
        backwards = slope[k - 1 :: -1][:k]
        s[k], c[k] = (c[:k] * backwards).sum() / k, sign * (s[:k] * backwards).sum() / k
    return s, c


def _circular(u: Series) -> tuple[Series, Series]:
    return _sine_and_cosine(u, -1.0, "cos", "sin")


def _hyperbolic(u: Series) -> tuple[Series, Series]:
    return _sine_and_cosine(u, 1.0, "cosh", "sinh")


def _sqrt(u: Series) -> Series:
    order = _leading(u)
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


_I0, _I1 = _bessel(0), _bessel(1)
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


def _padded(series: Series) -> Series:
    return np.append(np.zeros(POLES), series)


class _Side:
    """Arithmetic on series with poles, on one side of 0.

    Args:
        side: 1.0 on the right, -1.0 on the left.

    Attributes:
        poles: whether what is not 0 at 0 was divided by what is.
        removable: whether 0 was divided by 0 there.
    """

    def __init__(self, side: float):
        self.side = side
        self.poles = self.removable = False
        self._open: set[str] = set()
        self.rows: dict[str, Callable[..., Series]] = {
            "add": _add,
            "sub": lambda a, b: _add(a, -b),
            "mul": self.multiply,
            "div": self.divide,
            "neg": lambda a: -a,
            "abs": self.absolute,
            "max": lambda a, b: b if self.sign(_add(a, -b)) < 0 else a,
            "min": lambda a, b: a if self.sign(_add(a, -b)) < 0 else b,
            "lt": lambda a, b: self.constant(float(self.sign(_add(a, -b)) < 0)),
            "le": lambda a, b: self.constant(float(self.sign(_add(a, -b)) <= 0)),
            "eq": lambda a, b: self.constant(float(self.sign(_add(a, -b)) == 0)),
            "pow": lambda a, b: self("exp", self.multiply(b, self("log", a))),
            "i0e": lambda a: self.multiply(self("exp", -self.absolute(a)), self.analytic(_I0, a)),
            "i1e_ratio": lambda a: self.multiply(self("exp", -self.absolute(a)), self.analytic(_I1, a)),
            "i1e": lambda a: self.multiply(a, self("i1e_ratio", a)),
            "erfcx": lambda a: self.multiply(self("exp", self.multiply(a, a)), self("erfc", a)),
            "erfcx_grad": lambda a: _add(2.0 * self.multiply(a, self("erfcx", a)), self.constant(-_PEAK)),
            "product_rest": lambda a, b: self.constant(0.0),
            "sum_rest": lambda a, b: self.constant(0.0),
            "sin_sum": lambda a, b: self("sin", _add(a, b)),
            "cos_sum": lambda a, b: self("cos", _add(a, b)),
            "i0e_minus_i1e": lambda a: _add(self("i0e", a), -self("i1e", a)),
        }

    def __call__(self, name: str, *arguments: Series) -> Series:
        if name in self.rows:
            return self.rows[name](*arguments)
        (u,) = arguments
        row = SERIES.get(name)
        return self.by_derivative(name, u) if row is None else self.analytic(row, u)

    def analytic(self, row: Callable[[Series], Series], u: Series) -> Series:
        """A function of a series without poles."""
        if u[:POLES].any():
            raise NoSeriesError
        return _padded(row(u[POLES:]))

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
        return _padded(_integral(_multiply(slope[POLES:], _derivative(u[POLES:])), _number(name, start)))

    def constant(self, value: float) -> Series:
        """A number as a series."""
        return _padded(_constant(value))

    def sign(self, u: Series) -> float:
        """The sign of a series close to 0."""
        order = _leading(u)
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
        top, bottom = _leading(a), _leading(b)
        if bottom == len(b) or top - bottom < -POLES:
            raise NoSeriesError
        self.poles |= bottom > POLES
        self.removable |= min(bottom, top) > POLES
        if top == len(a):
            return a
        quotient = _ratio(np.append(a[top:], np.zeros(top)), np.append(b[bottom:], np.zeros(bottom)))
        return np.append(np.zeros(POLES + top - bottom), quotient)[: len(a)]


def _run(program: Program, rows: _Side) -> list[Series]:
    """The series of the outputs at `grad` 1; a value that has none may stand in a branch that is not taken."""
    values: list[Series | None] = [_padded(np.append([0.0, 1.0], np.zeros(TERMS - 2)))]
    values += [rows.constant(1.0) for _ in program.inputs[1:]]
    for operation in program.operations:
        if operation.name == "const":
            values.append(rows.constant(operation.number))
            continue
        condition = values[operation.arguments[0]]
        if operation.name == "where" and condition is not None:
            values.append(values[operation.arguments[1 if condition[POLES] != 0 else 2]])
            continue
        arguments = [a for a in (values[number] for number in operation.arguments) if a is not None]
        try:
            if len(arguments) < len(operation.arguments):
                raise NoSeriesError
            with np.errstate(all="ignore"):
                found = rows(operation.name, *arguments)
            values.append(found if np.isfinite(found).all() else None)
        except NoSeriesError:
            values.append(None)
    outputs = [values[output] for output in program.outputs]
    if any(output is None for output in outputs):
        raise NoSeriesError
    return [output for output in outputs if output is not None]


def _quotients(program: Program) -> bool:
    """Whether anything is divided by what may be 0 at 0."""
    constant = {len(program.inputs) + i for i, o in enumerate(program.operations) if o.name == "const"}
    return any(o.name == "div" and o.arguments[1] not in constant for o in program.operations)


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
    sides = _Side(1.0), _Side(-1.0)
    try:
        right, left = (_run(program, side)[0] for side in sides)
    except NoSeriesError:
        return None
    poles = max(POLES - min(_leading(right), _leading(left)), 0)
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
    builder = Emitter(program.inputs, stable=False)
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
