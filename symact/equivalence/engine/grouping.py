"""Fingerprints -> groups of rows that may be equal functions: one sort, and one more for rows that lost precision."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from symact.arrays import Array
from symact.equivalence.terms import ANCHORS, Fingerprints

# Distances of projections. Rounding stays below the first; between the two lies the gray zone.
SAME, CLOSE = 4e-12, 1e-8
ALL = 2**ANCHORS - 1
BITS = 1 << np.arange(ANCHORS)
# Anchors where every row is made known, so that all rows can be compared somewhere.
MEETING = [2, 5]


def propose(prints: Fingerprints) -> tuple[Array, Array, Array]:
    """Fingerprints -> (labels of proposed groups, which rows are not trusted everywhere, labels of tight clusters)."""
    count = len(prints)
    doubtful = prints.trusted != ALL
    full = np.flatnonzero(~doubtful)
    sums = prints.anchors[full].sum(axis=1)
    order = np.argsort(sums, kind="stable")
    gaps = np.diff(sums[order])
    rows = full[order]
    labels, tight = np.empty(count, np.int64), np.empty(count, np.int64)
    labels[rows] = np.cumsum(np.r_[0, gaps > CLOSE])[: len(rows)]
    tight[rows] = np.cumsum(np.r_[0, gaps > SAME])[: len(rows)]
    partial = np.flatnonzero(doubtful)
    tight[partial] = len(full) + np.arange(len(partial))
    if len(partial):
        labels[partial] = len(full) + np.arange(len(partial))
        pairs = _partial_pairs(prints, labels)
        if not len(pairs):
            return labels, doubtful, tight
        involved, at = np.unique(labels[pairs], return_inverse=True)
        edges = at.reshape(pairs.shape).T
        graph = coo_matrix((np.ones(len(pairs), np.int8), edges), shape=(len(involved), len(involved)))
        component = connected_components(graph, directed=False)[1]
        # Every group that is joined takes the label of the first one of its component.
        label = involved[np.unique(component, return_index=True)[1]][component]
        labels = np.where(np.isin(labels, involved), label[np.searchsorted(involved, labels) % len(involved)], labels)
    return labels, doubtful, tight


def _partial_pairs(prints: Fingerprints, labels: Array) -> Array:
    """Pairs ``(pairs, 2)`` of a row that is not trusted everywhere and a row that it may be equal to.

    All rows are compared at the anchors that `Functions.repair` sees to; what falls together there must
    agree wherever both are trusted.
    """
    common = sum(1 << j for j in MEETING)
    met = np.flatnonzero((prints.trusted & common) == common)
    sums = prints.anchors[met][:, MEETING].sum(axis=1)
    order = np.argsort(sums, kind="stable")
    met = met[order]
    starts = np.flatnonzero(np.r_[True, np.diff(sums[order]) > CLOSE])
    ends = np.r_[starts[1:], len(met)]
    partial = prints.trusted != ALL
    here = np.add.reduceat(partial[met].astype(np.int64), starts) > 0 if len(met) else np.empty(0, bool)
    found = [np.empty((0, 2), np.int64)]
    for start, end in zip(starts[here & (ends - starts > 1)], ends[here & (ends - starts > 1)], strict=True):
        run = met[start:end]
        # One row speaks for all that are known to be near it.
        others = run[np.unique(labels[run], return_index=True)[1]]
        found.append(_agreeing(prints, run[partial[run]], others))
    lost = np.flatnonzero((prints.trusted & common) != common)
    if len(lost):
        everything = np.unique(labels, return_index=True)[1]
        found.append(_agreeing_anywhere(prints, lost, everything))
    return np.concatenate(found)


def _agreeing_anywhere(prints: Fingerprints, rows: Array, others: Array) -> Array:
    """As `_agreeing`, for a great many others: those that are near at one anchor are found by searching it."""
    trusted = prints.trusted[others]
    places: dict[int, tuple[Array, Array, Array]] = {}
    found = [np.empty((0, 2), np.int64)]
    for row in rows[prints.trusted[rows] != 0].tolist():
        anchor = next(j for j in range(ANCHORS) if prints.trusted[row] >> j & 1)
        if anchor not in places:
            known = others[trusted >> anchor & 1 != 0]
            known = known[np.argsort(prints.anchors[known, anchor])]
            places[anchor] = known, prints.anchors[known, anchor], others[trusted >> anchor & 1 == 0]
        known, values, unknown = places[anchor]
        low, high = np.searchsorted(values, prints.anchors[row, anchor] + np.array([-2, 2]) * CLOSE)
        near = np.concatenate([known[low:high], unknown])
        found.append(_agreeing(prints, np.array([row]), near))
    return np.concatenate(found)


def _agreeing(prints: Fingerprints, rows: Array, others: Array) -> Array:
    """Pairs of `rows` with `others` that are near at every anchor that both trust, and trust at least one."""
    pairs = []
    for row in rows.tolist():
        shared = (prints.trusted[others] & prints.trusted[row])[:, None] & BITS != 0
        near = np.abs(prints.anchors[others] - prints.anchors[row]) <= CLOSE
        good = others[(near | ~shared).all(axis=1) & shared.any(axis=1)]
        pairs.append(np.stack([np.full(len(good), row), good], axis=1))
    return np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)
