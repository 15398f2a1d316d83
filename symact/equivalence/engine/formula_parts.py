"""What formulas compute on the way: where that is nearly equal in two of them, they are compared where it is not.

`sigmoid(min(gelu(x), 7))*x` and `sigmoid(gelu(min(x, 7)))*x`, each written as one formula, are each one operator. What
`neighbours` sees of terms it sees here of the parts of such operators, and of the terms that others are made of.

In: terms in groups. Out: for those that have two nearly equal parts, points where they must be compared.
"""

from __future__ import annotations

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.dense_comparison import DenseComparison
from symact.equivalence.engine.neighbours import Neighbours
from symact.equivalence.engine.term_columns import TermColumns
from symact.equivalence.exact.comparison import BallComparison, Point
from symact.equivalence.numeric.samples import SampleGrid
from symact.equivalence.terms import Term, TermGraph


class FormulaParts:
    """A graph of its own with the parts of operators that are applied to the inputs alone, as whole formulas are.

    Args:
        base: the sample points of the graph that holds the terms.
        interval: (low, high), where functions are compared.
    """

    def __init__(self, base: SampleGrid, interval: tuple[float, float]):
        self.graph = base.graph
        self._own = TermGraph(base.graph.inputs)
        own_base = SampleGrid(self._own, base.x, base.seed, base.bounds.doubled)
        dense = DenseComparison(own_base, interval)
        self._neighbours = Neighbours(own_base, dense, BallComparison(self._own, base.x))
        # Term of the graph -> what it is made of here, itself included.
        self._known: dict[int, frozenset[int]] = {n: frozenset() for n in range(base.graph.inputs)}
        self._copies: dict[int, int] = {n: n for n in range(base.graph.inputs)}

    def points(self, terms: TermColumns, members: Array, lengths: Array) -> dict[int, list[Point]]:
        """As `Neighbours.points`, of the groups that hold such an application."""
        formulas = np.array([bool(symbol.parts) and not symbol.total for symbol in self.graph.symbols] + [False])
        symbols, arguments = terms.symbols[members], terms.arguments[members]
        shown = formulas[np.maximum(symbols, -1)] & (arguments < self.graph.inputs).all(axis=1)
        if not shown.any():
            return {}
        chosen = np.logical_or.reduceat(shown, np.cumsum(lengths) - lengths)
        members, lengths = members[np.repeat(chosen, lengths)], lengths[chosen]
        made_of = [sorted(self._content(terms.term(member))) for member in members.tolist()]
        contents = np.full((len(members), max(map(len, made_of))), -1)
        for row, content in zip(contents, made_of, strict=True):
            row[: len(content)] = content
        return self._neighbours.telling(contents, members, lengths)

    def _content(self, term: Term) -> frozenset[int]:
        """The parts of a term, and of all that it is made of."""
        symbol, arguments = term
        if symbol < 0:
            return frozenset()
        found = set[int]().union(*map(self._made_of, arguments))
        if max(arguments) < self.graph.inputs:
            for part in self.graph.symbols[symbol].parts:
                found.add(self._own.apply(self._own.symbol(*part), arguments))
        return frozenset(found)

    def _made_of(self, number: int) -> frozenset[int]:
        found = self._known.get(number)
        if found is None:
            found = self._known[number] = self._content(self.graph.term(number)) | {self._copy(number)}
        return found

    def _copy(self, number: int) -> int:
        found = self._copies.get(number)
        if found is None:
            symbol, arguments = self.graph.term(number)
            known = self.graph.symbols[symbol]
            own = self._own.symbol(known.operator, known.slots)
            found = self._copies[number] = self._own.apply(own, tuple(map(self._copy, arguments)))
        return found
