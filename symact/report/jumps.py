"""Where a function or its derivative jumps or ends, so that lines break there and nowhere else, in every picture.

A high step between neighbouring points of a grid may be a jump or a steep slope. They are told apart by looking closer:
the step of a smooth function shrinks with the distance of the points, that of a jump stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray
Evaluate: TypeAlias = Callable[[Array], Array]  # points -> values and slopes, (2, points), NaN where not finite

PARTS, ROUNDS = 64, 4  # each round divides the cell with the highest step: in the end by 1.7e7
VISIBLE = 0.02  # of the height of the picture: lower jumps are not looked for
TALLEST = 6.0  # values beyond do not count for that height
CLOSE = 1e-7  # of the interval: what is this near to a jump stands on it

# Columns of what `jumps` gives.
AT, VALUE_LEFT, VALUE_RIGHT, SLOPE_LEFT, SLOPE_RIGHT = range(5)


def height(drawn: Array) -> float:
    """How high a picture of these values is, as far as it matters for what can be seen."""
    inside = drawn[np.abs(drawn) <= TALLEST]
    return max(float(np.ptp(inside)), 0.2) if inside.size else 0.2


def jumps(evaluate: Evaluate, x: Array, drawn: Array) -> Array:
    """The places where the function or its derivative jumps, begins or ends, in order.

    Args:
        evaluate: values and slopes at any points.
        x: a grid.
        drawn: ``(2, points)``: what `evaluate` gives there.

    Returns:
        ``(jumps, 5)``: the place, the values just before and just behind it, and the slopes likewise; NaN where there
        is none. What does not jump there has the same number twice.
    """
    seen = [VISIBLE * height(row) for row in drawn]
    ends = np.concatenate([_ends(evaluate, x, drawn[row], row, seen[row]) for row in (0, 1)])
    if not len(ends):
        return np.zeros((0, 5))
    ends = ends[np.argsort(ends[:, 0])]
    # A point of the grid on a jump, as 0 of sign(x), is reached from both sides, and a value jumps with its slope.
    apart = np.flatnonzero(np.diff(ends[:, 0]) > CLOSE * (x[-1] - x[0])) + 1
    first = np.concatenate([[0], apart])
    low, high = ends[first, 0], np.maximum.reduceat(ends[:, 1], first)
    found = np.empty((len(first), 5))
    found[:, AT] = (low + high) / 2
    before, behind = evaluate(low), evaluate(high)
    for row, (left, right) in enumerate(((VALUE_LEFT, VALUE_RIGHT), (SLOPE_LEFT, SLOPE_RIGHT))):
        same = np.abs(behind[row] - before[row]) <= seen[row]
        found[:, left] = before[row]
        found[:, right] = np.where(same, before[row], behind[row])
    return found


def _ends(evaluate: Evaluate, x: Array, values: Array, row: int, seen: float) -> Array:
    """The ends of the narrow intervals in which values or slopes jump."""
    before = _steps(values)
    cells = np.flatnonzero(before > seen)
    if not len(cells):
        return np.zeros((0, 2))
    low, high, last = x[cells], x[cells + 1], before[cells]
    here = np.arange(len(cells))
    for _ in range(ROUNDS):
        points = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, PARTS + 1)
        points[:, -1] = high
        found = evaluate(points.ravel())[row].reshape(points.shape)
        steps = _steps(found)
        place = steps.argmax(axis=1)
        before, last = last, steps[here, place]
        low, high = points[here, place], points[here, place + 1]
    stays = (last > seen) & (last >= before / 2)
    return np.stack([low, high], axis=1)[stays]


def _steps(values: Array) -> Array:
    """Heights of the steps between neighbours: infinite where just one of them is a number, 0 where none is."""
    known = np.isfinite(values)
    steps = np.abs(np.diff(np.where(known, values, 0.0)))
    one, none = known[..., 1:] != known[..., :-1], ~(known[..., 1:] | known[..., :-1])
    steps[one], steps[none] = np.inf, 0.0
    return steps


def on_grid(x: Array, drawn: Array, found: Array) -> Array:
    """`drawn` with the values just before a jump at those points of the grid that stand on one."""
    shown = drawn.copy()
    for jump in found:
        near = np.abs(x - jump[AT]) <= CLOSE * (x[-1] - x[0])
        shown[0, near], shown[1, near] = jump[VALUE_LEFT], jump[SLOPE_LEFT]
    return shown


def joined(x: Array, drawn: Array, found: Array) -> Array:
    """Points to be joined by lines: those of the grid, and at each jump both ends with a gap between them.

    Returns:
        ``(3, points)``: x, values and slopes; NaN in a gap.
    """
    before, behind = found[:, [AT, VALUE_LEFT, SLOPE_LEFT]], found[:, [AT, VALUE_RIGHT, SLOPE_RIGHT]]
    between = before.copy()
    between[:, 1:][before[:, 1:] != behind[:, 1:]] = np.nan
    ends = np.stack([before, between, behind], axis=1).reshape(-1, 3)
    far = np.ones(len(x), dtype=bool)
    for jump in found:
        far &= np.abs(x - jump[AT]) > CLOSE * (x[-1] - x[0])
    grid = np.stack([x, *drawn], axis=1)[far]
    points = np.concatenate([grid, ends])
    return points[np.argsort(points[:, 0], kind="stable")].T
