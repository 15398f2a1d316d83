"""Operators in ball arithmetic (python-flint's `arb`): what decides every comparison that float64 leaves open.

In: a program and balls. Out: a ball that surely holds the value, `UNDEFINED` where the function surely is
not defined, or `UNKNOWN` where this precision cannot tell. At the *last* precision a ball that still holds
zero is taken for zero: equality of constants is not decidable in general, and there no more bits are spent.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeAlias

import sympy
from flint import arb, ctx

from symact.equivalence.numeric.fingerprints import FEATURE_NEGATIVE, FEATURE_UNDEFINED, FEATURE_ZERO
from symact.expr.functions import SELU_ALPHA, SELU_SCALE
from symact.program.program import Program


class Marker:
    """A value that is not a ball."""

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return self.name


UNDEFINED, UNKNOWN = Marker("UNDEFINED"), Marker("UNKNOWN")

# What is decided although balls leave it open: nothing; whether what holds zero is zero; whether what holds an integer,
# as the exponent of a negative number, is one.
NOTHING, ZEROS, EXPONENTS = range(3)

# Bits, raised until a comparison is decided; the last one decides that what overlaps is equal.
PRECISIONS = (640, 2560, 8192, 20_480, 40_960)

_LARGEST_INTEGER_POWER = 1_000_000


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Work with that many bits; the setting of the caller is restored."""
    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


def evaluate(program: Program, inputs: Sequence[Any], last: bool = False) -> Any:
    """A program on balls, at the current precision.

    Args:
        program: of one operator.
        inputs: one ball or marker per input.
        last: take a ball that holds zero for zero where a decision hangs on it.
    """
    return runner(program)(EXPONENTS if last else NOTHING, *inputs)


def runner(program: Program) -> Runner:
    """A program as one function of what is decided (`NOTHING`, `ZEROS`, `EXPONENTS`) and of its inputs.

    It works at whatever precision is current when it is called.
    """
    # A Program is compared by all its operations; its identity is much quicker to look up, and it is kept alive here.
    known = _RUNNERS.get(id(program))
    if known is None or known[0] is not program:
        known = _RUNNERS[id(program)] = (program, _compiled(program))
    return known[1]


Runner: TypeAlias = Callable[..., Any]
_RUNNERS: dict[int, tuple[Program, Runner]] = {}


def _compiled(program: Program) -> Runner:
    """Most operators are one step of their inputs in order: these need no loop."""
    plan = _planned(program)
    function, arguments, constant = plan[0] if len(plan) == 1 else (None, (), None)
    if function is None or function is _where or arguments != tuple(range(len(program.inputs))):
        return _walker(plan, program.output)
    if constant is not None:
        return _raised(constant)
    if len(arguments) == 1:
        return _decided(function) if function in DECIDING else _unary(function)
    return _decided_by_two(function) if function in DECIDING else _binary(function)


def _raised(exponent: int) -> Runner:
    return lambda decided, a: _ipow(a, exponent)


def _unary(function: Callable[[arb], arb]) -> Runner:
    def run(decided: int, a: Any) -> Any:
        if a.__class__ is Marker:
            return a
        result = function(a)
        return result if result.is_finite() else UNKNOWN

    return run


def _binary(function: Callable[[arb, arb], arb]) -> Runner:
    def run(decided: int, a: Any, b: Any) -> Any:
        if a.__class__ is Marker or b.__class__ is Marker:
            return UNDEFINED if a is UNDEFINED or b is UNDEFINED else UNKNOWN
        result = function(a, b)
        return result if result.is_finite() else UNKNOWN

    return run


def _decided(function: Callable[..., Any]) -> Runner:
    return lambda decided, a: a if a.__class__ is Marker else function(decided, a)


def _decided_by_two(function: Callable[..., Any]) -> Runner:
    def run(decided: int, a: Any, b: Any) -> Any:
        if a.__class__ is Marker or b.__class__ is Marker:
            return UNDEFINED if a is UNDEFINED or b is UNDEFINED else UNKNOWN
        return function(decided, a, b)

    return run


