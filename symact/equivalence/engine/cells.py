"""Cells too narrow for a grid: points between switches that lie closer together than the points compared.

Between two neighbouring switches (sign changes of what `Program.breakpoints` lists) a function is one analytic piece. A
piece that holds no point of comparison could hide a difference, so such places are magnified until they
are separated.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from symact.arrays import Array
from symact.equivalence.exact.comparison import VARIABLE_HEAD, Row
from symact.equivalence.numeric.float64 import Saturation, breakpoint_values, run
from symact.equivalence.terms import Dag, Field

_ZOOMS = 4
_PARTS = 48
_SAME_PLACE = 1e-7
_MOST = 16


def hidden_points(dag: Dag, rows: Sequence[Row], field: Field) -> list[float]:
    """Points inside cells of the rows that lie between neighbouring points of a field; at most one per cell.

    Rows with parameters have cells on a line of fixed ones only, and give none for other fields.
    """
    order = _postorder(dag, rows)
    if not any(dag.heads[head].program.breakpoints for head, _ in order):
        return []
    if not field.still and any(dag.heads[head].slots for head, _ in order):
        return []
    found: list[float] = []
    for low, high in _crowded(_switches(field, order, field.x), field.x):
        found += _zoomed(field, order, low, high)
    return found[:_MOST]


def _crowded(values: Array, x: Array) -> list[tuple[float, float]]:
    """Intervals between neighbouring points where several switches change at places that seem to differ."""
    if len(x) < 3 or not len(values):
        return []
    with np.errstate(all="ignore"):
        change = np.sign(values[:, 1:]) * np.sign(values[:, :-1]) < 0
        step = np.abs(values[:, :-1]) / (np.abs(values[:, :-1]) + np.abs(values[:, 1:]))
    root = np.where(change, x[:-1] + step * np.diff(x), np.nan)
    several = np.flatnonzero(change.sum(axis=0) > 1)
    width = np.nanmax(root[:, several], axis=0) - np.nanmin(root[:, several], axis=0)
    gaps = several[width > _SAME_PLACE * np.maximum(1.0, np.abs(x[several]))].tolist()
    intervals = [(float(x[gap]), float(x[gap + 1])) for gap in gaps]
    return intervals + [(float(x[gap - 1]), float(x[gap + 1])) for gap in _turns(values)]


def _zoomed(line: Field, order: list[Row], low: float, high: float) -> list[float]:
    """Points in the cells of one narrow interval, magnified while several switches change in one part."""
    found: list[float] = []
    intervals = [(low, high)]
    for _ in range(_ZOOMS):
        narrower: list[tuple[float, float]] = []
        for left, right in intervals[:4]:
            x = np.linspace(left, right, _PARTS + 1)
            values = _switches(line, order, x)
            signs = np.sign(values)
            at = np.flatnonzero((signs[:, 1:] * signs[:, :-1] < 0).any(axis=0))
            # Between two parts that have a change lies a cell; the point where the later parts begin is in it.
            found += [float(x[(first + second + 1) // 2]) for first, second in pairwise(at)]
            narrower += _crowded(values, x)
        intervals = narrower
    return found


def _postorder(dag: Dag, rows: Sequence[Row]) -> list[Row]:
    """Every row that the rows are made of, arguments first; rows of the dag are named by their head and arguments."""
    seen: dict[Row, None] = {}

    def visit(row: Row) -> None:
        head, arguments = row
        if head == VARIABLE_HEAD or row in seen:
            return
        for argument in arguments if not dag.heads[head].program.total else ():
            if argument:
                visit(dag.node(argument))
        seen[row] = None

    for row in rows:
        visit(row)
    return list(seen)


def _switches(line: Field, order: list[Row], x: Array) -> Array:
    """Values ``(switches, points)`` of every distinct switch at other points of a line."""
    dag = line.dag
    bounds = Saturation(len(x), doubled=False)
    values: dict[Row, Array] = {}
    found: dict[tuple, Array] = {}
    with np.errstate(all="ignore"):
        for row in order:
            head, arguments = row
            program = dag.heads[head].program
            inputs = [_argument(dag, argument, values, x) for argument in arguments]
            inputs += [line.slot(slot)[:, :1] for slot in dag.heads[head].slots]
            values[row] = np.broadcast_to(run(program, inputs, bounds), (1, len(x)))
            for number, switch in enumerate(breakpoint_values(program, inputs, bounds)):
                direct = program.breakpoints[number] < len(arguments)
                key = (arguments[program.breakpoints[number]],) if direct else (row, number)
                found[key] = np.broadcast_to(switch, (1, len(x)))[0]
    return np.array(list(found.values())).reshape(-1, len(x))


def _argument(dag: Dag, row: int, values: dict[Row, Array], x: Array) -> Array:
    return x[None] if row == 0 else values.get(dag.node(row), np.zeros((1, len(x))))


def _turns(values: Array) -> list[int]:
    """Middle points where the parabola through three values of a switch crosses zero though the values do not."""
    left, middle, right = values[:, :-2], values[:, 1:-1], values[:, 2:]
    with np.errstate(all="ignore"):
        bend = left - 2 * middle + right
        turn = middle - (right - left) ** 2 / (8 * bend)
        inside = np.abs(right - left) <= 2 * np.abs(bend)
        same = (np.sign(left) == np.sign(middle)) & (np.sign(middle) == np.sign(right))
        crossing = inside & same & (np.sign(turn) == -np.sign(middle)) & (np.abs(turn) > 1e-9 * np.abs(bend))
    return (np.flatnonzero(crossing.any(axis=0)) + 1).tolist()
