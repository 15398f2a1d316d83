"""Cells that no point of comparison is in, for many rows at once.

Between two neighbouring sign changes of the switches on the way to a value (`Tape.switches`) the value is one
analytic function of x. Sign changes are located between the points of a grid, by the cubic through four values;
so are pairs of them that the parabola through three values of one sign shows, or the lines through two on either side
of a gap (a corner, as of max(a, b) - c). A cell between two locations that holds no point of comparison gets one.

What stays unseen: a cell narrower than `SAME_PLACE`; one whose two ends lie between neighbouring points of the grid
(0.04 apart on [-5, 5]) where neither parabola nor lines show them, such as a spike; whatever lies beyond the
twelfth location of a row. Functions with parameters have cells on lines of fixed parameters, and are
looked at on two of these only.
"""

from __future__ import annotations

import numpy as np

from symact.expr.candidates import Candidates
from symact.expr.fields import Dag, Field
from symact.expr.hands import in_threads
from symact.expr.kernels import Array, switch_values

# Locations nearer than this are one place (in units of x, or relative to it beyond 1).
SAME_PLACE = 1e-6
_BESIDE = 0.21 * SAME_PLACE
_MOST = 12
_BLOCK = 512
_STEPS = 4
# Many operators switch at zero and meet there in higher order: the grid is finer around it.
_LADDER = 0.4 * SAME_PLACE * np.geomspace(1, 5e4, 12)


class Crossings:
    """Locations of sign changes of rows on one line: x in an interval, each parameter at one value.

    Args:
        dag: names the rows.
        dense: the points of comparison on that line, ascending.
        others: further points of comparison there.
    """

    def __init__(self, dag: Dag, dense: Field, others: Array):
        self.dag, self.dense = dag, dense
        self.points = np.sort(np.concatenate([dense.x, others]))
        low, high = dense.x[[0, -1]]
        ladder = np.concatenate([-_LADDER, _LADDER])
        x = np.concatenate([dense.x, ladder[(ladder > low) & (ladder < high)]])
        self.grid = self.at(np.sort(x))
        self._locations = np.full((64, _MOST), np.inf)
        self._filled = 1

    def at(self, x: Array) -> Field:
        """Other points of the same line."""
        return Field(self.dag, x, self.dense.seed, doubled=False, still=self.dense.still)

    def hidden(self, rows: Candidates, members: Array, first: Array) -> tuple[Array, Array]:
        """Cells that hold no point, of rows and of what they are compared with: (row number, x in the middle) of each.

        Args:
            rows: all rows.
            members: ``(n,)`` numbers of those to look at.
            first: ``(n,)`` positions among the members: what each is compared with.
        """
        self._extend()
        locations = np.full((len(members), _MOST), np.inf)
        heads = rows.heads[members]
        tasks = []
        for head in np.unique(heads[heads >= 0]).tolist():
            known = self.dag.heads[head]
            if known.tape.total:
                continue
            where = np.flatnonzero(heads == head)
            arguments = rows.arguments[members[where], : known.arity]
            if not known.tape.switches:
                some = np.isfinite(self._locations[arguments, 0]).any(axis=1)
                where, arguments = where[some], arguments[some]
            parts = range(0, len(where), _BLOCK)
            tasks += [(head, where[n : n + _BLOCK], arguments[n : n + _BLOCK]) for n in parts]

        def locate(task: tuple[int, Array, Array]) -> None:
            head, where, arguments = task
            locations[where] = self._of(head, arguments)

        in_threads(locate, tasks)
        several = np.flatnonzero(np.isfinite(locations[:, 1]))
        own, x = self._empty(locations[several])
        # Between a place of one row and a place of the other lies a cell of the pair.
        other = locations[first]
        with np.errstate(invalid="ignore"):
            apart = np.abs(locations - other) > SAME_PLACE * np.maximum(
                1.0, np.minimum(np.abs(locations), np.abs(other))
            )
        differing = np.flatnonzero(apart.any(axis=1))
        shared, y = self._empty(_distinct(np.concatenate([locations[differing], other[differing]], axis=1)))
        return members[np.concatenate([several[own], differing[shared]])], np.concatenate([x, y])

    def _empty(self, locations: Array) -> tuple[Array, Array]:
        low, high = locations[:, :-1], locations[:, 1:]
        rows, cells = np.nonzero(np.isfinite(high))
        low, high = low[rows, cells], high[rows, cells]
        empty = np.searchsorted(self.points, low) == np.searchsorted(self.points, high)
        rows, low, high = rows[empty], low[empty], high[empty]
        # A corner is deepest at a location between two cells, and the ends of a cell are less well known than those.
        between = np.flatnonzero((rows[1:] == rows[:-1]) & (low[1:] == high[:-1]))
        beside = high[between] + _BESIDE * np.maximum(1.0, np.abs(high[between]))
        return np.concatenate([rows, rows[between]]), np.concatenate([(low + high) / 2, beside])

    def _extend(self) -> None:
        """Locate the sign changes of every row of the dag that is new."""
        self.grid.extend()
        while len(self._locations) < self.dag.size:
            self._locations = np.concatenate([self._locations, np.full_like(self._locations, np.inf)])
        for head, arguments, first in self.dag.pieces(self._filled):
            for start in range(0, len(arguments), _BLOCK):
                part = self._of(head, arguments[start : start + _BLOCK])
                self._locations[first + start : first + start + len(part)] = part
        self._filled = self.dag.size

    def _of(self, head: int, arguments: Array) -> Array:
        """``(rows, _MOST)`` ascending locations on the way to rows of one head; the rest is infinite."""
        known = self.dag.heads[head]
        out = np.full((len(arguments), _MOST), np.inf)
        if known.tape.total:
            return out
        parts = [self._locations[column] for column in arguments.T]
        if known.tape.switches:
            inputs = [np.take(self.grid.values, column, axis=0) for column in arguments.T]
            inputs += [self.grid.slot(slot) for slot in known.slots]
            parts += [
                self._roots(np.broadcast_to(values, (len(arguments), self.grid.columns)))
                for values in switch_values(known.tape, inputs, self.grid.bounds)
            ]
        found = np.concatenate([part[:, np.isfinite(part).any(axis=0)] for part in parts], axis=1)
        found = _distinct(found)
        width = min(_MOST, found.shape[1])
        out[:, :width] = found[:, :width]
        return out

    def _roots(self, values: Array) -> Array:
        """``(rows, n)`` locations of sign changes of ``(rows, points)`` values; n as many as the row with most has."""
        x = self.grid.x
        above, below = values > 0, values < 0
        changes = np.nonzero((above[:, 1:] & below[:, :-1]) | (below[:, 1:] & above[:, :-1]))
        size = np.abs(values)
        falling = size[:, 1:] < size[:, :-1]
        turns = np.nonzero(falling[:, :-1] & ~falling[:, 1:])
        corners = np.nonzero(falling[:, :-2] & ~falling[:, 2:])
        with np.errstate(all="ignore"):
            found = [
                (changes[0], _between(values, x, *changes)),
                _turns(values, x, *turns),
                _corners(values, x, *corners),
            ]
        rows, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
        if not len(rows):
            return np.full((len(values), 0), np.inf)
        order = np.lexsort((places, rows))
        rows, places = rows[order], places[order]
        counts = np.bincount(rows, minlength=len(values))
        at = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]
        out = np.full((len(values), int(min(counts.max(), _MOST))), np.inf)
        keep = at < out.shape[1]
        out[rows[keep], at[keep]] = places[keep]
        return out


