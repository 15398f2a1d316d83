"""Programs whose exponentials neither overflow nor underflow on the way, in float64 or in float32.

Every value that an exponential reaches is carried as a pair `m*exp(e)` of ordinary numbers: products add
exponents, logarithms read them, and only what leaves the Program becomes one number. So
`exp(x)/sinh(x)`, `softplus(x)/sigmoid(x)` or `log(asinh(exp(x)))` are right at any `x`, without a rule
for each. It costs several times the plain Program, and runs only where that is not enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from symact.program.builder import Emitter, Value, call
from symact.program.program import Program


@dataclass(frozen=True)
class Range:
    """What a floating type can hold.

    Attributes:
        bound: what stands for infinity, so that 0 times it is 0 and not NaN.
        exponent: exp of this, divided by the number of factors, is a number of either sign.
        factors: by how many factors an exponential is multiplied to a number.
        growth: exp of this is a number of either sign, with room to multiply it.
        tiny: below it a function is its tangent at 0;
        huge: above it a logarithm is that of the pair.
        scaled: whether factors of products are brought near 1 first, so that no square overflows.
    """

    bound: float
    exponent: float
    factors: int
    growth: float
    tiny: float
    huge: float
    scaled: bool = False


DOUBLE = Range(bound=1e300, exponent=1400.0, factors=2, growth=600.0, tiny=1e-100, huge=1e100)
SINGLE = Range(bound=3e38, exponent=340.0, factors=4, growth=70.0, tiny=1e-18, huge=1e18)
SCALED = replace(SINGLE, scaled=True)
_ROOT_HALF = math.sqrt(0.5)
# What brings a factor near 1: numbers above, or below the reciprocal of, a limit times a power of two, whose logarithm
# float32 holds well.
_STEP = 2.0**40
_LIMITS = (1e12, 1e25)


class _Builder(Emitter):
    """An `Emitter` that knows the type its Program is for."""

    def __init__(self, program: Program, range_: Range):
        super().__init__(program.inputs, False, program.variables)
        self.range = range_


def _range(value: Value) -> Range:
    assert isinstance(value.builder, _Builder)
    return value.builder.range


@dataclass(frozen=True, slots=True)
class Pair:
    """`mantissa*exp(exponent)`; an exponent of None is 0."""

    mantissa: Value
    exponent: Value | None = None

    @property
    def power(self) -> Value:
        """The exponent as a value."""
        return self.exponent if self.exponent is not None else self.mantissa * 0.0


def _bounded(value: Value) -> Value:
    bound = _range(value).bound
    return call("max", call("min", value, bound), -bound)


def plain(pair: Pair) -> Value:
    """The pair as one number within the bound."""
    return pair.mantissa if pair.exponent is None else _bounded(_number(pair))


def _number(pair: Pair) -> Value:
    """The pair as one number, by several factors of which none overflows before the others help."""
    if pair.exponent is None:
        return pair.mantissa
    range_, result = _range(pair.mantissa), pair.mantissa
    most = range_.exponent
    factor = call("exp", 1.0 / range_.factors * call("max", call("min", pair.exponent, most), -most))
    for _ in range(range_.factors):
        result = result * factor
    return result


def _zero(like: Value) -> Value:
    return Value(like.builder, like.builder.const(0.0))


def _exponent(pair: Pair) -> Value:
    return pair.exponent if pair.exponent is not None else _zero(pair.mantissa)


def _where(condition: Value, a: Pair, b: Pair) -> Pair:
    mantissa = call("where", condition, a.mantissa, b.mantissa)
    if a.exponent is None and b.exponent is None:
        return Pair(mantissa)
    return Pair(mantissa, call("where", condition, _exponent(a), _exponent(b)))


def _sum(a: Pair, b: Pair, sign: str = "add") -> Pair:
    """At the larger exponent of the two; that of a zero does not count."""
    if a.exponent is None and b.exponent is None:
        return Pair(_bounded(call(sign, a.mantissa, b.mantissa)))
    powers = [call("where", call("eq", p.mantissa, 0.0), -_range(p.mantissa).bound, _exponent(p)) for p in (a, b)]
    top = call("max", *powers)
    left, right = (p.mantissa * call("exp", power - top) for p, power in zip((a, b), powers, strict=True))
    return Pair(call(sign, left, right), top)


def _near_one(a: Pair) -> Pair:
    """A pair whose mantissa is neither large nor small, where that is asked for."""
    if not _range(a.mantissa).scaled or a.mantissa.builder.number(a.mantissa.number) is not None:
        return a
    size, factor, power = call("abs", a.mantissa), _zero(a.mantissa) + 1.0, _zero(a.mantissa)
    for number, limit in enumerate(_LIMITS, 1):
        for far, exponent in ((call("lt", limit, size), -number), (call("lt", size, 1.0 / limit), number)):
            factor = call("where", far, _STEP**exponent, factor)
            power = call("where", far, -exponent * math.log(_STEP), power)
    return Pair(a.mantissa * factor, power if a.exponent is None else a.exponent + power)


def _product(a: Pair, b: Pair) -> Pair:
    a, b = _near_one(a), _near_one(b)
    mantissa = _bounded(a.mantissa * b.mantissa)
    if a.exponent is None or b.exponent is None:
        return Pair(mantissa, a.exponent or b.exponent)
    return Pair(mantissa, _bounded(a.exponent + b.exponent))


def _quotient(a: Pair, b: Pair) -> Pair:
    a, b = _near_one(a), _near_one(b)
    mantissa = _bounded(a.mantissa / b.mantissa)
    if b.exponent is None:
        return Pair(mantissa, a.exponent)
    return Pair(mantissa, _bounded(_exponent(a) - b.exponent))


def _compare(name: str) -> Callable[[Pair, Pair], Pair]:
    def row(a: Pair, b: Pair) -> Pair:
        if a.exponent is None and b.exponent is None:
            return Pair(call(name, a.mantissa, b.mantissa))
        return Pair(call(name, _sum(a, b, "sub").mantissa, 0.0))

    return row


def _extreme(name: str) -> Callable[[Pair, Pair], Pair]:
    def row(a: Pair, b: Pair) -> Pair:
        if a.exponent is None and b.exponent is None:
            return Pair(call(name, a.mantissa, b.mantissa))
        less = _compare("lt")(a, b).mantissa
        return _where(less, b, a) if name == "max" else _where(less, a, b)

    return row


def _log(a: Pair) -> Pair:
    value = _bounded(call("log", a.mantissa))
    return Pair(value if a.exponent is None else _bounded(value + a.exponent))


def _power(a: Pair, b: Pair) -> Pair:
    """By the pair where the base is one, or where the power of a positive number is out of range."""
    exponent = plain(b)
    if a.exponent is not None:
        return Pair(_bounded(call("pow", a.mantissa, exponent)), _bounded(a.exponent * exponent))
    growth = _bounded(exponent * call("log", a.mantissa))
    far = call("lt", _range(growth).growth, call("abs", growth))
    return _where(far, Pair(growth * 0.0 + 1.0, growth), Pair(_bounded(call("pow", a.mantissa, exponent))))


def _expm1(v: Value) -> Pair:
    return Pair(-(call("sign", v) * call("expm1", -call("abs", v))), call("max", v, 0.0))


def _sinh(v: Value) -> Pair:
    size = call("abs", v)
    return Pair(-0.5 * (call("sign", v) * call("expm1", -2.0 * size)), size)


def _cosh(v: Value) -> Pair:
    size = call("abs", v)
    return Pair(0.5 * call("exp", -2.0 * size) + 0.5, size)


def _sigmoid(v: Value) -> Pair:
    return Pair(call("sigmoid", call("abs", v)), call("min", v, 0.0))


def _softplus(v: Value) -> Pair:
    near = call("max", v, -40.0)
    return Pair(call("softplus", near) * call("exp", -call("min", near, 0.0)), call("min", v, 0.0))


def _negated(a: Pair) -> Pair:
    return Pair(-a.mantissa, a.exponent)


def _square(v: Value) -> Value:
    return call("min", v * v, _range(v).bound)


def _erfc(v: Value) -> Pair:
    right = call("max", v, 0.0)
    near = call("where", call("lt", 0.0, v), call("erfcx", right), call("erfc", call("min", v, 0.0)))
    return Pair(near, -_square(right))


def _erfcx(v: Value) -> Pair:
    left = call("min", v, 0.0)
    return Pair(
        call("where", call("lt", v, 0.0), call("erfc", left), call("erfcx", call("max", v, 0.0))), _square(left)
    )


def _erfcx_grad(v: Value) -> Pair:
    left = call("min", v, -1.0)
    tail = 2.0 * left * call("erfc", left) - (2.0 / math.sqrt(math.pi)) * call("exp", -_square(left))
    near = Pair(call("erfcx_grad", call("max", v, -1.0)))
    return _where(call("lt", v, -1.0), Pair(tail, _square(left)), near)


def _ndtr(v: Value) -> Pair:
    left = call("min", v, 0.0)
    tail = Pair(0.5 * call("erfcx", -_ROOT_HALF * left), -0.5 * _square(left))
    return Pair(call("where", call("lt", v, 0.0), tail.mantissa, call("ndtr", call("max", v, 0.0))), tail.exponent)


def _log_ndtr(v: Value) -> Pair:
    right = call("max", v, 8.0)
    tail = Pair(-0.5 * call("erfcx", _ROOT_HALF * right), -0.5 * _square(right))
    return _where(call("lt", 8.0, v), tail, Pair(call("log_ndtr", call("min", v, 8.0))))


# Functions of one number that may leave the range of float64.
_RISING: dict[str, Callable[[Value], Pair]] = {
    "exp": lambda v: Pair(v * 0.0 + 1.0, v),
    "expm1": _expm1,
    "sinh": _sinh,
    "cosh": _cosh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "logsigmoid": lambda v: _negated(_softplus(-v)),
    "erfc": _erfc,
    "erfcx": _erfcx,
    "erfcx_grad": _erfcx_grad,
    "ndtr": _ndtr,
    "log_ndtr": _log_ndtr,
}
# f(a)/a at 0, for functions that are odd or nearly so there: what is left of them where `a` underflows.
_SLOPES = {
    "expm1": 1.0,
    "log1p": 1.0,
    "sin": 1.0,
    "tan": 1.0,
    "sinh": 1.0,
    "tanh": 1.0,
    "asinh": 1.0,
    "atan": 1.0,
    "erf": 2.0 / math.sqrt(math.pi),
    "i1e": 0.5,
    "sinc_grad": -1.0 / 3.0,
}


def _root(a: Pair) -> Pair:
    return Pair(call("sqrt", a.mantissa), None if a.exponent is None else 0.5 * a.exponent)


def _one(a: Pair) -> Pair:
    return Pair(Value(a.mantissa.builder, a.mantissa.builder.const(1.0)))


def _function(name: str, a: Pair) -> Pair:
    """A function of one argument, by its number, and by its pair where that number is out of range."""
    if name == "hypot1" and a.exponent is not None:
        return _root(_sum(_one(a), _product(a, a)))
    value = plain(a)
    row = _RISING.get(name)
    result = row(value) if row is not None else Pair(_bounded(call(name, value)))
    if a.exponent is None:
        return result
    size, tiny, huge = call("abs", value), _range(value).tiny, _range(value).huge
    if name in ("asinh", "log1p"):
        extra = math.log(2.0) if name == "asinh" else 0.0
        log = _log(Pair(call("abs", a.mantissa), a.exponent)).mantissa + extra
        log = call("sign", a.mantissa) * log if name == "asinh" else log
        result = _where(call("lt", huge, call("abs", value) if name == "asinh" else value), Pair(log), result)
    if name in _SLOPES:
        result = _where(call("lt", size, tiny), Pair(_SLOPES[name] * a.mantissa, a.exponent), result)
    if name == "logcosh":
        result = _where(call("lt", size, tiny), _product(Pair(0.5 * a.mantissa, a.exponent), a), result)
    return result


_ROWS: dict[str, Callable[..., Pair]] = {
    "add": _sum,
    "sub": lambda a, b: _sum(a, b, "sub"),
    "mul": _product,
    "div": _quotient,
    "neg": _negated,
    "abs": lambda a: Pair(call("abs", a.mantissa), a.exponent),
    "sign": lambda a: Pair(call("sign", a.mantissa)),
    "max": _extreme("max"),
    "min": _extreme("min"),
    "lt": _compare("lt"),
    "le": _compare("le"),
    "eq": _compare("eq"),
    "where": lambda c, a, b: _where(c.mantissa, a, b),
    "sqrt": _root,
    "pow": _power,
    "log": _log,
}


@lru_cache(maxsize=4096)
def extended(program: Program, range_: Range = DOUBLE) -> Program:
    """The same function, to be run in a type of this range."""
    builder = _Builder(program, range_)
    pairs = [Pair(value) for value in builder.inputs_as_values()]
    for operation in program.operations:
        if operation.name == "const":
            pairs.append(Pair(Value(builder, builder.const(operation.value))))
            continue
        arguments = [pairs[a] for a in operation.arguments]
        row = _ROWS.get(operation.name)
        pairs.append(row(*arguments) if row is not None else _function(operation.name, *arguments))
    return builder.build(*[_number(pairs[output]).number for output in program.outputs])
