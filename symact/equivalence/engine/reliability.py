"""`Reliability`: how well float64 shows terms, and where they have kinks.

In: described terms. Out: what decides whether agreement of their float64 values is agreement of functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.sensitivity import informative_points
from symact.equivalence.engine.term_columns import TermColumns
from symact.equivalence.numeric.float64 import Saturation, breakpoint_values, run
from symact.equivalence.numeric.samples import BLOCKS, MIDDLES, PER_BLOCK, POINTS, SampleGrid
from symact.equivalence.parallel import in_threads

# The middle of each block and its outer end, where operators are asked whether they hide something.
_PER_PROBE = 2
_PROBES = np.stack(
    [MIDDLES, np.where(MIDDLES < POINTS // 2, MIDDLES - PER_BLOCK // 2, MIDDLES + PER_BLOCK // 2 - 1)], axis=1
).ravel()
_BLOCK = 512


@dataclass
class Reliability:
    """How well float64 shows terms; what was not asked for is zero.

    Attributes:
        magnitudes: ``(terms, BLOCKS)``: how large or small (in powers of two) any value on the way became.
        piecewise: ``(terms,)``: whether some part of it has breakpoints.
        informative: ``(terms, BLOCKS)``: no operation on the way hides its arguments there, see `informative_points`.
    """

    magnitudes: Array
    piecewise: Array
    informative: Array

    @staticmethod
    def blank(terms: int, blocks: int) -> Reliability:
        """Nothing known of any term."""
        return Reliability(
            np.zeros((terms, blocks), np.float32), np.zeros(terms, bool), np.zeros((terms, blocks), bool)
        )

    def take(self, terms: Array, other: Reliability, numbers: Array) -> None:
        """Let `terms` be as the terms `numbers` of another."""
        self.magnitudes[terms], self.piecewise[terms] = other.magnitudes[numbers], other.piecewise[numbers]
        self.informative[terms] = other.informative[numbers]

    def doubled(self) -> Reliability:
        """Room for twice as many terms."""
        return Reliability(
            *(
                np.concatenate([part, np.zeros_like(part)])
                for part in (self.magnitudes, self.piecewise, self.informative)
            )
        )


class ReliabilityAnalysis:
    """Finds reliability of terms of a graph, and of terms that are not in it yet.

    Args:
        base: the sample points.
    """

    def __init__(self, base: SampleGrid):
        self.base = base
        self._plain = Saturation(POINTS, doubled=False)
        self._probing = Saturation(len(_PROBES), doubled=False)
        # Of the terms of the graph.
        self._known = Reliability.blank(64, BLOCKS)
        inputs = base.graph.inputs
        self._known.informative[:inputs] = True
        self._known.magnitudes[:inputs] = _powers(base.values[:inputs, MIDDLES])

    def add(self, chosen: TermColumns, terms: Array) -> None:
        """Remember the reliability of new terms of the graph."""
        while len(self._known.piecewise) < self.base.graph.size:
            self._known = self._known.doubled()
        everything = np.arange(len(chosen))
        self._known.take(terms, self.reliability(chosen, everything), everything)

    def reliability(self, terms: TermColumns, members: Array) -> Reliability:
        """How well float64 shows some of the terms; costly, so only those are asked for that may be equal to others."""
        found = Reliability.blank(len(terms), BLOCKS)
        numbers = terms.numbers[members]
        known, numbers = members[numbers >= 0], numbers[numbers >= 0]
        found.take(known, self._known, numbers)
        members = members[terms.numbers[members] < 0]
        symbols = terms.symbols[members]
        arities = np.array([symbol.arity if not symbol.program.total else 0 for symbol in self.base.graph.symbols])[
            symbols
        ]
        tasks = []
        for arity in np.unique(arities).tolist():
            own = members[arities == arity]
            own = own[np.argsort(terms.symbols[own], kind="stable")]
            tasks += [(arity, own[start : start + _BLOCK]) for start in range(0, len(own), _BLOCK)]

        def look(task: tuple[int, Array]) -> None:
            arity, own = task
            if arity:
                self._look(terms.symbols[own], terms.arguments[own, :arity], own, found)
            else:
                self._look_at_constants(terms.symbols[own], own, found)

        in_threads(look, tasks)
        return found

    def _look_at_constants(self, symbols: Array, own: Array, found: Reliability) -> None:
        """The reliability of terms that do not mention their argument."""
        found.informative[own] = True
        for number, term in zip(symbols.tolist(), own.tolist(), strict=True):
            symbol = self.base.graph.symbols[number]
            inputs = [np.zeros((1, 1))] * symbol.arity + [
                self.base.parameter(slot)[:, _PROBES] for slot in symbol.slots
            ]
            values = run(symbol.program, inputs, self._probing)
            found.magnitudes[term] = _powers(np.broadcast_to(values, (1, len(_PROBES)))[0, ::_PER_PROBE])

    def _look(self, symbols: Array, arguments: Array, own: Array, found: Reliability) -> None:
        """The reliability of terms of symbols of one arity, in order of these, from their own and their arguments'."""
        numbers, starts = np.unique(symbols, return_index=True)
        parts = []
        piecewise = np.zeros(len(own), bool)
        for number, start, stop in zip(
            numbers.tolist(), starts.tolist(), [*starts[1:].tolist(), len(own)], strict=True
        ):
            symbol = self.base.graph.symbols[number]
            inputs = [np.take(self.base.values, column, axis=0) for column in arguments[start:stop].T]
            slots = [self.base.parameter(slot) for slot in symbol.slots]
            parts.append((symbol.program, [values[:, _PROBES] for values in (*inputs, *slots)]))
            if symbol.program.breakpoints:
                sides = [values[:, :POINTS] for values in (*inputs, *slots)]
                for quantity in breakpoint_values(symbol.program, sides, self._plain):
                    piecewise[start:stop] |= ~((quantity > 0).all(axis=1) | (quantity < 0).all(axis=1))
        shown = informative_points(parts, arguments.shape[1])
        magnitudes = _powers(shown.values[:, ::_PER_PROBE])
        good = shown.good
        for column, mattering in zip(arguments.T, shown.matters, strict=True):
            np.maximum(magnitudes, self._known.magnitudes[column], out=magnitudes)
            piecewise |= self._known.piecewise[column]
            good &= np.repeat(self._known.informative[column], _PER_PROBE, axis=1) | ~mattering
        found.informative[own] = good.reshape(len(own), BLOCKS, _PER_PROBE).all(axis=2)
        found.magnitudes[own], found.piecewise[own] = magnitudes, piecewise


def _powers(values: Array) -> Array:
    """How many powers of two values are away from 1."""
    with np.errstate(divide="ignore"):
        size = np.abs(np.log2(np.abs(values)))
    return np.where(np.isfinite(size), size, 0).astype(np.float32)
