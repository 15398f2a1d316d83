"""What makes a function unusable as an activation before any training: `screen`, and where it is defined: `domain`.

Values and slopes are computed together, in float32 as a network would, by forward-mode differentiation of
the same Programs that identity reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from symact.arrays import Array
from symact.equivalence.numeric.float64 import FLOAT32
from symact.equivalence.rules.prover import proved_constant
from symact.expr.operators import NO_GRAMMAR, VARIABLE, Parameter, Vocabulary
from symact.expr.tree import Expr
from symact.program.pipeline import exact_program
from symact.program.program import Program

REACH = 10.0
_CONSTANT = 1e-6
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
_FLAT = 1e-4
_MOST_PLACES, _ZOOMS, _PARTS, _NEAR = 24, 5, 33, 0.6
# Steps that are not finite at zero of one of their arguments: which one.
_ENDS_AT_ZERO = {"div": 1, "log": 0, "sqrt": 0, "pow": 0}
_TWO_OVER_ROOT_PI = 2 / np.sqrt(np.pi)


def screen(expressions: Sequence[Expr]) -> Array:
    """Which functions an activation can be: ``(expressions,)`` bool.

    True where the function is not constant and, for |x| <= 10 and the parameters at their initial values, finite
    in float32 with a finite slope. The points include 0, integers and both sides of each; where between two points a
    divisor, or what a root or logarithm is taken of, passes or nears zero, all but every float32 is tried.
    """
    points = _screening_points()
    known: dict[Expr, _Dual] = {}
    with np.errstate(all="ignore"):
        return np.array([_passes(expression, points, known) for expression in expressions], dtype=bool)


@dataclass
class _Dual:
    """Attributes: ``value`` and ``slope`` ``(points,)``; ``doubtful`` numbers of points beside which it may end."""

    value: Array
    slope: Array
    doubtful: frozenset[int]


def _passes(expression: Expr, points: Array, known: dict[Expr, _Dual]) -> bool:
    dual = _dual(expression, points, known)
    if not _usable(dual.value, dual.slope):
        return False
    # What is flat around zero may be a constant that only rounding moves far out, as cosh(x)**2 - sinh(x)**2 is.
    inner = dual.value[np.abs(points) < 1]
    if np.ptp(inner) < _FLAT * np.abs(dual.value).max() and proved_constant(expression):
        return False
    places = sorted(dual.doubtful)[:_MOST_PLACES]
    return not places or _finite_near(expression, [(points[i], points[min(i + 2, len(points) - 1)]) for i in places])


def _finite_near(expression: Expr, stretches: list[tuple[Any, Any]]) -> bool:
    """Whether values and slopes stay finite in some stretches, magnified where the slope is steepest."""
    for _ in range(_ZOOMS):
        x = np.stack([np.linspace(low, high, _PARTS, dtype=np.float32) for low, high in stretches])
        dual = _dual(expression, x.ravel(), {})
        if not (np.isfinite(dual.value).all() and np.isfinite(dual.slope).all()):
            return False
        steepest = np.clip(np.abs(dual.slope).reshape(x.shape).argmax(axis=1), 1, _PARTS - 2)
        stretches = [(row[at - 1], row[at + 1]) for row, at in zip(x, steepest.tolist(), strict=True)]
    return True


def _near_zero(values: Array) -> frozenset[int]:
    """Numbers of points with two following ones between which a quantity changes its sign or nearly vanishes."""
    size = np.abs(values)
    left, middle, right = size[:-2], size[1:-1], size[2:]
    crossing = (values[:-2] > 0) != (values[2:] > 0)
    touching = (middle <= left) & (middle <= right) & (middle < _NEAR * np.maximum(left, right))
    return frozenset(np.flatnonzero(crossing | touching).tolist())


def domain(expr: Expr, grammar: Vocabulary | None = None) -> str:
    """Where an expression is defined on the grammar's interval: `everywhere` (almost), `partly` or `nowhere`."""
    from symact.equivalence.index.function_index import FunctionIndex

    return FunctionIndex(NO_GRAMMAR if grammar is None else grammar).domain(expr)


def _screening_points() -> Array:
    even = np.linspace(-REACH, REACH, 401)
    close = np.arange(-REACH, REACH + 1)
    tiny = np.geomspace(1e-7, 0.04, 24)
    return np.unique(np.concatenate([even, close[1:] - 1e-5, close[:-1] + 1e-5, tiny, -tiny]).astype(np.float32))


def _usable(values: Array, slopes: Array) -> bool:
    if not (np.isfinite(values).all() and np.isfinite(slopes).all()):
        return False
    return bool(np.ptp(values) > _CONSTANT * np.abs(values).max())


def _dual(expr: Expr, points: Array, known: dict[Expr, _Dual]) -> _Dual:
    """Value and slope of an expression; sub-expressions are looked up, parameters stand at their initial values."""
    if expr.operator is VARIABLE:
        return _Dual(points, np.ones_like(points), frozenset())
    found = known.get(expr)
    if found is None:
        arguments = [_dual(argument, points, known) for argument in expr.arguments]
        program = exact_program(expr.operator)
        found = _stepped(
            program, expr.operator.parameters, arguments[:1] if expr.operator.kind == "nary" else arguments
        )
        known[expr] = found = _folded(program, expr, arguments) if expr.operator.kind == "nary" else found
    return found


def _folded(program: Program, expr: Expr, arguments: list[_Dual]) -> _Dual:
    result = arguments[0]
    for argument in arguments[1:]:
        result = _stepped(program, expr.operator.parameters, [result, argument])
    return result


