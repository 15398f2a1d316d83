"""Value and derivative of a function at a point, as balls that surely hold them.

In: an exact Program (`flat`) and a number. Out: a `BallDual`. The derivative is that of the chain rule, with every
function's own derivative from the table of functions. Where branches meet (at a kink, at a jump, at the edge of a
`where`) the derivative is `EDGE`: whether it exists there is another question, which `reference` settles.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from flint import arb

from symact.certify.flat import derivative_program
from symact.equivalence.exact.balls import (
    BALLS,
    DECIDING,
    EXPONENTS,
    NOTHING,
    UNDEFINED,
    UNKNOWN,
    Marker,
    constant_ball,
    runner,
)
from symact.expr.formula import applied
from symact.expr.functions import FUNCTIONS, X
from symact.program.from_sympy import program_of
from symact.program.program import Operation, Program

# Functions that are constant between their jumps.
JUMPING = frozenset(name for name, row in FUNCTIONS.items() if row.derivative == "0")

# The derivative where branches meet.
EDGE = Marker("EDGE")


class BallDual(NamedTuple):
    """A value and its derivative in `x`: balls, or `UNKNOWN`, `UNDEFINED` and, of a derivative, `EDGE`."""

    value: Any
    slope: Any


_ZERO, _ONE = arb(0), arb(1)


def evaluate(program: Program, x: Any, last: bool = False) -> BallDual:
    """Value and derivative at the current precision.

    Args:
        program: an exact Program of one input.
        x: a ball.
        last: take a ball that holds zero for zero where a decision hangs on it.
    """
    decided = EXPONENTS if last else NOTHING
    duals = [BallDual(x, _ONE)]
    for operation in program.value_operations:
        duals.append(_step(operation, [duals[argument] for argument in operation.arguments], decided))
    return duals[program.output]


def _step(operation: Operation, arguments: list[BallDual], decided: int) -> BallDual:
    name = operation.name
    if name == "const":
        return BallDual(constant_ball(operation.value), _ZERO)
    if name == "where":
        return _where(*arguments)
    for argument in arguments:
        if argument.value.__class__ is Marker:
            undefined = any(each.value is UNDEFINED for each in arguments)
            return BallDual(UNDEFINED, UNDEFINED) if undefined else BallDual(UNKNOWN, UNKNOWN)
    if name == "ipow":
        return _whole_power(arguments[0], int(operation.number), decided)
    value = _valued(name, decided, *[argument.value for argument in arguments])
    if value.__class__ is Marker:
        return BallDual(value, value)
    slopes = [argument.slope for argument in arguments]
    rule = _RULES.get(name)
    if rule is None:
        return BallDual(value, _chained(name, arguments[0].value, slopes[0]))
    for slope in slopes:
        if slope.__class__ is Marker:
            return BallDual(value, slope)
    return BallDual(value, rule(value, arguments, decided))


def _valued(name: str, decided: int, *operands: arb) -> Any:
    row = BALLS[name]
    if row in DECIDING:
        return row(decided, *operands)
    value = row(*operands)
    return value if value.is_finite() else UNKNOWN


def _chained(name: str, u: arb, slope: Any) -> Any:
    """The chain rule for a function of one argument."""
    if slope.__class__ is Marker or slope.is_zero():
        return slope
    own = u.digamma() if name == "lgamma" else runner(_derivative(name))(NOTHING, u)
    if own is UNDEFINED:
        return EDGE
    return UNKNOWN if own is UNKNOWN else _known(own * slope)


@cache
def _derivative(name: str) -> Program:
    return derivative_program(name)


def _known(ball: arb) -> Any:
    return ball if ball.is_finite() else UNKNOWN


def _where(condition: BallDual, then: BallDual, otherwise: BallDual) -> BallDual:
    if condition.value.__class__ is Marker:
        return BallDual(condition.value, condition.value)
    taken = otherwise if condition.value.is_zero() else then
    if condition.slope is EDGE and taken.value.__class__ is not Marker:
        return BallDual(taken.value, EDGE)
    return taken


def _whole_power(base: BallDual, exponent: int, decided: int) -> BallDual:
    value = _pow(base.value, exponent)
    if base.slope.__class__ is Marker:
        return BallDual(value, base.slope)
    return BallDual(value, _known(exponent * _pow(base.value, exponent - 1) * base.slope))


def _pow(base: arb, exponent: int) -> Any:
    if exponent == 0:
        return _ONE
    return base**exponent if not base.contains(0) or base.is_zero() else _known(base**exponent)


def _product(value: arb, arguments: list[BallDual], decided: int) -> Any:
    a, b = arguments
    return _known(a.slope * b.value + a.value * b.slope)


def _quotient(value: arb, arguments: list[BallDual], decided: int) -> Any:
    a, b = arguments
    return _known((a.slope - value * b.slope) / b.value)


def _root(value: arb, arguments: list[BallDual], decided: int) -> Any:
    slope = arguments[0].slope
    if slope.is_zero():
        return slope
    if value.is_zero():
        return EDGE
    return _known(slope / (2 * value))


def _power(value: arb, arguments: list[BallDual], decided: int) -> Any:
    base, exponent = arguments
    result = _ZERO
    if not base.slope.is_zero():
        lowered = BALLS["pow"](decided, base.value, exponent.value - 1)
        if lowered.__class__ is Marker:
            return EDGE if lowered is UNDEFINED else UNKNOWN
        result = exponent.value * lowered * base.slope
    if not exponent.slope.is_zero():
        if base.value.is_zero():
            return EDGE
        logarithm = base.value.log()
        if not logarithm.is_finite():
            return UNKNOWN
        result = result + value * logarithm * exponent.slope
    return _known(result)


def _absolute(value: arb, arguments: list[BallDual], decided: int) -> Any:
    u, slope = arguments[0]
    if slope.is_zero() or u > 0:
        return slope
    return -slope if u < 0 else (EDGE if u.is_zero() or decided else UNKNOWN)


@cache
def _ends_of_pieces(name: str) -> list[Program]:
    return [program_of(applied(quantity, X), ("x",)) for quantity in FUNCTIONS[name].pieces]


def _jumping(name: str) -> Callable[[arb, list[BallDual], int], Any]:
    """A function that is constant between its jumps."""

    def rule(value: arb, arguments: list[BallDual], decided: int) -> Any:
        u, slope = arguments[0]
        ends = [] if slope.is_zero() else [runner(program)(NOTHING, u) for program in _ends_of_pieces(name)]
        return EDGE if any(end.__class__ is Marker or end.contains(0) for end in ends) else _ZERO

    return rule


def _extreme(value: arb, arguments: list[BallDual], largest: bool, decided: int) -> Any:
    a, b = arguments
    if a.value > b.value:
        return (a if largest else b).slope
    if a.value < b.value:
        return (b if largest else a).slope
    if a.slope.is_zero() and b.slope.is_zero():
        return _ZERO
    return EDGE if decided or (a.value - b.value).is_zero() else UNKNOWN


def _compared(value: arb, arguments: list[BallDual], decided: int) -> Any:
    """0, or an edge: where both sides are equal and move apart, the other branch begins."""
    a, b = arguments
    if a.slope.is_zero() and b.slope.is_zero():
        return _ZERO
    return EDGE if a.value.overlaps(b.value) else _ZERO


def _kinked(inside: Callable[[arb], arb]) -> Callable[[arb, list[BallDual], int], Any]:
    """A function that is another one on either side of 0, whose slope is `inside` away from it."""

    def rule(value: arb, arguments: list[BallDual], decided: int) -> Any:
        u, slope = arguments[0]
        if slope.is_zero():
            return slope
        if u.contains(0):
            return EDGE if u.is_zero() or decided else UNKNOWN
        return _known(inside(u) * slope)

    return rule


def _by_row(name: str) -> Callable[[arb], arb]:
    return lambda u: runner(_derivative(name))(NOTHING, u)


_RULES: dict[str, Callable[[arb, list[BallDual], int], Any]] = {
    "add": lambda value, arguments, decided: arguments[0].slope + arguments[1].slope,
    "sub": lambda value, arguments, decided: arguments[0].slope - arguments[1].slope,
    "mul": _product,
    "div": _quotient,
    "neg": lambda value, arguments, decided: -arguments[0].slope,
    "pow": _power,
    "sqrt": _root,
    "abs": _absolute,
    **{name: _jumping(name) for name in JUMPING},
    "relu": _kinked(lambda u: _ONE if u > 0 else _ZERO),
    "elu": _kinked(_by_row("elu")),
    "selu": _kinked(_by_row("selu")),
    "i0e": _kinked(_by_row("i0e")),
    "i1e": _kinked(_by_row("i1e")),
    "max": lambda value, arguments, decided: _extreme(value, arguments, True, decided),
    "min": lambda value, arguments, decided: _extreme(value, arguments, False, decided),
    **dict.fromkeys(("lt", "le", "eq", "ne"), _compared),
    "and": lambda value, arguments, decided: _ZERO,
    "or": lambda value, arguments, decided: _ZERO,
}
