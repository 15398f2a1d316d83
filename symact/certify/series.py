"""Taylor series of a function about a point, or with coefficients that hold for a whole interval, in ball arithmetic.

In: an exact Program and a ball, a point or an interval. Out: as many coefficients as `TERMS` says, as balls. About a
point they make a polynomial; over an interval the next coefficient bounds what the polynomial leaves out (Lagrange's
remainder). A function without a series of its own is the integral of its derivative, which the table of functions has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from flint import arb, arb_series, ctx

from symact.certify.flat import derivative_program
from symact.equivalence.exact.balls import (
    BALLS,
    DECIDING,
    NOTHING,
    UNDEFINED,
    UNKNOWN,
    Marker,
    constant_ball,
    precision,
)
from symact.program.program import Operation, Program

# Coefficients of a series, the constant one counted.
TERMS = 14

Series: TypeAlias = Any  # an arb_series, or a Marker


@contextmanager
def terms(bits: int) -> Iterator[None]:
    """Work with that many bits and `TERMS` coefficients; the settings of the caller are restored."""
    before = ctx.cap
    ctx.cap = TERMS
    try:
        with precision(bits):
            yield
    finally:
        ctx.cap = before


def coefficients(program: Program, x: arb) -> list[arb] | Marker:
    """The coefficients about `x`, or over `x` where it is wide; a marker where branches meet or bounds are missing.

    Args:
        program: an exact Program of one input.
        x: a point or an interval.
    """
    found = walked(program, arb_series([x, 1]))
    if isinstance(found, Marker):
        return found
    balls = found.coeffs()
    if found.prec < TERMS or not all(ball.is_finite() for ball in balls):
        return UNKNOWN
    return [*balls, *[arb(0)] * (TERMS - len(balls))]


def walked(program: Program, x: Series) -> Series:
    """A Program on a series."""
    values: list[Series] = [x]
    for operation in program.value_operations:
        values.append(_step(operation, [values[argument] for argument in operation.arguments]))
    return values[program.output]


def _step(operation: Operation, arguments: list[Series]) -> Series:
    name = operation.name
    if name == "const":
        return arb_series([constant_ball(operation.value)])
    if name == "where":
        condition, then, otherwise = arguments
        if isinstance(condition, Marker):
            return condition
        return otherwise if condition[0].is_zero() else then
    if any(isinstance(argument, Marker) for argument in arguments):
        return UNDEFINED if any(argument is UNDEFINED for argument in arguments) else UNKNOWN
    if name == "ipow":
        return _whole_power(arguments[0], int(operation.number))
    try:
        found = _ROWS[name](*arguments) if name in _ROWS else _integrated(name, *arguments)
    except (ValueError, ZeroDivisionError, KeyError):
        # What the library has no series for: a divisor that may be zero, a function whose row gives no derivative.
        return UNKNOWN
    return found


def _valued(name: str, *constants: arb) -> Any:
    row = BALLS[name]
    value = row(NOTHING, *constants) if row in DECIDING else row(*constants)
    return value if isinstance(value, Marker) or value.is_finite() else UNKNOWN


def _constant(name: str) -> Callable[..., Series]:
    """A function whose value is a whole number between its jumps: balls say which, or that one is near."""

    def row(*arguments: Series) -> Series:
        value = _valued(name, *(argument[0] for argument in arguments))
        return value if isinstance(value, Marker) else arb_series([value])

    return row


def _integrated(name: str, u: Series) -> Series:
    """`g(u)` by its value at the start and the integral of `g'(u) * u'`."""
    value = _valued(name, u[0])
    if isinstance(value, Marker):
        return value
    if u.length() <= 1:
        return arb_series([value])
    own = walked(derivative_program(name), u)
    return own if isinstance(own, Marker) else (own * u.derivative()).integral() + value


def _whole_power(base: Series, exponent: int) -> Series:
    result = arb_series([1])
    while exponent:
        result = result * base if exponent & 1 else result
        exponent >>= 1
        base = base * base if exponent else base
    return result


def _quotient(a: Series, b: Series) -> Series:
    if b[0].contains(0):
        return UNDEFINED if b[0].is_zero() and b.length() <= 1 else UNKNOWN
    return a / b


def _by_sign(above: Callable[[Series], Series], below: Callable[[Series], Series]) -> Callable[[Series], Series]:
    def row(u: Series) -> Series:
        return above(u) if u[0] > 0 else below(u) if u[0] < 0 else UNKNOWN

    return row


def _logarithm(u: Series) -> Series:
    return u.log() if u[0] > 0 else UNDEFINED if u[0] < 0 else UNKNOWN


def _root(u: Series) -> Series:
    return u.sqrt() if u[0] > 0 else UNDEFINED if u[0] < 0 else UNKNOWN


def _power(base: Series, exponent: Series) -> Series:
    whole = exponent.length() <= 1 and exponent[0].is_exact() and exponent[0].is_integer()
    if whole and abs(exponent[0]) <= 64:
        raised = _whole_power(base, abs(int(float(exponent[0]))))
        return raised if exponent[0] >= 0 else _quotient(arb_series([1]), raised)
    if base[0] > 0:
        return (exponent * base.log()).exp()
    return UNDEFINED if base[0] < 0 and exponent.length() <= 1 and not exponent[0].contains_integer() else UNKNOWN


def _extreme(largest: bool) -> Callable[[Series, Series], Series]:
    def row(a: Series, b: Series) -> Series:
        if a[0] > b[0]:
            return a if largest else b
        if a[0] < b[0]:
            return b if largest else a
        return UNKNOWN

    return row


def _sigmoid(u: Series) -> Series:
    if u[0] < 0:
        grown = u.exp()
        return grown / (grown + 1)
    return 1 / ((-u).exp() + 1)


def _tanh(u: Series) -> Series:
    if u.length() <= 1:
        return arb_series([u[0].tanh()])
    slope = 4 * _sigmoid(2 * u) * _sigmoid(-2 * u)
    return (slope * u.derivative()).integral() + u[0].tanh()


def _hyperbolic(sign: int) -> Callable[[Series], Series]:
    def row(u: Series) -> Series:
        return (u.exp() + sign * (-u).exp()) / 2

    return row


# One row per step that is not the integral of its derivative.
_ROWS: dict[str, Callable[..., Series]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _quotient,
    "neg": lambda a: -a,
    "pow": _power,
    "sqrt": _root,
    "log": _logarithm,
    "abs": _by_sign(lambda u: u, lambda u: -u),
    "relu": _by_sign(lambda u: u, lambda u: arb_series([0])),
    "max": _extreme(True),
    "min": _extreme(False),
    **{name: _constant(name) for name in ("sign", "floor", "heaviside", "lt", "le", "eq", "ne", "and", "or")},
    "exp": lambda u: u.exp(),
    "sin": lambda u: u.sin(),
    "cos": lambda u: u.cos(),
    "tan": lambda u: u.tan(),
    "sinh": _hyperbolic(-1),
    "cosh": _hyperbolic(1),
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "sinc": lambda u: UNKNOWN if u[0].contains(0) else u.sin() / u,
    "erfcx": lambda u: (u * u).exp() * _integrated("erfc", u),
    # Their derivatives lead back to themselves.
    **{name: lambda u: UNKNOWN for name in ("i0e", "i1e")},
    "lgamma": lambda u: u.lgamma() if u[0] > 0 else UNKNOWN,
}
