"""`Traits`: how well float64 shows rows, and where they have kinks.

In: described rows. Out: what decides whether agreement of their float64 values is agreement of functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.described import Candidates
from symact.equivalence.engine.sensitivity import revealing
from symact.equivalence.numeric.float64 import Saturation, breakpoint_values, run
from symact.equivalence.parallel import in_threads
from symact.equivalence.terms import ANCHORS, MIDDLES, PER_ANCHOR, POINTS, Field

# The middle of each anchor and its outer end, where operators are asked whether they hide something.
_PER_PROBE = 2
_PROBES = np.stack(
    [MIDDLES, np.where(MIDDLES < POINTS // 2, MIDDLES - PER_ANCHOR // 2, MIDDLES + PER_ANCHOR // 2 - 1)], axis=1
).ravel()
_BLOCK = 512


@dataclass
class Traits:
    """How well float64 shows rows; what was not asked for is zero.

    Attributes:
        extremes: ``(rows, ANCHORS)``: how large or small (in powers of two) any value on the way became.
        kinked: ``(rows,)``: whether some part of it has switches that change.
        calm: ``(rows, ANCHORS)``: no operation on the way hides its arguments there, see `revealing`.
    """

    extremes: Array
    kinked: Array
    calm: Array

    @staticmethod
    def blank(rows: int, anchors: int) -> Traits:
        """Nothing known of any row."""
        return Traits(np.zeros((rows, anchors), np.float32), np.zeros(rows, bool), np.zeros((rows, anchors), bool))

    def take(self, rows: Array, other: Traits, numbers: Array) -> None:
        """Let `rows` be as the rows `numbers` of another."""
        self.extremes[rows], self.kinked[rows] = other.extremes[numbers], other.kinked[numbers]
        self.calm[rows] = other.calm[numbers]

    def doubled(self) -> Traits:
        """Room for twice as many rows."""
        return Traits(
            *(np.concatenate([part, np.zeros_like(part)]) for part in (self.extremes, self.kinked, self.calm))
        )


class Viewer:
    """Finds traits of rows of a dag, and of rows that are not in it yet.

    Args:
        base: the sample points.
    """

    def __init__(self, base: Field):
        self.base = base
        self._plain = Saturation(POINTS, doubled=False)
        self._probing = Saturation(len(_PROBES), doubled=False)
        # Of the rows of the dag.
        self._known = Traits.blank(64, ANCHORS)
        self._known.calm[0] = True
        self._known.extremes[0] = _powers(base.values[0, MIDDLES])

    def adopt(self, chosen: Candidates, rows: Array) -> None:
        """Remember the traits of new rows of the dag."""
        while len(self._known.kinked) < self.base.dag.size:
            self._known = self._known.doubled()
        everything = np.arange(len(chosen))
        self._known.take(rows, self.traits(chosen, everything), everything)

    def traits(self, rows: Candidates, members: Array) -> Traits:
        """How well float64 shows some of the rows; costly, so only those are asked for that may be equal to others."""
        found = Traits.blank(len(rows), ANCHORS)
        nodes = rows.nodes[members]
        known, nodes = members[nodes >= 0], nodes[nodes >= 0]
        found.take(known, self._known, nodes)
        members = members[rows.nodes[members] < 0]
        heads = rows.heads[members]
        arities = np.array([head.arity if not head.program.total else 0 for head in self.base.dag.heads])[heads]
        tasks = []
        for arity in np.unique(arities).tolist():
            own = members[arities == arity]
            own = own[np.argsort(rows.heads[own], kind="stable")]
            tasks += [(arity, own[start : start + _BLOCK]) for start in range(0, len(own), _BLOCK)]

        def look(task: tuple[int, Array]) -> None:
            arity, own = task
            if arity:
                self._look(rows.heads[own], rows.arguments[own, :arity], own, found)
            else:
                self._look_at_constants(rows.heads[own], own, found)

        in_threads(look, tasks)
        return found

    def _look_at_constants(self, heads: Array, own: Array, found: Traits) -> None:
        """The traits of rows that do not mention their argument."""
        found.calm[own] = True
        for number, row in zip(heads.tolist(), own.tolist(), strict=True):
            head = self.base.dag.heads[number]
            inputs = [np.zeros((1, 1))] * head.arity + [self.base.slot(slot)[:, _PROBES] for slot in head.slots]
            values = run(head.program, inputs, self._probing)
            found.extremes[row] = _powers(np.broadcast_to(values, (1, len(_PROBES)))[0, ::_PER_PROBE])

    def _look(self, heads: Array, arguments: Array, own: Array, found: Traits) -> None:
        """The traits of rows of operators of one arity, in order of these: their own and those of their arguments."""
        numbers, starts = np.unique(heads, return_index=True)
        parts = []
        kinked = np.zeros(len(own), bool)
        for number, start, stop in zip(
            numbers.tolist(), starts.tolist(), [*starts[1:].tolist(), len(own)], strict=True
        ):
            head = self.base.dag.heads[number]
            inputs = [np.take(self.base.values, column, axis=0) for column in arguments[start:stop].T]
            slots = [self.base.slot(slot) for slot in head.slots]
            parts.append((head.program, [values[:, _PROBES] for values in (*inputs, *slots)]))
            if head.program.breakpoints:
                sides = [values[:, :POINTS] for values in (*inputs, *slots)]
                for switch in breakpoint_values(head.program, sides, self._plain):
                    kinked[start:stop] |= ~((switch > 0).all(axis=1) | (switch < 0).all(axis=1))
        shown = revealing(parts, arguments.shape[1])
        extremes = _powers(shown.values[:, ::_PER_PROBE])
        good = shown.good
        for column, mattering in zip(arguments.T, shown.matters, strict=True):
            np.maximum(extremes, self._known.extremes[column], out=extremes)
            kinked |= self._known.kinked[column]
            good &= np.repeat(self._known.calm[column], _PER_PROBE, axis=1) | ~mattering
        found.calm[own] = good.reshape(len(own), ANCHORS, _PER_PROBE).all(axis=2)
        found.extremes[own], found.kinked[own] = extremes, kinked


def _powers(values: Array) -> Array:
    """How many powers of two values are away from 1."""
    with np.errstate(divide="ignore"):
        size = np.abs(np.log2(np.abs(values)))
    return np.where(np.isfinite(size), size, 0).astype(np.float32)
