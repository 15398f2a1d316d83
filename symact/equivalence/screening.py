"""What makes a function unusable as an activation before any training: `screen`, and where it is defined: `domain`.

Values and slopes are those of the compiled Program and of its backward Program, in float32 as a network would
compute them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symact.arrays import Array
from symact.equivalence.numeric import float32
from symact.equivalence.rules.prover import proved_constant
from symact.expr.formula import applied
from symact.expr.functions import FUNCTIONS, X
from symact.expr.operators import NO_GRAMMAR, Vocabulary
from symact.expr.tree import Expr
from symact.program.expand import expand
from symact.program.from_sympy import program_of
from symact.program.gradient import backward
from symact.program.pipeline import lower
from symact.program.program import Program

REACH = 10.0
_CONSTANT = 1e-6
_FLAT = 1e-4
# How far a function may be from a straight line, in its range of values; in float32, to be looked at more closely.
_STRAIGHT, _NEARLY = 3e-6, 1e-3
_ELSEWHERE = 0.618
_MOST_PLACES, _ZOOMS, _PARTS, _NEAR = 24, 5, 33, 0.6
# The slope of |x|**0.9, magnified 16 times, grows by 1.3; later zooms may find no float32 between two others.
_GROWING, _GROWTH = 4, 1.2


def screen(expressions: Sequence[Expr], affine: bool = False) -> Array:
    """Which functions an activation can be: ``(expressions,)`` bool.

    True where the function is not constant and, for |x| <= 10 and the parameters at their initial values, finite
    in float32 with a finite slope. The points include 0, integers and both sides of each; where between two points a
    divisor, or what a root or logarithm is taken of, passes or nears zero, all but every float32 is tried. A function
    of x and g is looked at along some lines through the square, and its slopes are those in x and in g.

    Args:
        expressions: the functions.
        affine: keep those of the form a*x + b, or a*x + b*g + c, with which a network is a linear one.
    """
    points = _screening_points()
    with np.errstate(all="ignore"):
        return np.array([_passes(expression, points, affine) for expression in expressions], dtype=bool)


def is_affine(expression: Expr) -> bool:
    """Whether it is a*x + b (a*x + b*g + c) for |x| <= 10, at the initial values of its parameters and at others.

    So `beta*x` is affine, and `max(x, beta*x)` is not, whose parameter is 1 at first.
    """
    points, program, parameters = _screening_points().astype(float), lower(expression), expression.parameters
    settings = [[p.init for p in parameters], [p.range[0] + _ELSEWHERE * (p.range[1] - p.range[0]) for p in parameters]]
    with np.errstate(all="ignore"):
        found = [
            _spread(float32.values(program, _inputs(line, points, values))[program.output], points)
            for values in settings
            for line in _LINES[len(expression.inputs)]
        ]
    return all(_is_straight(values, points, _STRAIGHT) for values in found)


def _passes(expression: Expr, points: Array, affine: bool) -> bool:
    program, lines = lower(expression), _LINES[len(expression.inputs)]
    initial = [parameter.init for parameter in expression.parameters]
    found = [float32.values(program, _inputs(line, points, initial)) for line in lines]
    drawn = [_spread(values[program.output], points) for values in found]
    if not _usable(np.concatenate(drawn)):
        return False
    if not all(np.isfinite(_slope(program, line, points, initial)).all() for line in lines):
        return False
    # What is flat around zero may be a constant that only rounding moves far out, as cosh(x)**2 - sinh(x)**2 is.
    inner = np.concatenate([value[np.abs(points) < 1] for value in drawn])
    if np.ptp(inner) < _FLAT * np.abs(np.concatenate(drawn)).max() and proved_constant(expression):
        return False
    straight = not affine and all(_is_straight(value, points, _NEARLY) for value in drawn)
    if straight and is_affine(expression):
        return False
    for line, values in zip(lines, found, strict=True):
        places = sorted(_doubtful(program, values))[:_MOST_PLACES]
        stretches = [(points[i], points[min(i + 2, len(points) - 1)]) for i in places]
        if places and not _finite_near(program, line, initial, stretches):
            return False
    return True


def _is_straight(values: Array, points: Array, tolerance: float) -> bool:
    line = values[0] + (values[-1] - values[0]) * (points - points[0]) / (points[-1] - points[0])
    return bool(np.abs(values - line).max() <= tolerance * np.ptp(values))


# A line through the space of the inputs: how far each moves with a point's place on it, and where it is at place 0.
_Line = tuple[tuple[float, float], ...]
_HELD = (-4.3, -1.0, 0.0, 0.6, 2.7)
_LINES: dict[int, tuple[_Line, ...]] = {
    1: (((1, 0),),),
    2: (
        *(((1, 0), (0, held)) for held in _HELD),
        *(((0, held), (1, 0)) for held in _HELD),
        *(((1, 0), (slope, 0.3)) for slope in (1, -1)),
    ),
}


def _inputs(line: _Line, points: Array, initial: Sequence[float]) -> list[Array]:
    """The inputs at some places of a line: those that move, and one number for what does not."""
    moving = [points * np.float32(s) + np.float32(at) if s else np.full(1, at, np.float32) for s, at in line]
    return [*moving, *[np.full(1, value, np.float32) for value in initial]]


def _spread(values: Array, points: Array) -> Array:
    return np.broadcast_to(values, points.shape)


def _slope(program: Program, line: _Line, points: Array, initial: Sequence[float]) -> Array:
    """The largest of the derivatives in the inputs, by size; NaN where one of them is."""
    gradient = backward(program)
    found = float32.values(gradient, [*_inputs(line, points, initial), np.ones(1, np.float32)])
    slopes = [np.abs(_spread(found[output], points)) for output in gradient.outputs[: len(line)]]
    return np.asarray(np.maximum.reduce(slopes))


def _finite_near(program: Program, line: _Line, initial: Sequence[float], stretches: list[tuple[Any, Any]]) -> bool:
    """Whether values and slopes stay finite in some stretches, magnified where the slope is steepest.

    A slope that still grows when it is magnified is that of a root at zero, where backward Programs may declare one.
    """
    peaks = []
    for _ in range(_ZOOMS):
        x = np.stack([np.linspace(low, high, _PARTS, dtype=np.float32) for low, high in stretches])
        value = float32.values(program, _inputs(line, x.ravel(), initial))[program.output]
        size = _slope(program, line, x.ravel(), initial)
        if not (np.isfinite(value).all() and np.isfinite(size).all()):
            return False
        size = size.reshape(x.shape)
        peaks.append(size.max(axis=1))
        steepest = np.clip(size.argmax(axis=1), 1, _PARTS - 2)
        stretches = [(row[at - 1], row[at + 1]) for row, at in zip(x, steepest.tolist(), strict=True)]
    first = np.array(peaks[:_GROWING])
    return not (first[1:] > _GROWTH * first[:-1]).all(axis=0).any()


def _edges() -> dict[str, tuple[int, Program]]:
    """Instruction -> which argument it ends at, and the quantity of that argument that is zero there."""
    itself = program_of(X, ("x",))
    edges = {"div": (1, itself), "pow": (0, itself)}
    for name, row in FUNCTIONS.items():
        if row.domain:
            edges[name] = (0, expand(program_of(applied(row.edge[0], X), ("x",))))
    return edges


_EDGES = _edges()


def _doubtful(program: Program, values: Sequence[Array]) -> set[int]:
    """Numbers of points beside which the function may end."""
    found: set[int] = set()
    for step in program.value_operations:
        if step.name in _EDGES:
            position, quantity = _EDGES[step.name]
            operand = values[step.arguments[position]]
            if len(operand) > 2:
                found |= _near_zero(float32.values(quantity, [operand])[quantity.output])
    return found


def _near_zero(values: Array) -> set[int]:
    """Numbers of points with two following ones between which a quantity changes its sign or nearly vanishes."""
    size = np.abs(values)
    left, middle, right = size[:-2], size[1:-1], size[2:]
    crossing = (values[:-2] > 0) != (values[2:] > 0)
    touching = (middle <= left) & (middle <= right) & (middle < _NEAR * np.maximum(left, right))
    return set(np.flatnonzero(crossing | touching).tolist())


def domain(expr: Expr, grammar: Vocabulary | None = None) -> str:
    """Where an expression is defined on the grammar's interval: `everywhere` (almost), `partly` or `nowhere`."""
    from symact.equivalence.index.function_index import FunctionIndex

    return FunctionIndex(NO_GRAMMAR if grammar is None else grammar).domain(expr)


def _screening_points() -> Array:
    even = np.linspace(-REACH, REACH, 401)
    close = np.arange(-REACH, REACH + 1)
    tiny = np.geomspace(1e-7, 0.04, 24)
    return np.unique(np.concatenate([even, close[1:] - 1e-5, close[:-1] + 1e-5, tiny, -tiny]).astype(np.float32))


def _usable(values: Array) -> bool:
    return bool(np.isfinite(values).all() and np.ptp(values) > _CONSTANT * np.abs(values).max())