def _walker(plan: list[tuple[Any, tuple[int, ...], Any]], output: int) -> Runner:
    def run(decided: int, *inputs: Any) -> Any:
        values = list(inputs)
        for function, arguments, constant in plan:
            if constant is not None:
                values.append(
                    _constant(constant, ctx.prec) if function is None else function(values[arguments[0]], constant)
                )
                continue
            operands = [values[a] for a in arguments]
            markers = [operand for operand in operands if operand.__class__ is Marker]
            if function is _where:
                values.append(_where(*operands))
            elif markers:
                values.append(UNDEFINED if any(marker is UNDEFINED for marker in markers) else UNKNOWN)
            elif function in DECIDING:
                values.append(function(decided, *operands))
            else:
                values.append(_finite(function(*operands)))
        return values[output]

    return run


def _planned(program: Program) -> list[tuple[Any, tuple[int, ...], Any]]:
    plan: list[tuple[Any, tuple[int, ...], Any]] = []
    for step in program.value_operations:
        if step.name == "const":
            plan.append((None, (), step.value))
        elif step.name == "ipow":
            plan.append((_ipow, step.arguments, step.value))
        else:
            plan.append((BALLS[step.name], step.arguments, None))
    return plan


def constant_ball(value: sympy.Expr) -> arb:
    """The ball of an exact constant (rational, pi or e) at the current precision."""
    return _constant(value, ctx.prec)


@lru_cache(maxsize=4096)
def _constant(value: sympy.Expr, bits: int) -> arb:
    if value == sympy.pi:
        return arb.pi()
    if value == sympy.E:
        return arb(1).exp()
    if not isinstance(value, sympy.Rational):
        raise ValueError(f"no ball for {value}")
    return arb(int(value.p)) / arb(int(value.q))


def same(first: Any, second: Any) -> bool | None:
    """Whether two results are equal: False is proved, True is agreement in every bit, None wants more bits."""
    if first is UNKNOWN or second is UNKNOWN:
        return None
    if first is UNDEFINED or second is UNDEFINED:
        return first is second
    if not first.overlaps(second):
        return False
    return True if _accurate(first) and _accurate(second) else None


def scale(value: Any) -> float:
    """A result as fingerprints read float64, exponent plus mantissa; NaN where it is not known well enough."""
    if value is UNDEFINED:
        return FEATURE_UNDEFINED
    if value is UNKNOWN or not value.is_finite() or not _accurate(value):
        return float("nan")
    if value.contains(0):
        return FEATURE_ZERO
    mantissa, exponent = value.mid().man_exp()
    size = abs(int(mantissa))
    length = size.bit_length()
    shown = length + int(exponent) - 2 + 2 * (size / (1 << length))
    return shown if mantissa > 0 else shown + FEATURE_NEGATIVE


def _accurate(ball: arb) -> bool:
    return ball.rel_accuracy_bits() >= ctx.prec // 4 or ball.abs_upper() < _tiny(ctx.prec)


