"""`DenseComparison`: where terms of one group differ between the sample points.

In: terms in groups. Out: points where a term has to be compared with the first of its group: those of a dense grid
where float64 values leave it, and one in every piece between breakpoints that holds no other point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.breakpoints import Breakpoints
from symact.equivalence.engine.term_columns import TermColumns, spans
from symact.equivalence.exact.comparison import Point
from symact.equivalence.numeric.samples import DENSE, Line, SampleGrid, dense_points, sample_points
from symact.equivalence.parallel import in_threads, shares

# Rounding stays below it; what differs by more is decided in balls.
_TOLERANCE = 1e-12
_CHUNK, _BLOCK = 4096, 512
# Parameters are held at as many values as there are seeds.
_LINES = (11, 12)
# In a box of two inputs: points scattered over it, and lines through it. On most of them one input is held, at so many
# values; the slanted ones begin at a part of the interval of g and change over a part of it.
_SCATTERED, _HELD = 1024, 12
_SLANTED = ((0.113, 0.768), (0.934, -0.853))


class DenseComparison:
    """Values of terms between the sample points.

    Args:
        base: the sample points.
        interval: (low, high), where functions are compared.
    """

    def __init__(self, base: SampleGrid, interval: tuple[float, float]):
        self.graph, self._base, self._interval = base.graph, base, interval
        count = DENSE if base.graph.inputs == 1 else _SCATTERED
        self.grid = SampleGrid(base.graph, dense_points(*interval, count), seed=2, doubled=False)
        self._lines: list[Breakpoints] = []

    def grids(self) -> list[SampleGrid]:
        """Dense points, then lines; without parameters the points of one input are one line.

        The points have all kinds of parameters and are scattered over the box of two inputs, lines have fixed ones.
        """
        if self.graph.inputs > 1:
            if not self._lines:
                self._lines = [Breakpoints(self.graph, line, np.empty(0)) for line in self._through_the_box()]
            return [self.grid, *(line.dense for line in self._lines)]
        if any(symbol.slots for symbol in self.graph.symbols):
            if not self._lines or not self._lines[0].dense.fixed_parameters:
                lines = [SampleGrid(self.graph, self.grid.x, s, doubled=False, fixed_parameters=True) for s in _LINES]
                self._lines = [Breakpoints(self.graph, line, np.empty(0)) for line in lines]
            return [self.grid, *(line.dense for line in self._lines)]
        if not self._lines:
            self._lines = [Breakpoints(self.graph, self.grid, self._base.x)]
        return [self.grid]

    def _through_the_box(self) -> Iterator[SampleGrid]:
        low, high = self._interval
        width = high - low
        held = sample_points(low, high, _HELD).tolist()
        lines = [Line((0.0, 1.0), (value, 0.0)) for value in held]
        lines += [Line((value, 0.0), (0.0, 1.0)) for value in held]
        # g at the low end of x, and how it changes with x.
        lines += [Line((0.0, 1.0), (low + start * width - change * low, change)) for start, change in _SLANTED]
        for number, line in enumerate(lines):
            yield SampleGrid(self.graph, dense_points(low, high), _LINES[number % len(_LINES)], False, True, line)

    def extend(self) -> None:
        """Find out now what comparing will ask of the terms that there are."""
        for grid in self.grids():
            grid.extend()
        for line in self._lines:
            line.extend()

    def values(self, grid: SampleGrid, terms: TermColumns, members: Array) -> Array:
        """Values ``(members, columns)`` of some of the terms."""
        values = np.empty((len(members), grid.columns))
        batches = []
        symbols, numbers = terms.symbols[members], terms.numbers[members]
        values[numbers >= 0] = grid.values[numbers[numbers >= 0]]
        for symbol in np.unique(symbols[numbers < 0]).tolist():
            where = np.flatnonzero((symbols == symbol) & (numbers < 0))
            arguments = terms.arguments[members[where], : self.graph.symbols[symbol].arity]
            batches += [(symbol, part, where[start:]) for _, part, start in grid.batches(symbol, arguments)]

        def evaluate(share: Sequence[tuple[int, Array, Array]]) -> None:
            for symbol, arguments, where in share:
                values[where[: len(arguments)]] = grid.apply(symbol, arguments)

        in_threads(evaluate, shares(batches))
        return values

    def extra_points(self, terms: TermColumns, order: Array, starts: Array, ends: Array) -> dict[int, list[Point]]:
        """Term -> points where it must be compared with the first of its group.

        Args:
            terms: all terms.
            order: numbers of terms, group after group.
            starts: of the groups in `order`.
            ends: likewise.
        """
        found: dict[int, list[Point]] = {}
        for grid in self.grids():
            self._note_differences(grid, terms, order, starts, ends, found)
        members = spans(order, starts, ends)
        first = np.repeat(np.cumsum(ends - starts) - (ends - starts), ends - starts)
        for number, grid, point in self.unsampled_points(terms, members, first):
            found.setdefault(number, []).append((grid, point))
        return found

    def _note_differences(
        self,
        grid: SampleGrid,
        terms: TermColumns,
        order: Array,
        starts: Array,
        ends: Array,
        found: dict[int, list[Point]],
    ) -> None:
        grid.extend()
        at = 0
        while at < len(starts):
            stop = max(at + 1, int(np.searchsorted(ends - starts[at], _CHUNK, side="right")))
            lengths = ends[at:stop] - starts[at:stop]
            members = spans(order, starts[at:stop], ends[at:stop])
            values = self.values(grid, terms, members)
            first = np.repeat(np.cumsum(lengths) - lengths, lengths)
            for index in _leaving(values, first).tolist():
                points = np.flatnonzero(_apart(values[index], values[first[index]]))
                found.setdefault(int(members[index]), []).extend(_some(grid, points))
            at = stop

    def differences(self, terms: TermColumns, first: int, second: int) -> list[Point]:
        """Some of the dense points where two terms seem to differ."""
        found: list[Point] = []
        for grid in self.grids():
            values = self.values(grid, terms, np.array([first, second]))
            points = np.flatnonzero(_apart(values[0], values[1]))
            if len(points):
                found += _some(grid, points)
        return found

    def unsampled_points(
        self, terms: TermColumns, members: Array, first: Array
    ) -> Iterator[tuple[int, SampleGrid, int]]:
        """A point in each piece that holds no point of comparison: (term number, its grid, its number there).

        Args:
            terms: all terms.
            members: ``(n,)`` numbers of those to look at.
            first: ``(n,)`` positions among the members: what each is compared with.
        """
        self.grids()
        for line in self._lines:
            numbers, x = line.unsampled(terms, members, first)
            if not len(x):
                continue
            points, at = np.unique(x, return_inverse=True)
            grid = line.at(points)
            for number, point in zip(numbers.tolist(), at.tolist(), strict=True):
                yield number, grid, point


def _some(grid: SampleGrid, points: Array) -> list[Point]:
    """The first, the middle and the last of some points."""
    return [(grid, p) for p in sorted({int(points[0]), int(points[len(points) // 2]), int(points[-1])})]


def _leaving(values: Array, first: Array) -> Array:
    """Which terms of ``(terms, points)`` values are apart somewhere from the term that `first` names."""
    found = []
    for start in range(0, len(values), _BLOCK):
        own, others = values[start : start + _BLOCK], values[first[start : start + _BLOCK]]
        # Most agree at sight; only the others, and what is undefined, are looked at closely.
        unlike = np.flatnonzero(~(np.abs(own - others) <= _TOLERANCE * np.abs(others)).all(axis=1))
        found.append(start + unlike[_apart(own[unlike], others[unlike]).any(axis=1)])
    return np.concatenate(found)


def _apart(values: Array, others: Array) -> Array:
    """Where two arrays differ by more than rounding, or are defined differently."""
    apart = np.abs(values - others) > _TOLERANCE * np.maximum(np.abs(values), np.abs(others))
    differing: Array = apart | (np.isnan(values) != np.isnan(others))
    return differing
