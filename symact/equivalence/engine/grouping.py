"""Fingerprints -> groups of terms that may be equal functions: one sort, and one more for terms that lost precision."""

from __future__ import annotations

import numpy as np

from symact.arrays import Array
from symact.equivalence.numeric.fingerprints import Fingerprints
from symact.equivalence.numeric.samples import BLOCKS

# Distances of projections. Rounding stays below the first; between the two lies the gray zone.
SAME, CLOSE = 4e-12, 1e-8
ALL = 2**BLOCKS - 1
BITS = 1 << np.arange(BLOCKS)
# Blocks where every term is made known, so that all terms can be compared somewhere.
COMMON_BLOCKS = [2, 5]
COMMON_BITS = sum(1 << j for j in COMMON_BLOCKS)


def group(fingerprints: Fingerprints) -> tuple[Array, Array, Array]:
    """Fingerprints -> (labels of groups, which terms are not reliable everywhere, labels of tight clusters)."""
    count = len(fingerprints)
    doubtful = fingerprints.reliable != ALL
    full = np.flatnonzero(~doubtful)
    sums = fingerprints.projections[full].sum(axis=1)
    order = np.argsort(sums, kind="stable")
    gaps = np.diff(sums[order])
    terms = full[order]
    labels, tight = np.empty(count, np.int64), np.empty(count, np.int64)
    labels[terms] = np.cumsum(np.r_[0, gaps > CLOSE])[: len(terms)]
    tight[terms] = np.cumsum(np.r_[0, gaps > SAME])[: len(terms)]
    partial = np.flatnonzero(doubtful)
    tight[partial] = len(full) + np.arange(len(partial))
    if len(partial):
        labels[partial] = len(full) + np.arange(len(partial))
        pairs = _partial_pairs(fingerprints, labels)
        if not len(pairs):
            return labels, doubtful, tight
        # Few sets of functions come here, and both modules take long to import.
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        involved, at = np.unique(labels[pairs], return_inverse=True)
        edges = at.reshape(pairs.shape).T
        graph = coo_matrix((np.ones(len(pairs), np.int8), edges), shape=(len(involved), len(involved)))
        component = connected_components(graph, directed=False)[1]
        # Every group that is joined takes the label of the first one of its component.
        label = involved[np.unique(component, return_index=True)[1]][component]
        labels = np.where(np.isin(labels, involved), label[np.searchsorted(involved, labels) % len(involved)], labels)
    return labels, doubtful, tight


def _partial_pairs(fingerprints: Fingerprints, labels: Array) -> Array:
    """Pairs ``(pairs, 2)`` of a term that is not reliable everywhere and a term that it may be equal to.

    All terms are compared at the blocks that `ClassBuilder.repair` sees to; what falls together there must
    agree wherever both are reliable.
    """
    met = np.flatnonzero((fingerprints.reliable & COMMON_BITS) == COMMON_BITS)
    sums = fingerprints.projections[met][:, COMMON_BLOCKS].sum(axis=1)
    order = np.argsort(sums, kind="stable")
    met = met[order]
    starts = np.flatnonzero(np.r_[True, np.diff(sums[order]) > CLOSE])
    ends = np.r_[starts[1:], len(met)]
    partial = fingerprints.reliable != ALL
    here = np.add.reduceat(partial[met].astype(np.int64), starts) > 0 if len(met) else np.empty(0, bool)
    found = [np.empty((0, 2), np.int64)]
    for start, end in zip(starts[here & (ends - starts > 1)], ends[here & (ends - starts > 1)], strict=True):
        run = met[start:end]
        # One term speaks for all that are known to be near it.
        others = run[np.unique(labels[run], return_index=True)[1]]
        found.append(_agreeing(fingerprints, run[partial[run]], others))
    lost = np.flatnonzero((fingerprints.reliable & COMMON_BITS) != COMMON_BITS)
    if len(lost):
        everything = np.unique(labels, return_index=True)[1]
        found.append(_agreeing_anywhere(fingerprints, lost, everything))
    return np.concatenate(found)


