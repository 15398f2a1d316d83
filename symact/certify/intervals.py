"""A function and its derivative over a whole interval: bounds that hold for every real number in it.

In: an exact Program and an `Interval` of any width. Out: a `Bounds`. Ends are exact binary numbers and are rounded
outwards. Functions that only rise or only fall are evaluated at the ends. The *ratio*, derivative by value, is carried
along, because products add it: so the sign of `x*sigmoid(x)`'s derivative is decided far from 0, where the derivative
itself spans hundreds of orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from flint import arb

from symact.certify.duals import JUMPING
from symact.certify.flat import derivative_program
from symact.certify.interval import (
    ONE,
    ZERO,
    Interval,
    absolute,
    add,
    divide,
    hull,
    intersection,
    multiply,
    negative,
    outer,
    signed,
)
from symact.equivalence.exact.balls import BALLS, DECIDING, NOTHING, UNDEFINED, UNKNOWN, Marker, constant_ball, runner
from symact.program.program import Operation, Program


class Bounds(NamedTuple):
    """Bounds of a function over an interval; `UNKNOWN` where there are none, `UNDEFINED` where it surely is.

    Attributes:
        value: of the function.
        slope: of its derivative, one-sided derivatives at kinks included.
        ratio: of the derivative divided by the value.
        ends: the values at both ends of the interval, as balls; empty where they are not known.
    """

    value: Any
    slope: Any
    ratio: Any
    ends: tuple[Any, ...] = ()

    @property
    def slope_sign(self) -> int | None:
        """The one sign that the derivative has, if that is known."""
        if isinstance(self.slope, Interval) and self.slope.sign is not None:
            return self.slope.sign
        if isinstance(self.ratio, Interval) and isinstance(self.value, Interval):
            signs = self.ratio.sign, self.value.sign
            return None if signs[0] is None or signs[1] is None else signs[0] * signs[1]
        return None


_TRUTH = Interval(arb(0), arb(1))
_CONSTANT = Bounds(ONE, ZERO, ZERO)


def over(program: Program, low: arb, high: arb) -> Bounds:
    """Bounds of an exact Program of one input over an interval, at the current precision."""
    x = Interval(low, high)
    return _walked(program, Bounds(x, ONE, divide(ONE, x), (low, high)))


def _walked(program: Program, x: Bounds) -> Bounds:
    found = [x]
    for operation, shape in _shapes(program):
        arguments = [found[argument] for argument in operation.arguments]
        bounds = _step(operation, arguments)
        if shape is not None and not isinstance(bounds.value, Marker):
            name, scale, argument = shape
            bounds = _SHAPES[name](scale, found[argument], bounds)
        found.append(bounds)
    return found[program.output]


@cache
def _shapes(program: Program) -> list[tuple[Operation, tuple[str, arb, int] | None]]:
    """The steps; and where two parts of one move together, which bounds of each cannot know, what is known of it.

    That is `u/(c + abs(u))`, and `c + exp(u)`, for a positive number c: the name of the second step, c,
    and which value u is.
    """
    steps, offset = program.value_operations, len(program.inputs)

    def scaled(number: int, name: str) -> tuple[str, arb, int] | None:
        """c and u where a value is `c + name(u)`."""
        if number < offset or steps[number - offset].name != "add":
            return None
        found = {
            steps[part - offset].name: steps[part - offset]
            for part in steps[number - offset].arguments
            if part >= offset
        }
        if set(found) != {"const", name}:
            return None
        constant = constant_ball(found["const"].value)
        return (name, constant, found[name].arguments[0]) if constant > 0 else None

    def shape(position: int, operation: Operation) -> tuple[str, arb, int] | None:
        if operation.name == "add":
            return scaled(position + offset, "exp")
        divisor = scaled(operation.arguments[1], "abs") if operation.name == "div" else None
        return divisor if divisor is not None and divisor[2] == operation.arguments[0] else None

    return [(operation, shape(position, operation)) for position, operation in enumerate(steps)]


def _softened(scale: arb, u: Bounds, found: Bounds) -> Bounds:
    """`u/(c + abs(u))`, with slope `c/(c + abs(u))**2`."""
    value = outer(*(end / (scale + abs(end)) for end in u.value))
    steepest, least = (scale / (scale + size) ** 2 for size in (u.value.smallest, u.value.largest))
    slope = multiply(outer(least, steepest), u.slope)
    return Bounds(value, slope, intersection(found.ratio, divide(slope, value)), found.ends)


def _raised_exponential(scale: arb, u: Bounds, found: Bounds) -> Bounds:
    """`c + exp(u)`, with ratio `sigmoid(u - log(c))`."""
    share = outer(*(BALLS["sigmoid"](end - scale.log()) for end in u.value))
    return found._replace(ratio=intersection(found.ratio, multiply(share, u.slope)))


_SHAPES: dict[str, Callable[[arb, Bounds, Bounds], Bounds]] = {"abs": _softened, "exp": _raised_exponential}


# Functions that rise, or fall, on all of their domain, and even ones that rise with |x|.
_MONOTONE = frozenset(
    {
        "exp",
        "expm1",
        "log",
        "log1p",
        "sinh",
        "tanh",
        "asinh",
        "atan",
        "sigmoid",
        "logsigmoid",
        "softplus",
        "relu",
        "elu",
        "selu",
        "erf",
        "ndtr",
        "log_ndtr",
        "sqrt",
        "sign",
        "floor",
        "heaviside",
        "erfc",
        "erfcx",
    }
)
_EVEN = frozenset({"cosh", "logcosh", "i0e"})
# The ratio of a function that is logarithmically concave falls: it is evaluated at both ends, too.
_LOG_CONCAVE = frozenset({"sigmoid", "ndtr", "softplus", "erfc"})


# What the scaled Bessel function I_1 and both derivatives stay within; balls of wide intervals take seconds.
_BESSEL = {"i0e": Interval(arb(-1), arb(1)), "i1e": Interval(arb(-0.5), arb(0.5))}


def _elasticity_of_tanh(u: arb) -> arb:
    return arb(1) if u.is_zero() else 2 * u / (2 * u).sinh()


def _elasticity_of_log1p(u: arb) -> arb:
    return arb(1) if u.is_zero() else u / ((1 + u) * u.log1p())


def _elasticity_of_expm1(u: arb) -> arb:
    return arb(1) if u.is_zero() else -u / (-u).expm1()


# u*g'(u)/g(u), monotone for u >= 0, and of either of the last two everywhere.
_ELASTICITIES: dict[str, tuple[Callable[[arb], arb], bool]] = {
    "tanh": (_elasticity_of_tanh, False),
    "log1p": (_elasticity_of_log1p, True),
    "expm1": (_elasticity_of_expm1, True),
}


def _step(operation: Operation, arguments: list[Bounds]) -> Bounds:
    name = operation.name
    if name == "const":
        ball = constant_ball(operation.value)
        return _CONSTANT._replace(value=outer(ball), ends=(ball, ball))
    if name == "where":
        return _where(*arguments)
    if any(argument.value is UNDEFINED for argument in arguments):
        return Bounds(UNDEFINED, UNDEFINED, UNDEFINED)
    if any(argument.value is UNKNOWN for argument in arguments):
        return Bounds(UNKNOWN, UNKNOWN, UNKNOWN)
    found = _function(name, operation, arguments)
    if isinstance(found.value, Marker):
        return Bounds(found.value, found.value, found.value)
    ratio = intersection(found.ratio, divide(found.slope, found.value))
    slope = intersection(found.slope, multiply(found.value, ratio))
    found = Bounds(found.value, slope, UNKNOWN if ratio is UNDEFINED else ratio, _ends(operation, arguments))
    if found.ends and found.slope_sign is not None:
        # What only rises or only falls has its extremes at the ends.
        return found._replace(value=intersection(found.value, outer(*found.ends)))
    return found


def _ends(operation: Operation, arguments: list[Bounds]) -> tuple[Any, ...]:
    if not all(argument.ends for argument in arguments):
        return ()
    found = []
    for operands in zip(*(argument.ends for argument in arguments), strict=True):
        if operation.name == "ipow":
            value = operands[0] ** int(operation.number)
        else:
            row = BALLS[operation.name]
            value = row(NOTHING, *operands) if row in DECIDING else row(*operands)
        if isinstance(value, Marker) or not value.is_finite():
            return ()
        found.append(value)
    return tuple(found)


def _function(name: str, operation: Operation, arguments: list[Bounds]) -> Bounds:
    a = arguments[0]
    if name in _ARITHMETIC:
        return _ARITHMETIC[name](*arguments)
    if name == "ipow":
        return _whole_power(a, int(operation.number))
    if name == "pow":
        return _power(a, arguments[1])
    if name in ("max", "min"):
        return _extreme(name, a, arguments[1])
    if name in ("lt", "le", "eq", "ne", "and", "or"):
        found = _truth(name, a.value, arguments[1].value)
        # Either of two values is a jump, whatever it is at the ends.
        return Bounds(found, ZERO if found.low == found.high else UNKNOWN, UNKNOWN)
    if name in ("swish", "gelu"):
        factor = _step(Operation("sigmoid" if name == "swish" else "ndtr", (0,)), [a])
        return _step(Operation("mul", (0, 1)), [a, factor])
    return _named(name, a)


def _named(name: str, a: Bounds) -> Bounds:
    u: Interval = a.value
    if name == "abs":
        sign = u.sign
        slope = hull(a.slope, negative(a.slope)) if sign is None else multiply(a.slope, signed(sign))
        return Bounds(absolute(u), slope, a.ratio)
    value = _image(name, u)
    if name in JUMPING:
        return Bounds(value, ZERO if isinstance(value, Interval) and value.low == value.high else UNKNOWN, UNKNOWN)
    if a.slope == ZERO:
        return Bounds(value, ZERO, UNKNOWN)
    own = _derivative(name, u)
    return Bounds(value, multiply(own, a.slope), _own_ratio(name, a))


def _image(name: str, u: Interval) -> Any:
    """The values of a function of one argument over an interval."""
    if name in _MONOTONE:
        ends = [_at(name, end) for end in u]
        if any(isinstance(end, Marker) for end in ends):
            return UNDEFINED if all(end is UNDEFINED for end in ends) else UNKNOWN
        return outer(*ends)
    if name in _EVEN:
        return outer(_at(name, u.smallest), _at(name, u.largest))
    if name == "i1e" and (u.high - u.low > 1 or u.largest > 1000):
        return _BESSEL[name]
    found = _at(name, u.low.union(u.high))
    if name == "sinc" and u.sign:
        bound = (1 / u.smallest).upper()
        limited = Interval(-bound, bound)
        return limited if isinstance(found, Marker) else intersection(outer(found), limited)
    if name in ("sin", "cos") and isinstance(found, Marker):
        return Interval(arb(-1), arb(1))
    return found if isinstance(found, Marker) else outer(found)


def _at(name: str, u: arb) -> Any:
    if name == "ndtr":
        return _sharp(arb.erfc, -u / arb(2).sqrt()) / 2
    row = BALLS[name]
    value = row(NOTHING, u) if row in DECIDING else row(u)
    return value if isinstance(value, Marker) or value.is_finite() else UNKNOWN


def _sharp(monotone: Callable[[arb], arb], u: arb) -> arb:
    """A monotone function by the ends of a ball: at exact numbers the library loses no digits, however large."""
    return monotone(u.lower()).union(monotone(u.upper()))


@cache
def _program(name: str) -> Program | None:
    try:
        return derivative_program(name)
    except KeyError:
        return None


def _derivative(name: str, u: Interval) -> Any:
    """The derivative of a function of one argument over an interval, by its row in the table of functions."""
    if name in ("tanh", "expm1", "exp", "atan", "asinh", "log1p", "log", "erf", "erfc", "ndtr"):
        # Bell-shaped or monotone: extreme at the ends, or at 0.
        program = _program(name)
        assert program is not None
        points = [*u, arb(0)] if u.sign is None else list(u)
        ends = [runner(program)(NOTHING, point) for point in points]
        return UNKNOWN if any(isinstance(end, Marker) for end in ends) else outer(*ends)
    if name == "sinc":
        # |(cos(x) - sinc(x))/x| < 1/2, and at most 2/|x|.
        bound = arb(0.5).min((2 / u.smallest).upper()) if u.sign else arb(0.5)
        found = _by_program(name, u)
        return intersection(found, Interval(-bound, bound))
    return _by_program(name, u)


def _by_program(name: str, u: Interval) -> Any:
    program = _program(name)
    if program is None:
        if name != "lgamma":
            return UNKNOWN
        found = u.low.union(u.high).digamma()
        return outer(found)
    if name == "relu":
        return _image("heaviside", u)
    if name in _BESSEL and (u.high - u.low > 1 or u.largest > 1000):
        return _BESSEL[name]
    result = _walked(program, Bounds(u, ZERO, ZERO)).value
    return UNKNOWN if result is UNDEFINED else result


def _own_ratio(name: str, a: Bounds) -> Any:
    u: Interval = a.value
    if name == "exp":
        return a.slope
    if name in _LOG_CONCAVE:
        ends = [_log_slope(name, end) for end in u]
        found = outer(*ends)
        return multiply(found, a.slope)
    if name in _ELASTICITIES:
        elasticity, everywhere = _ELASTICITIES[name]
        points = list(u) if everywhere or u.sign is not None else [arb(0), u.largest]
        found = outer(*(elasticity(point) for point in points))
        return multiply(found, a.ratio)
    return UNKNOWN


def _log_slope(name: str, u: arb) -> arb:
    """The derivative of log(g(u)) in u, without quotients of what underflows."""
    if name == "sigmoid":
        complement: arb = BALLS["sigmoid"](-u)
        return complement
    if name == "softplus":
        value: arb = BALLS["sigmoid"](u) / BALLS["softplus"](u)
        return value
    scaled = u if name == "erfc" else -u / arb(2).sqrt()
    inverse = 1 / _sharp(BALLS["erfcx"], scaled)
    factor = -2 / arb.pi().sqrt() if name == "erfc" else (2 / arb.pi()).sqrt()
    result: arb = factor * inverse
    return result


def _truth(name: str, a: Interval, b: Interval) -> Interval:
    """A comparison over intervals: 0, 1, or either."""
    known: bool | None = None
    if name == "and":
        known = False if ZERO in (a, b) else True if a.sign and b.sign else None
    elif name == "or":
        known = True if a.sign or b.sign else False if a == b == ZERO else None
    elif name in ("lt", "le"):
        below, above = (a.high < b.low, a.low >= b.high) if name == "lt" else (a.high <= b.low, a.low > b.high)
        known = True if below else False if above else None
    else:
        apart, same = a.high < b.low or b.high < a.low, a == b and a.low == a.high
        known = None if not (apart or same) else same == (name == "eq")
    return _TRUTH if known is None else signed(int(known))


def _where(condition: Bounds, then: Bounds, otherwise: Bounds) -> Bounds:
    if isinstance(condition.value, Marker):
        return Bounds(condition.value, condition.value, condition.value)
    sign = condition.value.sign
    if sign is not None:
        return then if sign else otherwise
    # At the border the two need not meet: a derivative that both sides share says nothing about a jump.
    return Bounds(hull(then.value, otherwise.value), UNKNOWN, UNKNOWN)


def _extreme(name: str, a: Bounds, b: Bounds) -> Bounds:
    first, second = (a, b) if name == "max" else (b, a)
    if first.value.low >= second.value.high:
        return a
    if second.value.low >= first.value.high:
        return b
    choose = arb.max if name == "max" else arb.min
    value = outer(choose(a.value.low, b.value.low), choose(a.value.high, b.value.high))
    return Bounds(value, hull(a.slope, b.slope), UNKNOWN)


def _whole_power(a: Bounds, exponent: int) -> Bounds:
    return Bounds(
        _raised(a.value, exponent),
        multiply(multiply(signed(exponent), _raised(a.value, exponent - 1)), a.slope),
        multiply(signed(exponent), a.ratio),
    )


def _raised(u: Interval, exponent: int) -> Any:
    if exponent == 0:
        return ONE
    base = absolute(u) if exponent % 2 == 0 else u
    return outer(base.low**exponent, base.high**exponent)


def _power(a: Bounds, b: Bounds) -> Bounds:
    base, exponent = a.value, b.value
    if exponent.low == exponent.high and exponent.low.is_integer() and 0 <= exponent.low <= 64:
        return _whole_power(a, int(float(exponent.low)))
    if base.sign != 1:
        if base.sign == -1 and exponent.low == exponent.high and exponent.low.is_integer():
            found = BALLS["pow"](NOTHING, base.low.union(base.high), exponent.low)
            value = found if isinstance(found, Marker) else outer(found)
            return Bounds(value, UNKNOWN, multiply(exponent, a.ratio))
        return Bounds(UNKNOWN, UNKNOWN, UNKNOWN)
    logarithm = outer(base.low.log(), base.high.log())
    grown = multiply(exponent, logarithm)
    value = UNKNOWN if isinstance(grown, Marker) else outer(grown.low.exp(), grown.high.exp())
    ratio = add(multiply(exponent, a.ratio), multiply(b.slope, logarithm))
    return Bounds(value, multiply(value, ratio), ratio)


_ARITHMETIC: dict[str, Callable[..., Bounds]] = {
    "add": lambda a, b: Bounds(add(a.value, b.value), add(a.slope, b.slope), UNKNOWN),
    "sub": lambda a, b: Bounds(add(a.value, negative(b.value)), add(a.slope, negative(b.slope)), UNKNOWN),
    "neg": lambda a: Bounds(negative(a.value), negative(a.slope), a.ratio),
    "mul": lambda a, b: Bounds(
        multiply(a.value, b.value),
        add(multiply(a.slope, b.value), multiply(a.value, b.slope)),
        add(a.ratio, b.ratio),
    ),
    "div": lambda a, b: Bounds(
        divide(a.value, b.value),
        divide(add(a.slope, negative(multiply(divide(a.value, b.value), b.slope))), b.value),
        add(a.ratio, negative(b.ratio)),
    ),
}
