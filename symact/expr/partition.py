"""Rows -> classes of equal functions: fingerprints propose, dense points and ball arithmetic dispose.

A row whose values are trusted everywhere is found by one sort; one that lost precision or left the range of
float64 at some points is compared where it is trusted. Every group that is proposed is looked at again on
a dense grid and settled, at its calmest points, in ball arithmetic; so is every close pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from symact.expr.arbiter import VARIABLE_HEAD, Arbiter
from symact.expr.candidates import Candidates, Traits
from symact.expr.crossings import Crossings
from symact.expr.fields import (
    ANCHORS,
    POINTS,
    Dag,
    Field,
    Head,
    dense_points,
    fingerprint,
    project_one,
    sample_points,
)
from symact.expr.hands import in_threads
from symact.expr.kernels import TRUSTED_HUGE, TRUSTED_TINY, Array, Saturation, run, switch_values
from symact.expr.proposals import ALL, MEETING, SAME, propose
from symact.expr.saturation import revealing
from symact.expr.settling import MIDDLES, PER_ANCHOR, Point, Settling, spans
from symact.expr.shortcuts import constant_of, never_negative

# The middle of each anchor and its outer end, where operators are asked whether they hide something.
_PER_PROBE = 2
_PROBES = np.stack(
    [MIDDLES, np.where(MIDDLES < POINTS // 2, MIDDLES - PER_ANCHOR // 2, MIDDLES + PER_ANCHOR // 2 - 1)], axis=1
).ravel()
_DENSE_TOLERANCE = 1e-7
_CHUNK, _BLOCK = 4096, 512
# So many blocks make a task of a thread.
_SHARE = 8
# Parameters are held at as many values as there are seeds.
_LINES = (11, 12)
_Item = TypeVar("_Item")

PROVED, CERTIFIED, NUMERIC = 0, 1, 2
EVIDENCE = ("proved", "certified", "numeric")


@dataclass
class Classes:
    """Attributes: ``labels`` ``(rows,)`` from 0; ``evidence`` ``(classes,)`` codes into `EVIDENCE`."""

    labels: Array
    evidence: Array


class Functions:
    """The functions known so far: distinct rows of a dag with their values, and how to compare new ones.

    Args:
        interval: (low, high), where functions are compared.
        certify: settle doubtful comparisons in ball arithmetic.

    Attributes:
        dag: of all functions.
        constants: row of the dag -> its value, of those that are 0 or 1.
        nonnegative: ``(at least rows of the dag,)`` rows that are never negative for sure.
        variable: the row of x, described.
    """

    def __init__(self, interval: tuple[float, float], certify: bool = True):
        self.certify = certify
        self.dag = Dag()
        low, high = float(interval[0]), float(interval[1])
        self.base = Field(self.dag, sample_points(low, high), seed=1, doubled=certify)
        self.dense = Field(self.dag, dense_points(low, high), seed=2, doubled=False)
        self.arbiter = Arbiter(self.dag)
        self._narrow_fields: list[Field] = []
        self._lines: list[Crossings] = []
        self._plain = Saturation(POINTS, doubled=False)
        self._probing = Saturation(len(_PROBES), doubled=False)
        self._traits = Traits.blank(64, ANCHORS)
        self._traits.calm[:] = True
        self._proof = np.zeros(64, np.int8)
        self.constants: dict[int, int] = {}
        self.nonnegative = np.zeros(64, bool)
        self.variable = self.describe(VARIABLE_HEAD, np.zeros((1, 0), np.int64), self.base.values)

    def candidates(self, wanted: Sequence[tuple[int, Array]]) -> Candidates:
        """Describe rows, given as heads with arguments ``(rows, arity)``, without keeping their values."""
        blocks = [block for head, arguments in wanted for block in self.base.blocks(head, arguments)]

        def described(share: Sequence[tuple[int, Array, int]]) -> Candidates:
            return Candidates.joined([self.describe(h, a, self.base.apply(h, a, start)) for h, a, start in share])

        return Candidates.joined(in_threads(described, _shares(blocks)))

    def adopt(self, chosen: Candidates) -> Array:
        """Make rows part of the dag, with values; gives their row numbers."""
        rows = np.empty(len(chosen), np.int64)
        for head in np.unique(chosen.heads):
            where = np.flatnonzero(chosen.heads == head)
            arguments = np.ascontiguousarray(chosen.arguments[where, : self.dag.heads[head].arity])
            rows[where] = self.dag.append(int(head), arguments) + np.arange(len(where))
        while len(self._proof) < self.dag.size:
            self._proof = np.concatenate([self._proof, np.zeros_like(self._proof)])
            self.nonnegative = np.concatenate([self.nonnegative, np.zeros_like(self.nonnegative)])
            self._traits = self._traits.doubled()
        self._learn(chosen, rows)
        if self.certify:
            traits = self.traits(chosen, np.arange(len(chosen)))
            self._traits.extremes[rows], self._traits.kinked[rows] = traits.extremes, traits.kinked
            self._traits.calm[rows] = traits.calm
        self.base.extend()
        return rows

    def _learn(self, chosen: Candidates, rows: Array) -> None:
        """What rules need to know of new rows of the dag."""
        for number in np.unique(chosen.heads).tolist():
            head, where = self.dag.heads[number], chosen.heads == number
            inputs = [self.nonnegative[column] for column in chosen.arguments[where, : head.arity].T]
            inputs += [np.zeros(1, bool)] * len(head.slots)
            self.nonnegative[rows[where]] = never_negative(head.tape, inputs)
            value = constant_of(head)
            if value is not None:
                self.constants.update(dict.fromkeys(rows[where].tolist(), value))

    def record(self, rows: Array, evidence: Array) -> None:
        """Remember by what the classes of rows of the dag were made."""
        np.maximum.at(self._proof, rows, evidence)

    def describe(self, head: int, arguments: Array, values: Array) -> Candidates:
        """What is kept of rows with these values ``(rows, columns)``."""
        first = values[:, :POINTS]
        prints = fingerprint(values, self.base.bounds)
        undefined = np.isnan(first).sum(axis=1)
        heads, proof = np.full(len(values), head, np.int16), np.zeros(len(values), np.int8)
        if self.certify and head != VARIABLE_HEAD and not self.dag.heads[head].tape.total:
            for column in arguments[:, : self.dag.heads[head].arity].T:
                np.maximum(proof, self._proof[column], out=proof)
        return Candidates(heads, arguments, prints, undefined, proof)

    def traits(self, rows: Candidates, members: Array) -> Traits:
        """How well float64 shows some of the rows; costly, so only those are asked for that may be equal to others."""
        found = Traits.blank(len(rows), ANCHORS)
        heads = rows.heads[members]
        tasks = []
        for head in np.unique(heads).tolist():
            own = members[heads == head]
            tasks += [(head, own[start : start + _BLOCK]) for start in range(0, len(own), _BLOCK)]

        def look(task: tuple[int, Array]) -> None:
            head, own = task
            if head == VARIABLE_HEAD:
                found.extremes[own] = _powers(self.base.values[:1, MIDDLES])
                found.calm[own] = True
            else:
                self._look(self.dag.heads[head], rows.arguments[own], own, found)

        in_threads(look, tasks)
        return found

    def _look(self, head: Head, arguments: Array, own: Array, found: Traits) -> None:
        """The traits of rows of one operator, from its own and those of its arguments."""
        columns = [] if head.tape.total else [arguments[:, i] for i in range(head.arity)]
        inputs = [np.take(self.base.values, column, axis=0) for column in arguments[:, : head.arity].T]
        inputs += [self.base.slot(slot) for slot in head.slots]
        probes = [values[:, _PROBES] for values in inputs]
        values = np.broadcast_to(run(head.tape, probes, self._probing), (len(own), len(_PROBES)))
        extremes = _powers(values[:, ::_PER_PROBE])
        kinked = np.zeros(len(own), bool)
        if head.tape.switches:
            for switch in switch_values(head.tape, [values[:, :POINTS] for values in inputs], self._plain):
                kinked |= ~((switch > 0).all(axis=1) | (switch < 0).all(axis=1))
        if columns:
            shown, matters = revealing(head.tape, head.arity, probes, values)
            for column, mattering in zip(columns, matters, strict=True):
                np.maximum(extremes, self._traits.extremes[column], out=extremes)
                kinked |= self._traits.kinked[column]
                shown &= np.repeat(self._traits.calm[column], _PER_PROBE, axis=1) | ~mattering
            found.calm[own] = shown.reshape(len(own), ANCHORS, _PER_PROBE).all(axis=2)
        else:
            found.calm[own] = True
        found.extremes[own], found.kinked[own] = extremes, kinked

    def repair(self, rows: Candidates) -> None:
        """Rows that float64 lost at the anchors where all rows meet get these values from ball arithmetic."""
        common = sum(1 << j for j in MEETING)
        for index in np.flatnonzero((rows.prints.trusted & common) != common).tolist():
            row = rows.row(index)
            anchors = MEETING if rows.prints.trusted[index] else range(ANCHORS)
            for anchor in anchors:
                if rows.prints.trusted[index] >> anchor & 1:
                    continue
                points = range(anchor * PER_ANCHOR, (anchor + 1) * PER_ANCHOR)
                features = np.array([self.arbiter.approximate(row, self.base, point) for point in points])
                if not np.isnan(features).any():
                    rows.prints.anchors[index, anchor] = project_one(features, anchor)
                    rows.prints.trusted[index] |= 1 << anchor

    def equal(self, first: Candidates, second: Candidates) -> bool:
        """Whether two single rows are the same function."""
        pair = Candidates.joined([first, second])
        traits = self.traits(pair, np.arange(2))
        self.dense.extend()
        values = self._dense_values(self.dense, pair, np.arange(2))
        apart = np.flatnonzero(_apart(values[0], values[1]))
        common = int(pair.prints.trusted[0] & pair.prints.trusted[1])
        distance = abs(pair.prints.anchors[0].sum() - pair.prints.anchors[1].sum())
        if len(apart) or common != ALL or distance > SAME:
            places = [(self.base, int(m)) for m in MIDDLES] + [(self.dense, int(p)) for p in apart[:3]]
        else:
            settling = Settling(self.arbiter, self.base, pair, traits, np.zeros(2, np.int64), 0, {}, lambda *_: [])
            places = [(self.base, int(settling.calmest(np.array([0]), np.array([1]))[0]))]
            if traits.kinked.any():
                places += settling.ends(np.flatnonzero(~traits.calm.all(axis=0)).tolist())
        places += self._narrow(pair) if traits.kinked.any() else []
        return self.arbiter.same(self.arbiter.anchor(pair.row(0)), pair.row(1), places) is True

    def _narrow(self, pair: Candidates) -> list[tuple[Field, int]]:
        """Points in cells of two rows that the dense points miss."""
        found: list[tuple[Field, int]] = []
        self._dense_fields()
        for line in self._lines:
            _, x = line.hidden(pair, np.arange(2), np.zeros(2, np.int64))
            if len(x):
                field = line.at(np.unique(x))
                # The arbiter knows fields by their identity, so they have to stay.
                self._narrow_fields.append(field)
                found += [(field, number) for number in range(len(field.x))]
        return found

    def classify(self, rows: Candidates, settled: int = 0) -> Classes:
        """Class the rows; of each class the label is new, in order of its first member.

        Args:
            rows: what to class.
            settled: so many of the first rows are known to be different functions.
        """
        if not self.certify:
            return _finished(propose(rows.prints)[0], np.full(len(rows), NUMERIC, np.int8))
        self.repair(rows)
        labels, doubtful, tight = propose(rows.prints)
        order = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0])
        ends = np.r_[starts[1:], len(order)]
        evidence = rows.proof.copy()
        # A group of settled rows alone has nothing to decide; members come in order, so its last one tells.
        open_groups = (ends - starts > 1) & (order[ends - 1] >= settled)
        for start in starts[(ends - starts > 1) & ~open_groups].tolist():
            members = order[start : ends[np.searchsorted(starts, start)]]
            labels[members[1:]] = -members[1:] - 1
        starts, ends = starts[open_groups], ends[open_groups]
        suspects = self._suspects(rows, order, starts, ends)
        traits = self.traits(rows, spans(order, starts, ends))
        calm = _calmness(traits, order, starts, ends)
        mixed = np.concatenate([[0], np.cumsum((tight[order[1:]] != tight[order[:-1]]) | doubtful[order[1:]]), [0]])
        hard = (mixed[ends - 1] > mixed[starts]) | doubtful[order[starts]]
        hard |= order[np.minimum(starts + 1, len(order) - 1)] < settled
        members = spans(order, starts, ends)
        clear = ~hard & calm
        if suspects:
            offsets = np.cumsum(ends - starts) - (ends - starts)
            clear &= ~np.logical_or.reduceat(np.isin(members, list(suspects)), offsets)
        evidence[members] = np.maximum(evidence[members], np.repeat(np.where(clear, NUMERIC, CERTIFIED), ends - starts))
        known = np.where(doubtful, -np.arange(len(rows)) - 1, tight)

        def differences(first: int, second: int) -> list[Point]:
            return self._pair_differences(rows, first, second)

        settling = Settling(self.arbiter, self.base, rows, traits, known, settled, suspects, differences)
        settling.settle(order, starts[~clear], ends[~clear], labels)
        return _finished(labels, evidence)

    def _suspects(self, rows: Candidates, order: Array, starts: Array, ends: Array) -> dict[int, list[Point]]:
        """Row -> points where it must be compared: those where it leaves its group, those in cells without any."""
        found: dict[int, list[Point]] = {}
        for field in self._dense_fields():
            self._dense_differences(field, rows, order, starts, ends, found)
        members = spans(order, starts, ends)
        first = np.repeat(np.cumsum(ends - starts) - (ends - starts), ends - starts)
        for line in self._lines:
            numbers, x = line.hidden(rows, members, first)
            if not len(x):
                continue
            places, at = np.unique(x, return_inverse=True)
            field = line.at(places)
            # The arbiter knows fields by their identity, so they have to stay.
            self._narrow_fields.append(field)
            for number, place in zip(numbers.tolist(), at.tolist(), strict=True):
                found.setdefault(number, []).append((field, place))
        return found

    def _dense_fields(self) -> list[Field]:
        """Dense points with all kinds of parameters, then lines of fixed ones; without parameters there is one line."""
        if any(head.slots for head in self.dag.heads):
            if not self._lines or not self._lines[0].dense.still:
                lines = [Field(self.dag, self.dense.x, seed, doubled=False, still=True) for seed in _LINES]
                self._lines = [Crossings(self.dag, line, np.empty(0)) for line in lines]
            return [self.dense, *(line.dense for line in self._lines)]
        if not self._lines:
            self._lines = [Crossings(self.dag, self.dense, self.base.x)]
        return [self.dense]

    def _dense_differences(
        self, field: Field, rows: Candidates, order: Array, starts: Array, ends: Array, found: dict[int, list[Point]]
    ) -> None:
        """Note the points of a dense field where rows leave the first one of their group."""
        field.extend()
        at = 0
        while at < len(starts):
            stop = max(at + 1, int(np.searchsorted(ends - starts[at], _CHUNK, side="right")))
            lengths = ends[at:stop] - starts[at:stop]
            members = spans(order, starts[at:stop], ends[at:stop])
            values = self._dense_values(field, rows, members)
            first = np.repeat(np.cumsum(lengths) - lengths, lengths)
            for index in _leaving(values, first).tolist():
                points = np.flatnonzero(_apart(values[index], values[first[index]]))
                found.setdefault(int(members[index]), []).extend(_some(field, points))
            at = stop

    def _pair_differences(self, rows: Candidates, first: int, second: int) -> list[Point]:
        """Some of the dense points where two rows seem to differ."""
        found: list[Point] = []
        for field in self._dense_fields():
            values = self._dense_values(field, rows, np.array([first, second]))
            points = np.flatnonzero(_apart(values[0], values[1]))
            if len(points):
                found += _some(field, points)
        return found

    def _dense_values(self, field: Field, rows: Candidates, members: Array) -> Array:
        values = np.empty((len(members), field.columns))
        blocks = []
        heads = rows.heads[members]
        for head in np.unique(heads).tolist():
            where = np.flatnonzero(heads == head)
            if head == VARIABLE_HEAD:
                values[where] = field.values[0]
                continue
            arguments = rows.arguments[members[where], : self.dag.heads[head].arity]
            blocks += [(head, part, where[start:]) for _, part, start in field.blocks(head, arguments)]

        def evaluate(share: Sequence[tuple[int, Array, Array]]) -> None:
            for head, arguments, where in share:
                values[where[: len(arguments)]] = field.apply(head, arguments)

        in_threads(evaluate, _shares(blocks))
        return values


def _powers(values: Array) -> Array:
    """How many powers of two values are away from 1."""
    with np.errstate(divide="ignore"):
        size = np.abs(np.log2(np.abs(values)))
    return np.where(np.isfinite(size), size, 0).astype(np.float32)


def _some(field: Field, points: Array) -> list[Point]:
    """The first, the middle and the last of some points."""
    return [(field, p) for p in sorted({int(points[0]), int(points[len(points) // 2]), int(points[-1])})]


def _shares(blocks: Sequence[_Item]) -> list[Sequence[_Item]]:
    return [blocks[start : start + _SHARE] for start in range(0, len(blocks), _SHARE)]


def _leaving(values: Array, first: Array) -> Array:
    """Which rows of ``(rows, points)`` values are apart somewhere from the row that `first` names."""
    found = []
    for start in range(0, len(values), _BLOCK):
        own, others = values[start : start + _BLOCK], values[first[start : start + _BLOCK]]
        # Most agree at sight; only the others, and what is undefined, are looked at closely.
        unlike = np.flatnonzero(~(np.abs(own - others) <= _DENSE_TOLERANCE * np.abs(others)).all(axis=1))
        found.append(start + unlike[_apart(own[unlike], others[unlike]).any(axis=1)])
    return np.concatenate(found)


def _apart(values: Array, others: Array) -> Array:
    """Where two arrays clearly differ, or are defined differently; values outside the trusted range are passed over."""
    size = np.maximum(np.abs(values), np.abs(others))
    apart = np.abs(values - others) > _DENSE_TOLERANCE * size
    apart &= (size < TRUSTED_HUGE) & (size > TRUSTED_TINY)
    return apart | (np.isnan(values) != np.isnan(others))


def _calmness(traits: Traits, order: Array, starts: Array, ends: Array) -> Array:
    """Per group, whether float64 agreement is agreement: no part of any member is saturated at some point.

    Groups without switches are analytic and need one calm point; the others need them everywhere.
    """
    if not len(starts):
        return np.empty(0, bool)
    members = spans(order, starts, ends)
    offsets = np.cumsum(ends - starts) - (ends - starts)
    calm = np.logical_and.reduceat(traits.calm[members], offsets, axis=0)
    kinked = np.logical_or.reduceat(traits.kinked[members], offsets)
    return np.where(kinked, calm.all(axis=1), calm.any(axis=1))


def _finished(labels: Array, evidence: Array) -> Classes:
    """Relabel in order of first member; a class has the weakest evidence of its members."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    final = rank[inverse]
    weakest = np.zeros(len(first), np.int8)
    np.maximum.at(weakest, final, evidence)
    return Classes(final, weakest)