@lru_cache(maxsize=16)
def _tiny(bits: int) -> arb:
    return arb(2) ** (-(bits // 4))


def _ipow(a: Any, exponent: int) -> Any:
    return a if a.__class__ is Marker else _finite(_whole_power(a, exponent))


def _whole_power(a: arb, exponent: int) -> arb:
    """``a**exponent`` for a positive exponent; the library's power of a ball that holds zero is not finite."""
    if not a.contains(0) or a.is_zero():
        return a**exponent
    result, square = arb(1), a
    while exponent:
        if exponent & 1:
            result *= square
        exponent >>= 1
        square = square * square if exponent else square
    return result


def _null(decided: int, a: arb) -> bool:
    """Whether a ball that holds zero is taken for zero: exactly so, or tiny at the last precision."""
    return a.is_zero() or (decided > NOTHING and a.contains(0) and a.abs_upper() < _tiny(ctx.prec))


def _div(decided: int, a: arb, b: arb) -> Any:
    if not b.contains(0):
        return _finite(a / b)
    return UNDEFINED if _null(decided, b) else UNKNOWN


def _finite(ball: arb) -> Any:
    return ball if ball.is_finite() else UNKNOWN


def _pow(decided: int, a: arb, b: arb) -> Any:
    if b.is_exact() and b.is_integer() and abs(b) <= _LARGEST_INTEGER_POWER:
        return _integer_power(decided, a, int(str(b.unique_fmpz())))
    if a > 0:
        return _finite((b * a.log()).exp())
    if a < 0:
        return _power_of_negative(decided, a, b)
    if not _null(decided, a):
        return UNKNOWN
    if b > 0:
        return arb(0)
    if b < 0:
        return UNDEFINED
    return arb(1) if _null(decided, b) else UNKNOWN


def _power_of_negative(decided: int, a: arb, b: arb) -> Any:
    if not b.contains_integer():
        return UNDEFINED
    # An exponent of tiny size has more binary places than there is memory for: it is never written out.
    middle = arb(b.mid())
    nearest = (middle + 0.5).floor()
    if not abs(middle) <= _LARGEST_INTEGER_POWER or not _null(decided >= EXPONENTS, b - nearest):
        return UNKNOWN
    return _integer_power(decided, a, int(str(nearest.unique_fmpz())))


def _integer_power(decided: int, a: arb, exponent: int) -> Any:
    if exponent < 0:
        return _div(decided, arb(1), _whole_power(a, -exponent))
    return _finite(_whole_power(a, exponent))


def _log(decided: int, a: arb) -> Any:
    if a > 0:
        return _finite(a.log())
    return UNDEFINED if a <= 0 or _null(decided, a) else UNKNOWN


def _log1p(decided: int, a: arb) -> Any:
    if a > -1:
        return _finite(a.log1p())
    return UNDEFINED if a <= -1 or _null(decided, a + 1) else UNKNOWN


def _sqrt(decided: int, a: arb) -> Any:
    if a >= 0:
        return a.sqrt()
    if a < 0:
        return UNDEFINED
    return arb(0) if _null(decided, a) else UNKNOWN


def _sign(decided: int, a: arb) -> Any:
    if a > 0 or a < 0:
        return arb(1) if a > 0 else arb(-1)
    return arb(0) if _null(decided, a) else UNKNOWN


def _floor(decided: int, a: arb) -> Any:
    found = a.floor()
    if found.is_exact():
        return found
    jump = a.upper().floor()
    return jump if _null(decided, a - jump) else UNKNOWN


def _less(decided: int, a: arb, b: arb) -> Any:
    if a < b or a >= b:
        return arb(int(a < b))
    return arb(0) if _null(decided, a - b) else UNKNOWN


def _less_equal(decided: int, a: arb, b: arb) -> Any:
    if a <= b or a > b:
        return arb(int(a <= b))
    return arb(1) if _null(decided, a - b) else UNKNOWN


def _equal(decided: int, a: arb, b: arb) -> Any:
    if not a.overlaps(b):
        return arb(0)
    return arb(1) if _null(decided, a - b) else UNKNOWN


def _unequal(decided: int, a: arb, b: arb) -> Any:
    equal = _equal(decided, a, b)
    return equal if equal is UNKNOWN else 1 - equal


def _where(condition: Any, then: Any, otherwise: Any) -> Any:
    if isinstance(condition, Marker):
        return condition
    return otherwise if condition.is_zero() else then


def _elu(a: arb) -> arb:
    if a > 0:
        return a
    return a.expm1() if a <= 0 else a.union(a.expm1())


_SELU_SCALE = sympy.Rational(SELU_SCALE)
_SELU_ALPHA = sympy.Rational(SELU_ALPHA)


def _selu(a: arb) -> arb:
    scale, alpha = _constant(_SELU_SCALE, ctx.prec), _constant(_SELU_ALPHA, ctx.prec)
    if a > 0:
        return scale * a
    low = scale * alpha * a.expm1()
    return low if a <= 0 else low.union(scale * a)


def _sigmoid(a: arb) -> arb:
    if a < 0:
        grown = a.exp()
        return grown / (1 + grown)
    return 1 / (1 + (-a).exp())


def _logsigmoid(a: arb) -> arb:
    return a - a.exp().log1p() if a < 0 else -(-a).exp().log1p()


def _softplus(a: arb) -> arb:
    return -_logsigmoid(-a)


def _logcosh(a: arb) -> arb:
    return a.cosh().log() if abs(a) < 1 else abs(a) + (-2 * abs(a)).exp().log1p() - arb(2).log()


def _ndtr(a: arb) -> arb:
    return (-a / arb(2).sqrt()).erfc() / 2


def _i1e(a: arb) -> arb:
    size = abs(a)
    value = size.bessel_i(arb(1), True)
    if a > 0:
        return value
    return -value if a < 0 else value.union(-value)


def _lgamma(decided: int, a: arb) -> Any:
    """log(abs(Gamma(a))), left of 1/2 by reflection (DLMF 5.5.3)."""
    if a > 0:
        return _finite(a.lgamma())
    turn = a.sin_pi()
    if not turn.contains(0):
        return _finite((arb.pi() / abs(turn)).log() - (1 - a).lgamma())
    return UNDEFINED if _null(decided, turn) else UNKNOWN


def _heaviside(decided: int, a: arb) -> Any:
    if a > 0 or a <= 0:
        return arb(int(a > 0))
    return arb(0) if decided else UNKNOWN


# One row per step.
BALLS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": _div,
    "neg": operator.neg,
    "pow": _pow,
    "sqrt": _sqrt,
    "abs": abs,
    "sign": _sign,
    "floor": _floor,
    "max": arb.max,
    "min": arb.min,
    "lt": _less,
    "le": _less_equal,
    "eq": _equal,
    "ne": _unequal,
    "and": lambda a, b: arb(0) if a.is_zero() or b.is_zero() else arb(1),
    "or": lambda a, b: arb(0) if a.is_zero() and b.is_zero() else arb(1),
    "where": _where,
    "exp": arb.exp,
    "expm1": arb.expm1,
    "log": _log,
    "log1p": _log1p,
    "sin": arb.sin,
    "cos": arb.cos,
    "tan": arb.tan,
    "sinh": arb.sinh,
    "cosh": arb.cosh,
    "tanh": arb.tanh,
    "asinh": arb.asinh,
    "atan": arb.atan,
    "erf": arb.erf,
    "erfc": arb.erfc,
    "erfcx": lambda a: (a * a).exp() * a.erfc(),
    "i0e": lambda a: abs(a).bessel_i(arb(0), True),
    "i1e": _i1e,
    "sigmoid": _sigmoid,
    "logsigmoid": _logsigmoid,
    "softplus": _softplus,
    "relu": lambda a: a.max(arb(0)),
    "elu": _elu,
    "selu": _selu,
    "swish": lambda a: a * _sigmoid(a),
    "gelu": lambda a: a * _ndtr(a),
    "ndtr": _ndtr,
    "log_ndtr": lambda a: _ndtr(a).log(),
    "logcosh": _logcosh,
    "sinc": lambda a: a.sinc(),
    "lgamma": _lgamma,
    "heaviside": _heaviside,
}

# What needs to know whether a ball that holds zero is taken for it.
DECIDING = frozenset(
    {_div, _pow, _log, _log1p, _sqrt, _sign, _floor, _lgamma, _less, _less_equal, _equal, _unequal, _heaviside}
)
