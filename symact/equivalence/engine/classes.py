"""Rows -> classes of equal functions: fingerprints propose, dense points and ball arithmetic dispose.

A row whose values are trusted everywhere is found by one sort; one that lost precision or left the range of
float64 at some points is compared where it is trusted. Every group that is proposed is looked at again on
a dense grid and settled, at its calmest points, in ball arithmetic; so is every close pair.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.breakpoints import Crossings
from symact.equivalence.engine.certification import Point, Settling, spans
from symact.equivalence.engine.described import Candidates
from symact.equivalence.engine.grouping import ALL, MEETING, SAME, propose
from symact.equivalence.engine.reliability import Traits, Viewer
from symact.equivalence.exact.comparison import VARIABLE_HEAD, Arbiter
from symact.equivalence.parallel import in_threads
from symact.equivalence.rules.forms import Form
from symact.equivalence.rules.row_forms import RowForms
from symact.equivalence.rules.table_rules import Shortcuts
from symact.equivalence.terms import (
    ANCHORS,
    MIDDLES,
    PER_ANCHOR,
    POINTS,
    Dag,
    Field,
    dense_points,
    fingerprint,
    project_one,
    sample_points,
)

# Rounding stays below it; what differs by more is decided in balls.
_DENSE_TOLERANCE = 1e-12
_CHUNK, _BLOCK = 4096, 512
# So many blocks make a task of a thread.
_SHARE = 8
# Parameters are held at as many values as there are seeds.
_LINES = (11, 12)
# Blocks of fewer rows than these are described together.
_BATCH = 512
_Item = TypeVar("_Item")
Block: TypeAlias = "tuple[int, Array, int]"

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
        shortcuts: what is known for sure of the rows of the dag.
        variable: the row of x, described.
    """

    def __init__(self, interval: tuple[float, float], certify: bool = True):
        self.certify = certify
        self.dag = Dag()
        low, high = float(interval[0]), float(interval[1])
        self.base = Field(self.dag, sample_points(low, high), seed=1, doubled=certify)
        self.dense = Field(self.dag, dense_points(low, high), seed=2, doubled=False)
        self.arbiter = Arbiter(self.dag)
        self._lines: list[Crossings] = []
        self._viewer = Viewer(self.base)
        self._proof = np.zeros(64, np.int8)
        # Rows of the dag that float64 knows to be undefined where they are: no rounding made a root negative.
        self._sure = np.zeros(64, bool)
        self._sure[0] = True
        self.shortcuts = Shortcuts(self.dag)
        self._forms: RowForms | None = None
        self.variable = self.describe(np.array([VARIABLE_HEAD]), np.zeros((1, 0), np.int64), self.base.values)
        self.variable.nodes[:] = 0

    def candidates(self, wanted: Sequence[tuple[int, Array]]) -> Candidates:
        """Describe rows, given as heads with arguments ``(rows, arity)``, without keeping their values."""
        blocks = [block for head, arguments in wanted for block in self.base.blocks(head, arguments)]

        def described(share: Sequence[list[Block]]) -> Candidates:
            return Candidates.joined([self._described(batch) for batch in share])

        return Candidates.joined(in_threads(described, _shares(list(_batches(blocks)))))

    def _described(self, batch: list[Block]) -> Candidates:
        """Blocks, of one operator each, evaluated one by one and described together."""
        sizes = [len(arguments) for _, arguments, _ in batch]
        values = np.empty((sum(sizes), self.base.columns))
        heads = np.repeat([head for head, _, _ in batch], sizes)
        places = np.full((len(values), max(arguments.shape[1] for _, arguments, _ in batch)), -1)
        for (head, arguments, first), end in zip(batch, itertools.accumulate(sizes), strict=True):
            own = slice(end - len(arguments), end)
            values[own] = self.base.apply(head, arguments, first)
            places[own, : arguments.shape[1]] = arguments
        return self.describe(heads, places, values)

    def adopt(self, chosen: Candidates) -> Array:
        """Make rows part of the dag, with values; gives their row numbers."""
        rows = np.empty(len(chosen), np.int64)
        for head in np.unique(chosen.heads):
            where = np.flatnonzero(chosen.heads == head)
            arguments = np.ascontiguousarray(chosen.arguments[where, : self.dag.heads[head].arity])
            rows[where] = self.dag.append(int(head), arguments) + np.arange(len(where))
            self.shortcuts.learn(int(head), arguments, rows[where])
        while len(self._proof) < self.dag.size:
            self._proof = np.concatenate([self._proof, np.zeros_like(self._proof)])
            self._sure = np.concatenate([self._sure, np.zeros_like(self._sure)])
        self._sure[rows] = self.sure(chosen, np.arange(len(chosen)))
        if self.certify:
            self._viewer.adopt(chosen, rows)
        self.base.extend()
        return rows

    def sure(self, rows: Candidates, members: Array) -> Array:
        """``(members,)`` whether float64 knows for sure where some of the rows are undefined.

        It does where values are trusted, and what makes a value undefined is the sign of a trusted value, not of
        something within an operator's formula.
        """
        simple = np.array([*[h.plain_domain for h in self.dag.heads], True])[rows.heads[members]]
        known = rows.arguments[members]
        arguments = (self._sure[np.maximum(known, 0)] | (known < 0)).all(axis=1)
        return simple & arguments & (rows.prints.trusted[members] == ALL)

    def record(self, rows: Array, evidence: Array) -> None:
        """Remember by what the classes of rows of the dag were made."""
        np.maximum.at(self._proof, rows, evidence)

    def proof(self, rows: Array) -> Array:
        """By what the classes of rows of the dag were made, as far as it was recorded."""
        return self._proof[rows]

    def describe(self, heads: Array, arguments: Array, values: Array) -> Candidates:
        """What is kept of rows with these values ``(rows, columns)``; unused arguments are -1."""
        prints = fingerprint(values, self.base.bounds)
        undefined = np.isnan(values[:, :POINTS]).sum(axis=1)
        proof = np.zeros(len(values), np.int8)
        if self.certify:
            known = np.where(np.array([*self._total, False])[heads][:, None], -1, arguments)
            for column in known.T:
                np.maximum(proof, np.where(column >= 0, self._proof[column], 0), out=proof)
        return Candidates(heads.astype(np.int16), arguments, prints, undefined, proof, np.full(len(heads), -1))

    @property
    def _total(self) -> list[bool]:
        return [head.program.total for head in self.dag.heads]

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
        traits = self._viewer.traits(pair, np.arange(2))
        self.dense.extend()
        values = self.dense_values(self.dense, pair, np.arange(2))
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
        if traits.kinked.any():
            hidden = self.hidden_places(pair, np.arange(2), np.zeros(2, np.int64))
            places += dict.fromkeys((field, place) for _, field, place in hidden)
        return self.arbiter.same(self.arbiter.anchor(pair.row(0)), pair.row(1), places) is True

    def classify(self, rows: Candidates, settled: int = 0, prove: bool = False) -> Classes:
        """Class the rows; of each class the label is new, in order of its first member.

        Args:
            rows: what to class.
            settled: so many of the first rows are known to be different functions.
            prove: use the rewriting rules on members of proposed groups, before anything is compared.
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
        followers: dict[int, int] = {}
        if prove and len(starts):
            order, starts, ends, followers = self._proved(rows, order, starts, ends, settled)
        suspects = self._suspects(rows, order, starts, ends)
        traits = self._viewer.traits(rows, spans(order, starts, ends))
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
        if followers:
            labels[list(followers)] = labels[list(followers.values())]
        return _finished(labels, evidence)

    def _proved(
        self, rows: Candidates, order: Array, starts: Array, ends: Array, settled: int
    ) -> tuple[Array, Array, Array, dict[int, int]]:
        """Groups without the members that rules prove to be others, and which others: (order, starts, ends, those)."""
        if self._forms is None:
            self._forms = RowForms(self.dag)
        followers: dict[int, int] = {}
        groups = []
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            leaders: dict[Form, int] = {}
            members = order[start:end].tolist()
            for member in members:
                leader = leaders.setdefault(self._forms.of(rows.row(member)), member)
                if leader != member and member >= settled:
                    followers[member] = leader
            left = [member for member in members if member not in followers]
            if len(left) > 1:
                groups.append(left)
        lengths = np.array([len(group) for group in groups], np.int64)
        stops = np.cumsum(lengths)
        return np.array([member for group in groups for member in group], np.int64), stops - lengths, stops, followers

    def _suspects(self, rows: Candidates, order: Array, starts: Array, ends: Array) -> dict[int, list[Point]]:
        """Row -> points where it must be compared: those where it leaves its group, those in cells without any."""
        found: dict[int, list[Point]] = {}
        for field in self.dense_fields():
            self._dense_differences(field, rows, order, starts, ends, found)
        members = spans(order, starts, ends)
        first = np.repeat(np.cumsum(ends - starts) - (ends - starts), ends - starts)
        for number, field, place in self.hidden_places(rows, members, first):
            found.setdefault(number, []).append((field, place))
        return found

    def hidden_places(self, rows: Candidates, members: Array, first: Array) -> Iterator[tuple[int, Field, int]]:
        """A point in each cell that holds no point of comparison: (row number, its field, its number there).

        Args:
            rows: all rows.
            members: ``(n,)`` numbers of those to look at.
            first: ``(n,)`` positions among the members: what each is compared with.
        """
        self.dense_fields()
        for line in self._lines:
            numbers, x = line.hidden(rows, members, first)
            if not len(x):
                continue
            places, at = np.unique(x, return_inverse=True)
            field = line.at(places)
            for number, place in zip(numbers.tolist(), at.tolist(), strict=True):
                yield number, field, place

    def dense_fields(self) -> list[Field]:
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
            values = self.dense_values(field, rows, members)
            first = np.repeat(np.cumsum(lengths) - lengths, lengths)
            for index in _leaving(values, first).tolist():
                points = np.flatnonzero(_apart(values[index], values[first[index]]))
                found.setdefault(int(members[index]), []).extend(_some(field, points))
            at = stop

    def _pair_differences(self, rows: Candidates, first: int, second: int) -> list[Point]:
        """Some of the dense points where two rows seem to differ."""
        found: list[Point] = []
        for field in self.dense_fields():
            values = self.dense_values(field, rows, np.array([first, second]))
            points = np.flatnonzero(_apart(values[0], values[1]))
            if len(points):
                found += _some(field, points)
        return found

    def extend(self) -> None:
        """Find out now what comparing will ask of the rows that there are."""
        for field in self.dense_fields():
            field.extend()
        for line in self._lines:
            line.extend()

    def dense_values(self, field: Field, rows: Candidates, members: Array) -> Array:
        values = np.empty((len(members), field.columns))
        blocks = []
        heads, nodes = rows.heads[members], rows.nodes[members]
        values[nodes >= 0] = field.values[nodes[nodes >= 0]]
        for head in np.unique(heads[nodes < 0]).tolist():
            where = np.flatnonzero((heads == head) & (nodes < 0))
            arguments = rows.arguments[members[where], : self.dag.heads[head].arity]
            blocks += [(head, part, where[start:]) for _, part, start in field.blocks(head, arguments)]

        def evaluate(share: Sequence[tuple[int, Array, Array]]) -> None:
            for head, arguments, where in share:
                values[where[: len(arguments)]] = field.apply(head, arguments)

        in_threads(evaluate, _shares(blocks))
        return values


def _some(field: Field, points: Array) -> list[Point]:
    """The first, the middle and the last of some points."""
    return [(field, p) for p in sorted({int(points[0]), int(points[len(points) // 2]), int(points[-1])})]


def _shares(blocks: Sequence[_Item]) -> list[Sequence[_Item]]:
    return [blocks[start : start + _SHARE] for start in range(0, len(blocks), _SHARE)]


def _batches(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Blocks in order, in lists of `_BATCH` rows or of one block."""
    batch: list[Block] = []
    rows = 0
    for block in blocks:
        if batch and rows + len(block[1]) > _BATCH:
            yield batch
            batch, rows = [], 0
        batch.append(block)
        rows += len(block[1])
    if batch:
        yield batch


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
    """Where two arrays differ by more than rounding, or are defined differently."""
    apart = np.abs(values - others) > _DENSE_TOLERANCE * np.maximum(np.abs(values), np.abs(others))
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
