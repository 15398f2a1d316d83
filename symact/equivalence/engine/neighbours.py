"""Terms that are nearly equal, and where they are not: what is made of them is compared there.

`min(gelu(x), 7)` and `gelu(min(x, 7))` differ by 9e-12 where x > 7, and nowhere else. They are told apart; but sigmoids
of them differ by 1e-14, which float64 takes for rounding. So whatever is made of one of two such terms is compared, in
balls, at points where the two differ.

In: terms in groups. Out: for those that are made of two such terms, points where they must be compared.
"""

from __future__ import annotations

import itertools
from typing import TypeAlias

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.dense_comparison import DenseComparison
from symact.equivalence.engine.term_columns import TermColumns
from symact.equivalence.exact.comparison import BallComparison, Point
from symact.equivalence.numeric.fingerprints import fingerprint
from symact.equivalence.numeric.samples import BLOCKS, PER_BLOCK, POINTS, SampleGrid
from symact.equivalence.terms import TermGraph

# How near two terms are that are looked at: an operator that shows its argument at all (see `sensitivity`) may make a
# difference of a thousandth as small as rounding.
_NEAR = 1e-3
# A term is compared with so many others that are near it, and what is made of it at so many points at most.
_OTHERS, _POINTS = 4, 16
# A pair of near terms, by number, and whether the second of the two.
Mark: TypeAlias = "tuple[int, bool]"
_WEIGHTS = np.random.default_rng(20261130).uniform(0.25, 1.0, POINTS)


