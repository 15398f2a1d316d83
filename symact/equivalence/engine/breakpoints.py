"""Breakpoints of terms, and pieces between them that no point of comparison is in, for many terms at once.

Between two neighbouring sign changes of the quantities that `Program.breakpoints` lists, on the way to a value, the
value is one analytic function of x: a piece. Sign changes are located between the points of a grid, by the cubic
through four values; so are pairs of them that the parabola through three values of one sign shows, or the lines through
two on either side of a gap (a corner, as of max(a, b) - c). A piece between two locations that holds no point of
comparison gets one.

What stays unseen: a piece narrower than `SAME_PLACE`; one whose two ends lie between neighbouring points of the grid
(0.04 apart on [-5, 5]) where neither parabola nor lines show them, such as a spike; whatever lies beyond the
twelfth location of a term. Terms with parameters have pieces on lines of fixed parameters, and are
looked at on two of these only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.term_columns import TermColumns
from symact.equivalence.numeric.float64 import breakpoint_values
from symact.equivalence.numeric.samples import SampleGrid
from symact.equivalence.parallel import in_threads
from symact.equivalence.terms import TermGraph

# Locations nearer than this are one place (in units of x, or relative to it beyond 1).
SAME_PLACE = 1e-6
_BESIDE = 0.21 * SAME_PLACE
_MOST = 12
_BLOCK = 512
_STEPS = 4
# Many operators have a breakpoint at zero and meet there in higher order: the grid is finer around it.
_LADDER = 0.4 * SAME_PLACE * np.geomspace(1, 5e4, 12)
Applications: TypeAlias = "tuple[int, Array, Array]"


class Breakpoints:
    """Locations of sign changes of terms on one line: x in an interval, each parameter at one value.

    Args:
        graph: names the terms.
        dense: the points of comparison on that line, ascending.
        others: further points of comparison there.
    """

    def __init__(self, graph: TermGraph, dense: SampleGrid, others: Array):
        self.graph, self.dense = graph, dense
        self.points = np.sort(np.concatenate([dense.x, others]))
        low, high = dense.x[[0, -1]]
        ladder = np.concatenate([-_LADDER, _LADDER])
        x = np.concatenate([dense.x, ladder[(ladder > low) & (ladder < high)]])
        self.grid = self.at(np.sort(x))
        self._locations = np.full((64, _MOST), np.inf)
        self._filled = graph.inputs
        # Where the values of terms of the graph change sign, as far as it was asked for.
        self._zeros = np.full((64, _MOST), np.inf)
        self._asked = np.zeros(64, bool)

    def at(self, x: Array) -> SampleGrid:
        """Other points of the same line."""
        dense = self.dense
        return SampleGrid(self.graph, x, dense.seed, False, dense.fixed_parameters, dense.line)

    def unsampled(self, terms: TermColumns, members: Array, first: Array) -> tuple[Array, Array]:
        """Pieces without a point, of terms and of what they are compared with: (term number, x in the middle) of each.

        Args:
            terms: all terms.
            members: ``(n,)`` numbers of those to look at.
            first: ``(n,)`` positions among the members: what each is compared with.
        """
        self.extend()
        locations = np.full((len(members), _MOST), np.inf)
        symbols, numbers = terms.symbols[members], terms.numbers[members]
        locations[numbers >= 0] = self._locations[numbers[numbers >= 0]]
        pieces = []
        for symbol in np.unique(symbols[numbers < 0]).tolist():
            where = np.flatnonzero((symbols == symbol) & (numbers < 0))
            pieces.append((symbol, terms.arguments[members[where], : self.graph.symbols[symbol].arity], where))
        self._locate(pieces, locations)
        several = np.flatnonzero(np.isfinite(locations[:, 1]))
        own, x = self._empty(locations[several])
        # Between a place of one term and a place of the other lies a piece of the pair.
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
        rows, gaps = np.nonzero(np.isfinite(high))
        low, high = low[rows, gaps], high[rows, gaps]
        empty = np.searchsorted(self.points, low) == np.searchsorted(self.points, high)
        rows, low, high = rows[empty], low[empty], high[empty]
        # A corner is deepest at a location between two pieces, and the ends of a piece are less well known than those.
        between = np.flatnonzero((rows[1:] == rows[:-1]) & (low[1:] == high[:-1]))
        beside = high[between] + _BESIDE * np.maximum(1.0, np.abs(high[between]))
        return np.concatenate([rows, rows[between]]), np.concatenate([(low + high) / 2, beside])

    def extend(self) -> None:
        """Locate the sign changes of every term of the graph that is new."""
        self.grid.extend()
        while len(self._locations) < self.graph.size:
            self._locations = np.concatenate([self._locations, np.full_like(self._locations, np.inf)])
            self._zeros = np.concatenate([self._zeros, np.full_like(self._zeros, np.inf)])
            self._asked = np.concatenate([self._asked, np.zeros_like(self._asked)])
        waiting: list[Applications] = []
        begin = self._filled
        for symbol, arguments, first in self.graph.batches(self._filled):
            # Locations are inherited, so those of all arguments have to be known.
            if waiting and arguments.size and arguments.max() >= begin:
                self._locate(waiting, self._locations)
                waiting, begin = [], first
            waiting.append((symbol, arguments, first + np.arange(len(arguments))))
        self._locate(waiting, self._locations)
        self._filled = self.graph.size

    def _locate(self, pieces: Sequence[Applications], locations: Array) -> None:
        """Ascending locations on the way to rows, into ``(rows, _MOST)``; what is not there stays infinite.

        Args:
            pieces: symbol, arguments, and numbers of rows in `locations`.
            locations: filled in place; those of arguments are known.
        """
        self._find_zeros(pieces)
        small: list[Applications] = []
        tasks: list[list[Applications]] = []
        for symbol, arguments, where in pieces:
            known = self.graph.symbols[symbol]
            if known.program.total:
                continue
            if not known.program.breakpoints:
                some = np.isfinite(self._locations[arguments, 0]).any(axis=1)
                arguments, where = arguments[some], where[some]
            for start in range(0, len(where), _BLOCK):
                part = slice(start, start + _BLOCK)
                if sum(len(piece[2]) for piece in small) + len(where[part]) > _BLOCK:
                    tasks.append(small)
                    small = []
                small.append((symbol, arguments[part], where[part]))
        tasks.append(small)

        def locate(task: list[Applications]) -> None:
            if task:
                self._located(task, locations)

        in_threads(locate, tasks)

    def _find_zeros(self, pieces: Sequence[Applications]) -> None:
        """The sign changes of arguments that are listed themselves; many terms share an argument."""
        columns = [
            arguments[:, number]
            for symbol, arguments, _ in pieces
            for number in self.graph.symbols[symbol].program.breakpoints
            if number < arguments.shape[1]
        ]
        if not columns:
            return
        wanted = np.unique(np.concatenate(columns))
        wanted = wanted[~self._asked[wanted]]
        self._asked[wanted] = True

        def find(rows: Array) -> None:
            found = self._roots(self.grid.values[rows], np.arange(len(rows)), len(rows))
            self._zeros[rows, : found.shape[1]] = found

        in_threads(find, [wanted[start : start + _BLOCK] for start in range(0, len(wanted), _BLOCK)])

    def _located(self, pieces: list[Applications], locations: Array) -> None:
        """`_locate` for a few rows, all at once: what to find the roots of is gathered first."""
        where = np.concatenate([numbers for _, _, numbers in pieces])
        inherited = np.full((len(where), 4 * _MOST), np.inf)
        owners, values = [], []
        start = 0
        for symbol, arguments, _ in pieces:
            known = self.graph.symbols[symbol]
            own = slice(start, start + len(arguments))
            start += len(arguments)
            given = [self._locations[column] for column in arguments.T]
            direct = [number for number in known.program.breakpoints if number < known.arity]
            given += [self._zeros[arguments[:, number]] for number in direct]
            inherited[own, : len(given) * _MOST] = np.concatenate(given, axis=1)
            if len(direct) == len(known.program.breakpoints):
                continue
            inputs = [np.take(self.grid.values, column, axis=0) for column in arguments.T]
            inputs += [self.grid.parameter(slot) for slot in known.slots]
            quantities = breakpoint_values(known.program, inputs, self.grid.bounds)
            for number, quantity in zip(known.program.breakpoints, quantities, strict=True):
                if number >= known.arity:
                    values.append(np.broadcast_to(quantity, (len(arguments), self.grid.columns)))
                    owners.append(np.arange(own.start, own.stop))
        found = [inherited[:, np.isfinite(inherited).any(axis=0)]]
        if values:
            found.append(self._roots(np.concatenate(values), np.concatenate(owners), len(where)))
        distinct = _distinct(np.concatenate(found, axis=1))
        width = min(_MOST, distinct.shape[1])
        locations[where, :width] = distinct[:, :width]

    def _roots(self, values: Array, owners: Array, count: int) -> Array:
        """``(count, n)`` locations of sign changes; n as many as the row with most has, at most `_MOST`.

        Args:
            values: ``(quantities, points)``.
            owners: ``(quantities,)`` the row that each is of.
            count: of rows.
        """
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
        quantities, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
        if not len(quantities):
            return np.full((count, 0), np.inf)
        rows = owners[quantities]
        order = np.lexsort((places, rows))
        rows, places = rows[order], places[order]
        counts = np.bincount(rows, minlength=count)
        at = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]
        out = np.full((count, int(min(counts.max(), _MOST))), np.inf)
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
    best: Array = np.where(np.isfinite(root), root, line)
    return best


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
