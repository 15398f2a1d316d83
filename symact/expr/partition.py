"""Rows -> classes of equal functions: fingerprints propose, dense points and ball arithmetic dispose.

A row whose values are trusted everywhere is found by one sort; one that lost precision or left the range of
float64 at some points is compared where it is trusted. Every group that is proposed is looked at again on
a dense grid and settled, at its calmest points, in ball arithmetic; so is every close pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from symact.expr.arbiter import VARIABLE_HEAD, Arbiter, Row
from symact.expr.fields import ANCHORS, POINTS, Dag, Field, Fingerprints, fingerprint, project, sample_points
from symact.expr.kernels import TRUSTED_HUGE, TRUSTED_TINY, Array

# Distances of projections. Rounding stays below the first; between the two lies the gray zone.
SAME, CLOSE = 4e-12, 1e-8
DENSE = 256
_PER_ANCHOR = POINTS // ANCHORS
_MIDDLES = np.arange(_PER_ANCHOR // 2, POINTS, _PER_ANCHOR)
_ALL = 2**ANCHORS - 1
_DENSE_TOLERANCE = 1e-7
_CHUNK = 4096

PROVED, CERTIFIED, NUMERIC = 0, 1, 2
EVIDENCE = ("proved", "certified", "numeric")


@dataclass
class Candidates:
    """Rows with what is needed to class them.

    Attributes:
        heads: ``(rows,)``; -1 is `x` itself.
        arguments: ``(rows, width)`` rows of the dag, unused places -1.
        prints: their fingerprints.
        extremes: ``(rows, ANCHORS)``: how large or small (in powers of two) any value on the way became.
        kinked: ``(rows,)``: whether some part of it has switches.
        undefined: ``(rows,)`` number of sample points where it is undefined.
    """

    heads: Array
    arguments: Array
    prints: Fingerprints
    extremes: Array
    kinked: Array
    undefined: Array

    def __len__(self) -> int:
        return len(self.heads)

    def __getitem__(self, rows: Array | slice) -> Candidates:
        return Candidates(
            self.heads[rows],
            self.arguments[rows],
            self.prints[rows],
            self.extremes[rows],
            self.kinked[rows],
            self.undefined[rows],
        )

    def row(self, index: int) -> Row:
        """One of them, as the arbiter takes it."""
        return int(self.heads[index]), tuple(int(a) for a in self.arguments[index] if a >= 0)

    @staticmethod
    def joined(parts: Sequence[Candidates]) -> Candidates:
        """Rows one after another."""
        width = max(part.arguments.shape[1] for part in parts)
        padded = [
            np.pad(part.arguments, ((0, 0), (0, width - part.arguments.shape[1])), constant_values=-1) for part in parts
        ]
        return Candidates(
            np.concatenate([part.heads for part in parts]),
            np.concatenate(padded),
            Fingerprints.joined([part.prints for part in parts]),
            np.concatenate([part.extremes for part in parts]),
            np.concatenate([part.kinked for part in parts]),
            np.concatenate([part.undefined for part in parts]),
        )


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
    """

    def __init__(self, interval: tuple[float, float], certify: bool = True):
        self.certify = certify
        self.dag = Dag()
        low, high = float(interval[0]), float(interval[1])
        self.base = Field(self.dag, sample_points(low, high), seed=1, doubled=certify)
        self.dense = Field(self.dag, dense_points(low, high), seed=2, doubled=False)
        self.arbiter = Arbiter(self.dag)
        self._extremes = np.zeros((64, ANCHORS), np.float32)
        self._kinked = np.zeros(64, bool)
        self.variable = self.describe(VARIABLE_HEAD, np.zeros((1, 0), np.int64), self.base.values)

    def candidates(self, head: int, arguments: Array) -> Candidates:
        """Describe rows ``(rows, arity)`` of one head without keeping their values."""
        parts = [self.describe(head, arguments[part], values) for part, values in self.base.applied(head, arguments)]
        return Candidates.joined(parts)

    def adopt(self, chosen: Candidates) -> Array:
        """Make rows part of the dag, with values; gives their row numbers."""
        rows = np.empty(len(chosen), np.int64)
        for head in np.unique(chosen.heads):
            where = np.flatnonzero(chosen.heads == head)
            arguments = np.ascontiguousarray(chosen.arguments[where, : self.dag.heads[head].arity])
            rows[where] = self.dag.append(int(head), arguments) + np.arange(len(where))
        while len(self._kinked) < self.dag.size:
            self._extremes = np.concatenate([self._extremes, np.zeros_like(self._extremes)])
            self._kinked = np.concatenate([self._kinked, np.zeros_like(self._kinked)])
        if self.certify:
            self._extremes[rows] = chosen.extremes
            self._kinked[rows] = chosen.kinked
        self.base.extend()
        return rows

    def describe(self, head: int, arguments: Array, values: Array) -> Candidates:
        """What is kept of rows with these values ``(rows, columns)``."""
        first = values[:, :POINTS]
        prints = fingerprint(values, self.base.bounds)
        undefined = np.isnan(first).sum(axis=1)
        heads, kinked = np.full(len(values), head), np.zeros(len(values), bool)
        if not self.certify:
            return Candidates(heads, arguments, prints, np.zeros((len(heads), 0), np.float32), kinked, undefined)
        with np.errstate(divide="ignore"):
            size = np.abs(np.log2(np.abs(first[:, _MIDDLES])))
        extremes = np.where(np.isfinite(size), size, 0).astype(np.float32)
        if head != VARIABLE_HEAD:
            tape = self.dag.heads[head].tape
            kinked |= bool(tape.switches)
            for column in arguments.T if not tape.total else ():
                np.maximum(extremes, self._extremes[column], out=extremes)
                kinked |= self._kinked[column]
        return Candidates(heads, arguments, prints, extremes, kinked, undefined)

    def repair(self, rows: Candidates) -> None:
        """Rows that float64 knows nothing of get their fingerprints from ball arithmetic."""
        for index in np.flatnonzero(rows.prints.trusted == 0).tolist():
            row = rows.row(index)
            features = np.array([self.arbiter.approximate(row, self.base, point) for point in range(POINTS)])
            good = ~np.isnan(features).reshape(ANCHORS, -1).any(axis=1)
            rows.prints.anchors[index] = project(features[None])[0]
            rows.prints.trusted[index] = np.packbits(good, bitorder="little")[0]

    def equal(self, first: Candidates, second: Candidates) -> bool:
        """Whether two single rows are the same function."""
        pair = Candidates.joined([first, second])
        self.dense.extend()
        values = self._dense_values(pair, np.arange(2))
        apart = np.flatnonzero(_apart(values[0], values[1]))
        common = int(pair.prints.trusted[0] & pair.prints.trusted[1])
        distance = abs(pair.prints.anchors[0].sum() - pair.prints.anchors[1].sum())
        if len(apart) or common != _ALL or distance > SAME:
            places = [(self.base, int(m)) for m in _MIDDLES] + [(self.dense, int(p)) for p in apart[:3]]
        else:
            places = self._calm(pair, np.arange(2))
        return self.arbiter.same(pair.row(0), pair.row(1), places) is True

    def classify(self, rows: Candidates) -> Classes:
        """Class the rows; of each class the label is new, in order of its first member."""
        if self.certify:
            self.repair(rows)
        labels, doubtful = propose(rows.prints)
        if not self.certify:
            return _finished(labels, np.full(len(rows), NUMERIC, np.int8))
        self.dense.extend()
        evidence = np.full(len(rows), NUMERIC, np.int8)
        order = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0])
        ends = np.r_[starts[1:], len(order)]
        multiple = ends - starts > 1
        evidence[order[starts[~multiple]]] = PROVED
        suspects = self._dense_differences(rows, order, starts[multiple], ends[multiple])
        for start, end in zip(starts[multiple].tolist(), ends[multiple].tolist(), strict=True):
            members = order[start:end]
            points = suspects.get(start)
            hard = points is not None or doubtful[members].any()
            if hard:
                self._settle(rows, members, labels, evidence, points or [])
            else:
                self._confirm(rows, members, labels, evidence)
        return _finished(labels, evidence)

    def _dense_differences(self, rows: Candidates, order: Array, starts: Array, ends: Array) -> dict[int, list[int]]:
        """start of a group -> points of the dense field where a member leaves the group's first."""
        found: dict[int, list[int]] = {}
        at = 0
        while at < len(starts):
            stop = max(at + 1, int(np.searchsorted(ends, starts[at] + _CHUNK, side="right")))
            lengths = ends[at:stop] - starts[at:stop]
            members = (
                order[starts[at] : ends[stop - 1]]
                if stop - at == 1
                else np.concatenate([order[s:e] for s, e in zip(starts[at:stop], ends[at:stop], strict=True)])
            )
            values = self._dense_values(rows, members)
            firsts = np.repeat(np.cumsum(lengths) - lengths, lengths)
            apart = _apart(values, values[firsts])
            for index in np.flatnonzero(apart.any(axis=1)):
                group = int(np.searchsorted(np.cumsum(lengths), index, side="right"))
                points = np.flatnonzero(apart[index])
                found.setdefault(int(starts[at + group]), []).extend(points[[0, len(points) // 2, -1]].tolist())
            at = stop
        return found

    def _dense_values(self, rows: Candidates, members: Array) -> Array:
        values = np.empty((len(members), self.dense.columns))
        heads = rows.heads[members]
        for head in np.unique(heads):
            where = np.flatnonzero(heads == head)
            if head == VARIABLE_HEAD:
                values[where] = self.dense.values[0]
                continue
            arguments = rows.arguments[members[where], : self.dag.heads[head].arity]
            values[where] = self.dense.apply(int(head), arguments)
        return values

    def _confirm(self, rows: Candidates, members: Array, labels: Array, evidence: Array) -> None:
        """A clear group: its members must agree in ball arithmetic at the group's calmest points."""
        first = int(members[0])
        places = self._calm(rows, members)
        anchor = rows.row(first)
        for member in members[1:]:
            if self.arbiter.same(anchor, rows.row(int(member)), places) is not True:
                self._settle(rows, members, labels, evidence, [])
                return
        evidence[members] = CERTIFIED

    def _calm(self, rows: Candidates, members: Array) -> list[tuple[Field, int]]:
        extremes = rows.extremes[members].max(axis=0)
        if not rows.kinked[members].any():
            return [(self.base, int(_MIDDLES[extremes.argmin()]))]
        half = ANCHORS // 2
        halves = int(extremes[:half].argmin()), half + int(extremes[half:].argmin())
        return [(self.base, int(_MIDDLES[h])) for h in halves]

    def _settle(self, rows: Candidates, members: Array, labels: Array, evidence: Array, dense: list[int]) -> None:
        """A doubtful group: split it into classes by ball arithmetic at many points."""
        calm = rows.extremes[members].max(axis=0).argsort()
        places = [(self.base, int(_MIDDLES[i])) for i in calm] + [(self.dense, p) for p in sorted(set(dense))]
        evidence[members] = CERTIFIED
        groups = [members]
        for place in places:
            groups = [part for group in groups for part in self._split(rows, group, place)]
        for group in groups:
            representatives: list[int] = []
            for member in group.tolist():
                row = rows.row(member)
                for other in representatives:
                    if self.arbiter.same(rows.row(other), row, places):
                        labels[member] = labels[other]
                        break
                else:
                    # Only uniqueness matters here: negative labels are free, one per row.
                    labels[member] = -member - 1
                    representatives.append(member)

    def _split(self, rows: Candidates, group: Array, place: tuple[Field, int]) -> list[Array]:
        """A group, cut where ball values at one place are clearly apart; unknown values cut nothing."""
        if len(group) <= 2:
            return [group]
        sizes = np.array([self.arbiter.approximate(rows.row(int(member)), *place) for member in group])
        if np.isnan(sizes).any():
            return [group]
        order = np.argsort(sizes, kind="stable")
        return np.split(group[order], np.flatnonzero(np.diff(sizes[order]) > CLOSE) + 1)


def _apart(values: Array, others: Array) -> Array:
    """Where two arrays clearly differ, or are defined differently; values outside the trusted range are passed over."""
    size = np.maximum(np.abs(values), np.abs(others))
    apart = np.abs(values - others) > _DENSE_TOLERANCE * size
    apart &= (size < TRUSTED_HUGE) & (size > TRUSTED_TINY)
    return apart | (np.isnan(values) != np.isnan(others))


def dense_points(low: float, high: float, count: int = DENSE) -> Array:
    """A grid that no sample point is on, finer around zero where the interval is long."""
    generator = np.random.default_rng(20260104)
    places = (np.arange(count) + generator.uniform(0.2, 0.8, count)) / count
    even = low + (high - low) * places
    if not low < 0 < high or high - low <= 20:
        return even
    scale = 2.0
    bent = np.sinh(np.arcsinh(low / scale) + (np.arcsinh(high / scale) - np.arcsinh(low / scale)) * places) * scale
    return np.sort(np.where(np.arange(count) % 2, even, bent))


def propose(prints: Fingerprints) -> tuple[Array, Array]:
    """Fingerprints -> (labels of proposed groups, which rows' comparisons are doubtful)."""
    count = len(prints)
    doubtful = prints.trusted != _ALL
    full = np.flatnonzero(~doubtful)
    sums = prints.anchors[full].sum(axis=1)
    order = np.argsort(sums, kind="stable")
    gaps = np.diff(sums[order])
    near = gaps <= CLOSE
    rows = full[order]
    if doubtful.any():
        pairs = _partial_pairs(prints, np.flatnonzero(doubtful))
        left = np.concatenate([rows[:-1][near], pairs[:, 0]])
        right = np.concatenate([rows[1:][near], pairs[:, 1]])
        graph = coo_matrix((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
        labels = connected_components(graph, directed=False)[1]
        doubtful = doubtful.copy()
    else:
        labels = np.empty(count, np.int64)
        labels[rows] = np.cumsum(np.r_[0, ~near])[: len(rows)]
    gray = near & (gaps > SAME)
    doubtful[rows[:-1][gray]] = True
    doubtful[rows[1:][gray]] = True
    return labels.astype(np.int64), doubtful


def _partial_pairs(prints: Fingerprints, partial: Array) -> Array:
    """Pairs ``(pairs, 2)`` that chain every row which is not trusted everywhere to the rows it may be equal to."""
    trusted = prints.trusted
    patterns = np.unique(trusted[partial])
    wanted = {int(p) for p in patterns} | {int(p) & int(q) for p in patterns for q in patterns}
    found = [np.empty((0, 2), np.int64)]
    for pattern in sorted(wanted - {0}):
        rows = np.flatnonzero((trusted & pattern) == pattern)
        chosen = [j for j in range(ANCHORS) if pattern >> j & 1]
        sums = prints.anchors[rows][:, chosen].sum(axis=1)
        order = np.argsort(sums, kind="stable")
        rows = rows[order]
        near = np.diff(sums[order]) <= CLOSE
        starts = np.flatnonzero(np.r_[True, ~near])
        # Such a run matters where two of its rows have no more than this pattern in common.
        common = np.bitwise_and.reduceat(trusted[rows], starts) == pattern
        open_run = np.repeat(common, np.diff(np.r_[starts, len(rows)]))
        kept = np.flatnonzero(near & open_run[:-1])
        found.append(np.stack([rows[kept], rows[kept + 1]], axis=1))
    return np.concatenate(found)


def _finished(labels: Array, evidence: Array) -> Classes:
    """Relabel in order of first member; a class has the weakest evidence of its members."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    final = rank[inverse]
    weakest = np.zeros(len(first), np.int8)
    np.maximum.at(weakest, final, evidence)
    return Classes(final, weakest)