class Neighbours:
    """Pairs of terms of a graph that are near each other.

    Args:
        base: the sample points.
        dense: what is between them.
        comparison: in balls.
    """

    def __init__(self, base: SampleGrid, dense: DenseComparison, comparison: BallComparison):
        self.base, self.dense, self.comparison = base, dense, comparison
        # Of values as they are multiplied, by exponent and mantissa, and as they are added, by size.
        self._sums = np.empty((0, 2))
        # Pairs that were looked at, by number, and where the two differ: nowhere, as far as float64 and balls show.
        self._numbers: dict[tuple[int, int], int] = {}
        self._differences: list[tuple[Point, ...]] = []

    @property
    def graph(self) -> TermGraph:
        """Names the terms."""
        return self.base.graph

    def points(self, terms: TermColumns, members: Array, lengths: Array) -> dict[int, list[Point]]:
        """Members of groups that are made of one of two near terms, where another is made of the other one.

        Args:
            terms: all terms.
            members: of the groups, one after another.
            lengths: of the groups.

        Returns:
            each such member, with points where the two differ.
        """
        return self.telling(terms.arguments[members], members, lengths)

    def telling(self, arguments: Array, members: Array, lengths: Array) -> dict[int, list[Point]]:
        """The same of members that are made of terms of the graph, ``(members, width)``, -1 where there are less."""
        marks = self._marks(self._below(arguments))
        if not marks:
            return {}
        marked = np.zeros(self.graph.size, bool)
        marked[list(marks)] = True
        positions = np.flatnonzero((marked[np.maximum(arguments, 0)] & (arguments >= 0)).any(axis=1))
        groups = np.repeat(np.arange(len(lengths)), lengths)[positions]
        found: dict[int, list[Point]] = {}
        for start, stop in itertools.pairwise([*np.flatnonzero(np.diff(groups, prepend=-1)).tolist(), len(groups)]):
            if stop - start < 2:
                continue
            made_of = [[marks.get(int(a), ()) for a in arguments[p]] for p in positions[start:stop]]
            own = [frozenset[Mark]().union(*parts) for parts in made_of]
            together = frozenset[Mark]().union(*own)
            for position, mine in zip(positions[start:stop].tolist(), own, strict=True):
                pairs = sorted({number for number, side in mine if (number, not side) in together})
                if pairs:
                    found[int(members[position])] = _some([self._differences[number] for number in pairs])
        return found

    def _below(self, arguments: Array) -> Array:
        """The terms of the graph that some terms are made of, ascending, inputs left out."""
        needed = np.zeros(self.graph.size, bool)
        waiting = np.unique(arguments[arguments >= self.graph.inputs])
        while len(waiting):
            needed[waiting] = True
            inner = np.unique(self.graph.arguments_of(waiting))
            inner = inner[inner >= self.graph.inputs]
            waiting = inner[~needed[inner]]
        return np.flatnonzero(needed)

    def _marks(self, below: Array) -> dict[int, frozenset[Mark]]:
        """Which terms are made of one of two near ones, and of which."""
        own: dict[int, set[Mark]] = {}
        for first, second in self._pairs(below):
            pair = min(first, second), max(first, second)
            number = self._numbers.get(pair)
            if number is None:
                number = self._numbers[pair] = len(self._differences)
                self._differences.append(self._where_apart(*pair))
            if self._differences[number]:
                for side, term in enumerate(pair):
                    own.setdefault(term, set()).add((number, bool(side)))
        marks: dict[int, frozenset[Mark]] = {}
        if own:
            for term in below.tolist():
                inherited = [marks[a] for a in self.graph.term(term)[1] if a in marks]
                if inherited or term in own:
                    marks[term] = frozenset(own.get(term, ())).union(*inherited)
        return marks

    def _pairs(self, below: Array) -> list[tuple[int, int]]:
        """Pairs of terms that are near each other at all sample points together, in their digits or in size."""
        self._extend()
        found: dict[tuple[int, int], None] = {}
        for own in self._sums.T:
            order = below[np.argsort(own[below], kind="stable")]
            sums = own[order]
            for step in range(1, _OTHERS + 1):
                near = np.flatnonzero(sums[step:] - sums[:-step] <= _NEAR)
                found.update(dict.fromkeys(zip(order[near].tolist(), order[near + step].tolist(), strict=True)))
        return list(found)

    def _extend(self) -> None:
        """Sum the projections of terms of the graph that are new."""
        self.base.extend()
        if len(self._sums) < self.graph.size:
            values = self.base.values[len(self._sums) :]
            digits = fingerprint(values, self.base.bounds).projections.sum(axis=1)
            sizes = np.arcsinh(np.nan_to_num(values[:, :POINTS])) @ _WEIGHTS
            self._sums = np.concatenate([self._sums, np.stack([digits, sizes], axis=1)])

    def _where_apart(self, first: int, second: int) -> tuple[Point, ...]:
        """Some points where two terms of the graph differ, as far as float64 shows it, else balls."""
        for grid in self.dense.grids():
            grid.extend()
        pair = self._columns(first, second)
        points = self.dense.differences(pair, 0, 1)
        if points:
            chosen = np.unique(np.linspace(0, len(points) - 1, _POINTS).astype(int))
            return tuple(points[n] for n in chosen.tolist())
        ends = [(self.base, p) for j in range(BLOCKS) for p in (j * PER_BLOCK, (j + 1) * PER_BLOCK - 1)]
        ends += [(grid, point) for _, grid, point in self.dense.unsampled_points(pair, np.arange(2), np.zeros(2, int))]
        reference = self.comparison.reference(self.graph.term(first))
        other = self.graph.term(second)
        return tuple(point for point in ends if self.comparison.same(reference, other, [point]) is False)

    def _columns(self, *numbers: int) -> TermColumns:
        """Terms of the graph as they are looked up by their numbers."""
        found = [self.graph.term(number) for number in numbers]
        arguments = np.full((len(found), 2), -1)
        for row, (_, own) in zip(arguments, found, strict=True):
            row[: len(own)] = own
        values = self.base.values[list(numbers)]
        count = np.zeros(len(found), np.int8)
        symbols = np.array([symbol for symbol, _ in found], np.int32)
        return TermColumns(symbols, arguments, fingerprint(values, self.base.bounds), count, count, np.array(numbers))


def _some(lists: list[tuple[Point, ...]]) -> list[Point]:
    """Points of several lists in turn, each once."""
    turns = itertools.chain.from_iterable(itertools.zip_longest(*lists))
    return list(dict.fromkeys(point for point in turns if point is not None))[:_POINTS]