def _stepped(program: Program, parameters: tuple[Parameter, ...], arguments: list[_Dual]) -> _Dual:
    zero = np.zeros_like(arguments[0].value)
    if len(arguments) + len(parameters) != len(program.inputs):
        return arguments[0]
    values = [a.value for a in arguments] + [np.full_like(zero, p.init) for p in parameters]
    slopes = [a.slope for a in arguments] + [zero for _ in parameters]
    doubtful = frozenset[int]() if program.total else frozenset[int]().union(*[a.doubtful for a in arguments])
    for step in program.value_operations:
        a = [values[n] for n in step.arguments]
        d = [slopes[n] for n in step.arguments]
        if step.name == "const":
            value, slope = np.full_like(zero, step.number), zero
        elif step.name == "ipow":
            exponent = np.float32(step.number)
            value, slope = a[0] ** exponent, exponent * a[0] ** (exponent - 1) * d[0]
        else:
            if step.name in _ENDS_AT_ZERO:
                doubtful |= _near_zero(a[_ENDS_AT_ZERO[step.name]])
            value = FLOAT32[step.name](*a)
            slope = SLOPES[step.name](value, a, d)
        values.append(value)
        slopes.append(slope)
    return _Dual(values[program.output], slopes[program.output], doubtful)


def _chain(derivative: Callable[[Array, Array], Array]) -> Callable[[Array, list[Array], list[Array]], Array]:
    return lambda y, a, d: derivative(y, a[0]) * d[0]


def _pow_slope(y: Array, a: list[Array], d: list[Array]) -> Array:
    base = np.where(d[0] == 0, 0, a[1] * np.power(a[0], a[1] - 1) * d[0])
    exponent = np.where(d[1] == 0, 0, np.where(a[0] == 0, 0, y * np.log(a[0])) * d[1])
    return base + exponent


def _gauss(a: Array) -> Array:
    return np.exp(-a * a / 2) / np.float32(np.sqrt(2 * np.pi))


def _flat(y: Array, a: list[Array], d: list[Array]) -> Array:
    return np.zeros_like(y)


# One row per step: value, arguments, their slopes -> slope. At a kink the slope is that of one side.
SLOPES: dict[str, Callable[[Array, list[Array], list[Array]], Array]] = {
    "add": lambda y, a, d: d[0] + d[1],
    "sub": lambda y, a, d: d[0] - d[1],
    "mul": lambda y, a, d: d[0] * a[1] + a[0] * d[1],
    "div": lambda y, a, d: (d[0] - y * d[1]) / a[1],
    "neg": lambda y, a, d: -d[0],
    "pow": _pow_slope,
    "sqrt": _chain(lambda y, a: np.float32(0.5) / y),
    "abs": _chain(lambda y, a: np.sign(a)),
    "sign": _flat,
    "max": lambda y, a, d: np.where(a[0] >= a[1], d[0], d[1]),
    "min": lambda y, a, d: np.where(a[0] <= a[1], d[0], d[1]),
    "lt": _flat,
    "le": _flat,
    "eq": _flat,
    "ne": _flat,
    "and": _flat,
    "or": _flat,
    "where": lambda y, a, d: np.where(a[0] != 0, d[1], d[2]),
    "exp": _chain(lambda y, a: y),
    "expm1": _chain(lambda y, a: np.exp(a)),
    "log": _chain(lambda y, a: 1 / a),
    "log1p": _chain(lambda y, a: 1 / (1 + a)),
    "sin": _chain(lambda y, a: np.cos(a)),
    "cos": _chain(lambda y, a: -np.sin(a)),
    "tan": _chain(lambda y, a: 1 + y * y),
    "sinh": _chain(lambda y, a: np.cosh(a)),
    "cosh": _chain(lambda y, a: np.sinh(a)),
    "tanh": _chain(lambda y, a: 1 - y * y),
    "asinh": _chain(lambda y, a: 1 / np.hypot(np.float32(1), a)),
    "atan": _chain(lambda y, a: 1 / (1 + a * a)),
    "erf": _chain(lambda y, a: np.float32(_TWO_OVER_ROOT_PI) * np.exp(-a * a)),
    "erfc": _chain(lambda y, a: -np.float32(_TWO_OVER_ROOT_PI) * np.exp(-a * a)),
    "erfcx": _chain(lambda y, a: 2 * a * y - np.float32(_TWO_OVER_ROOT_PI)),
    "i0e": _chain(lambda y, a: special.i1e(a) - np.sign(a) * y),
    "i1e": _chain(lambda y, a: special.i0e(a) - np.where(a == 0, np.float32(0.5), y * (np.sign(a) + 1 / a))),
    "sigmoid": _chain(lambda y, a: y * (1 - y)),
    "logsigmoid": _chain(lambda y, a: FLOAT32["sigmoid"](-a)),
    "softplus": _chain(lambda y, a: FLOAT32["sigmoid"](a)),
    "relu": _chain(lambda y, a: (a > 0).astype(a.dtype)),
    "elu": _chain(lambda y, a: np.where(a > 0, 1, y + 1)),
    "selu": _chain(lambda y, a: np.float32(_SELU_SCALE) * np.where(a > 0, 1, np.float32(_SELU_ALPHA) * np.exp(a))),
    "swish": _chain(lambda y, a: FLOAT32["sigmoid"](a) * (1 + a - y)),
    "gelu": _chain(lambda y, a: special.ndtr(a) + a * _gauss(a)),
    "ndtr": _chain(lambda y, a: _gauss(a)),
    "log_ndtr": _chain(lambda y, a: np.exp(-a * a / 2 - y) / np.float32(np.sqrt(2 * np.pi))),
    "logcosh": _chain(lambda y, a: np.tanh(a)),
    "sinc": _chain(lambda y, a: np.where(a == 0, 0, (np.cos(a) - y) / np.where(a == 0, 1, a))),
    "heaviside": _flat,
}