def _agreeing_anywhere(fingerprints: Fingerprints, terms: Array, others: Array) -> Array:
    """As `_agreeing`, for a great many others: those that are near at one block are found by searching it."""
    reliable = fingerprints.reliable[others]
    sorted_by: dict[int, tuple[Array, Array, Array]] = {}
    found = [np.empty((0, 2), np.int64)]
    for term in terms[fingerprints.reliable[terms] != 0].tolist():
        block = next(j for j in range(BLOCKS) if fingerprints.reliable[term] >> j & 1)
        if block not in sorted_by:
            known = others[reliable >> block & 1 != 0]
            known = known[np.argsort(fingerprints.projections[known, block])]
            sorted_by[block] = known, fingerprints.projections[known, block], others[reliable >> block & 1 == 0]
        known, values, unknown = sorted_by[block]
        low, high = np.searchsorted(values, fingerprints.projections[term, block] + np.array([-2, 2]) * CLOSE)
        near = np.concatenate([known[low:high], unknown])
        found.append(_agreeing(fingerprints, np.array([term]), near))
    return np.concatenate(found)


def _agreeing(fingerprints: Fingerprints, terms: Array, others: Array) -> Array:
    """Pairs of `terms` with `others` that may be equal."""
    pairs = []
    for term in terms.tolist():
        good = others[agreeing(fingerprints[others], fingerprints.projections[term], int(fingerprints.reliable[term]))]
        pairs.append(np.stack([np.full(len(good), term), good], axis=1))
    return np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)


def agreeing(fingerprints: Fingerprints, projections: Array, reliable: int) -> Array:
    """``(terms,)`` which fingerprints are near one, with ``(BLOCKS,)`` projections.

    Near at every block where both are reliable, of which there is at least one.
    """
    shared = (fingerprints.reliable & reliable)[:, None] & BITS != 0
    near = (np.abs(fingerprints.projections - projections) <= CLOSE) | ~shared
    found: Array = near.all(axis=1) & shared.any(axis=1)
    return found


class FingerprintIndex:
    """Fingerprints of the functions known, and which of them one may be equal to.

    A fingerprint that is reliable everywhere is looked up by its sum; one that is not, at the common blocks.
    Functions are numbered from 0.
    """

    _WIDTH = 1e-6

    def __init__(self) -> None:
        self._known = Fingerprints(np.empty((64, BLOCKS)), np.empty(64, np.uint8))
        self._count = 0
        self._by_sum: dict[int, list[int]] = {}
        self._by_common: dict[int, list[int]] = {}
        self._partial_by_common: dict[int, list[int]] = {}
        self._lost: list[int] = []

    def __len__(self) -> int:
        return self._count

    def add(self, fingerprints: Fingerprints) -> int:
        """One more function, by the fingerprint of one term; gives its number."""
        number = self._count
        if number == len(self._known):
            self._known = Fingerprints.joined([self._known, self._known])
        projections, reliable = fingerprints.projections[0], int(fingerprints.reliable[0])
        self._known.projections[number], self._known.reliable[number] = projections, reliable
        self._count += 1
        if reliable & COMMON_BITS != COMMON_BITS:
            self._lost.append(number)
            return number
        common = self._bucket(float(projections[COMMON_BLOCKS].sum()))
        self._by_common.setdefault(common, []).append(number)
        if reliable == ALL:
            self._by_sum.setdefault(self._bucket(float(projections.sum())), []).append(number)
        else:
            self._partial_by_common.setdefault(common, []).append(number)
        return number

    def near(self, fingerprints: Fingerprints) -> list[int]:
        """The functions that a term with this fingerprint may be, in order."""
        projections, reliable = fingerprints.projections[0], int(fingerprints.reliable[0])
        numbers = list(self._lost)
        if reliable & COMMON_BITS != COMMON_BITS:
            numbers = list(range(self._count))
        elif reliable == ALL:
            for bucket in self._buckets(float(projections.sum())):
                numbers += self._by_sum.get(bucket, ())
            for bucket in self._buckets(float(projections[COMMON_BLOCKS].sum())):
                numbers += self._partial_by_common.get(bucket, ())
        else:
            for bucket in self._buckets(float(projections[COMMON_BLOCKS].sum())):
                numbers += self._by_common.get(bucket, ())
        if not numbers:
            return numbers
        found = np.array(numbers)
        return sorted(found[agreeing(self._known[found], projections, reliable)].tolist())

    def _bucket(self, value: float) -> int:
        return int(value // self._WIDTH)

    def _buckets(self, value: float) -> set[int]:
        return {self._bucket(value - CLOSE), self._bucket(value + CLOSE)}