def _distinct(found: Array) -> Array:
    """Ascending locations, each place once."""
    found.sort(axis=1)
    with np.errstate(invalid="ignore"):
        again = found[:, 1:] - found[:, :-1] <= SAME_PLACE * np.maximum(1.0, np.abs(found[:, 1:]))
    if again.any():
        found[:, 1:][again] = np.inf
        found.sort(axis=1)
    return found


def _between(values: Array, x: Array, rows: Array, gaps: Array) -> Array:
    """Roots between neighbouring grid points of opposite sign: of the cubic through four values, else of the line."""
    start = np.clip(gaps - 1, 0, len(x) - 4)
    columns = start[:, None] + np.arange(4)
    nodes, at = x[columns], values[rows[:, None], columns]
    low, high = x[gaps], x[gaps + 1]
    # Newton's form of the cubic, and Newton's method from where the line crosses.
    c = at.copy()
    for level in range(1, 4):
        c[:, level:] = (c[:, level:] - c[:, level - 1 : -1]) / (nodes[:, level:] - nodes[:, : 4 - level])
    f_low, f_high = values[rows, gaps], values[rows, gaps + 1]
    line = low + (high - low) * (f_low / (f_low - f_high))
    root = line
    for _ in range(_STEPS):
        away = root[:, None] - nodes
        second = c[:, 2] + away[:, 2] * c[:, 3]
        first = c[:, 1] + away[:, 1] * second
        slope = first + away[:, 0] * (second + away[:, 1] * c[:, 3])
        root = np.clip(root - (c[:, 0] + away[:, 0] * first) / slope, low, high)
    return np.where(np.isfinite(root), root, line)


def _turns(values: Array, x: Array, rows: Array, columns: Array) -> tuple[Array, Array]:
    """Roots of parabolas through three values of one sign, the middle one smallest: (row of each, location)."""
    a, b, c = (values[rows, columns + n] for n in range(3))
    x0, x1, x2 = (x[columns + n] for n in range(3))
    first, second = (b - a) / (x1 - x0), (c - b) / (x2 - x1)
    bend = (second - first) / (x2 - x0)
    slope = first + bend * (x1 - x0)
    inside = slope**2 - 4 * bend * b
    spread = np.sqrt(inside) / (2 * np.abs(bend))
    center = x1 - slope / (2 * bend)
    good = (inside > 1e-12 * slope**2) & (center > x0) & (center < x2) & (a * b > 0) & (b * c > 0) & np.isfinite(spread)
    rows, center, spread = rows[good], center[good], spread[good]
    return np.concatenate([rows, rows]), np.concatenate([center - spread, center + spread])


def _corners(values: Array, x: Array, rows: Array, columns: Array) -> tuple[Array, Array]:
    """Roots of the lines through two values on either side of a gap, where these cross before they meet."""
    x0, x1, x2, x3 = (x[columns + n] for n in range(4))
    a, b, c, d = (values[rows, columns + n] for n in range(4))
    low = x1 - b * (x1 - x0) / (b - a)
    high = x2 - c * (x3 - x2) / (d - c)
    good = (low > x1) & (high < x2) & (low < high) & (a * b > 0) & (b * c > 0) & (c * d > 0)
    rows, low, high = rows[good], low[good], high[good]
    return np.concatenate([rows, rows]), np.concatenate([low, high])
