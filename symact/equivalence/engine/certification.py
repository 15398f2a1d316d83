"""`Certification`: groups of terms that float64 leaves open are decided in ball arithmetic.

In: described terms in groups. Out: labels. A member that is clearly near the first of its group is confirmed at the
most moderate point and wherever something hides; a member that is known less well, at more points; what is left
over is cut into classes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.reliability import Reliability
from symact.equivalence.engine.term_columns import TermColumns, spans
from symact.equivalence.exact.comparison import BallComparison, Point, ReferenceTerm
from symact.equivalence.numeric.samples import BLOCKS, MIDDLES, PER_BLOCK, POINTS, SampleGrid
from symact.equivalence.parallel import cores, in_processes

_CUTS = 8
_CHUNK = 4096
# So many members pay for a process of their own.
_SHARE = 400


@dataclass
class Group:
    """Members ``(members,)`` of a group that has to be certified.

    Attributes:
        members: numbers of terms, in order.
        first: position of the one that the others are compared with.
        plain: per member, whether float64 has shown already that it is the first's function.
        hidden: per member, the blocks where it or the first hides something that matters; one bit each.
        tight: per member, equal numbers for float64 values that agree to rounding; negative: not known well.
        moderate: per member, the sample point that suits it and the first best.
    """

    members: list[int]
    first: int
    plain: list[bool]
    hidden: list[int]
    tight: list[int]
    moderate: list[int]


class Certification:
    """Decides groups of one classification.

    Args:
        comparison: computes balls.
        base: the sample points.
        terms: all terms.
        reliability: of the terms that are to be certified.
        tight: per term, a number that terms share whose float64 values agree to rounding; negative: not known well.
        distinct: so many of the first terms are known to be different functions.
        extra_points: term -> further points where it must be compared with the first of its group.
        telling: term -> points where terms differ that it, or a term near it, is made of.
        differences: of two terms, some of the dense points where they seem to differ.
    """

    def __init__(
        self,
        comparison: BallComparison,
        base: SampleGrid,
        terms: TermColumns,
        reliability: Reliability,
        tight: Array,
        distinct: int,
        extra_points: dict[int, list[Point]],
        telling: dict[int, list[Point]],
        differences: Callable[[int, int], list[Point]],
    ):
        self.comparison, self.base, self.terms, self.reliability = comparison, base, terms, reliability
        self.tight, self.distinct, self.differences = tight, distinct, differences
        self.extra_points, self.telling = extra_points, telling
        self._spread = [(base, int(m)) for m in MIDDLES]

    def certify(self, order: Array, starts: Array, ends: Array, labels: Array) -> None:
        """Certify groups, on several cores where there is much to do.

        Args:
            order: term numbers, group after group.
            starts: of the groups in `order`.
            ends: likewise.
            labels: ``(terms,)`` of all terms; those of members that leave their group are changed.
        """
        if not len(starts):
            return
        groups = self._prepared(order, starts, ends)
        processes = int(min(cores(), max(1, (ends - starts).sum() // _SHARE)))
        # The largest groups go round first, so that the shares weigh about the same.
        heavy = sorted(groups, key=lambda group: -len(group.members))
        shares = [heavy[number::processes] for number in range(processes)]

        def work(share: Sequence[Group]) -> bytes:
            parts = [self._certified(group, labels) for group in share]
            return np.concatenate(parts).astype(np.int64).tobytes()

        for share, answer in zip(shares, in_processes(work, shares), strict=True):
            members = np.concatenate([group.members for group in share])
            labels[members] = np.frombuffer(answer, np.int64)

    def _prepared(self, order: Array, starts: Array, ends: Array) -> list[Group]:
        lengths = ends - starts
        members = spans(order, starts, ends)
        offsets = np.cumsum(lengths) - lengths
        informative, tight = self.reliability.informative[members], self.tight[members]
        # The most informative member that is known well stands first, but for those that must not be compared again.
        rank = np.where(tight >= 0, informative.sum(axis=1), -1)
        best = np.maximum.reduceat(rank, offsets)
        inside = np.arange(len(members)) - np.repeat(offsets, lengths)
        at = np.minimum.reduceat(np.where(rank == np.repeat(best, lengths), inside, len(members)), offsets)
        at = np.where((members[offsets] < self.distinct) | (best < 0), 0, at)
        first = np.repeat(offsets + at, lengths)
        shown = informative & informative[first]
        piecewise = self.reliability.piecewise[members] | self.reliability.piecewise[members[first]]
        plain = np.where(piecewise, shown.all(axis=1), shown.any(axis=1)) & (tight == tight[first]) & (tight >= 0)
        plain &= members >= self.distinct
        if self.extra_points or self.telling:
            plain &= ~np.isin(members, [*self.extra_points, *self.telling])
            plain &= ~np.isin(members[first], list(self.telling))
        hidden = np.where(piecewise, (~shown) @ (1 << np.arange(BLOCKS)), 0)
        moderate = np.zeros(len(members), np.int64)
        open_ones = np.flatnonzero(~plain & (np.arange(len(members)) != first))
        moderate[open_ones] = self.moderate_points(members[first[open_ones]], members[open_ones])
        numbers, sure = members.tolist(), plain.tolist()
        bits, near, points = hidden.tolist(), tight.tolist(), moderate.tolist()
        return [
            Group(numbers[a:b], f, sure[a:b], bits[a:b], near[a:b], points[a:b])
            for a, b, f in zip(offsets.tolist(), (offsets + lengths).tolist(), at.tolist(), strict=True)
        ]

    def moderate_points(self, first: Array, second: Array) -> Array:
        """Per pair of terms, the sample point where their arguments are of the most moderate size."""
        found = np.empty(len(first), np.int64)
        for start in range(0, len(first), _CHUNK):
            part = slice(start, start + _CHUNK)
            arguments = np.concatenate([self.terms.arguments[first[part]], self.terms.arguments[second[part]]], axis=1)
            size = np.ones((len(arguments), POINTS))
            for column in arguments.T:
                values = np.abs(np.take(self.base.values, np.maximum(column, 0), axis=0)[:, :POINTS])
                own = np.where(values > 0, np.maximum(values, 1.0) + 1e-3 / values, np.where(values == 0, 1.0, np.inf))
                np.maximum(size, own, out=size, where=(column >= 0)[:, None])
            found[part] = size.argmin(axis=1)
            found[part][(arguments < 0).all(axis=1)] = MIDDLES[0]
        return found

    def _certified(self, group: Group, labels: Array) -> Array:
        """The labels of a group's members."""
        members, at = group.members, group.first
        first = members[at]
        reference = self.comparison.reference(self.terms.term(first))
        result = np.full(len(members), labels[first])
        left = []
        for number, member in enumerate(members):
            if number == at or group.plain[number]:
                continue
            if member < self.distinct or not self.comparison.same(
                reference, self.terms.term(member), self._points(group, number)
            ):
                left.append(number)
        if left:
            together = np.array(members)
            hidden = np.flatnonzero(~self.reliability.informative[together].all(axis=0)).tolist()
            extra = list(dict.fromkeys(p for n in [at, *left] for p in self._special(members[n])))
            order = self.reliability.magnitudes[together].max(axis=0).argsort()
            points = [self._spread[i] for i in order[:4]] + extra[:8] + self.ends(hidden)
            result[left] = self._separated(together[left], points)
        return result

    def _points(self, group: Group, number: int) -> list[Point]:
        """Where a member is compared with the first of its group."""
        member, near, well = group.members[number], group.tight[number], group.tight[group.first]
        points = [(self.base, group.moderate[number])]
        bits = group.hidden[number]
        if bits:
            points += self.ends([j for j in range(BLOCKS) if bits >> j & 1])
        first = group.members[group.first]
        points += [*self._special(member), *self.telling.get(first, ())]
        if first in self.extra_points:
            points += [*self.extra_points[first], *self.differences(first, member)]
        if near < 0 or well < 0:
            points += self._lost(first, member)
        elif near != well:
            points += self._spread + [(self.base, p) for p in range(0, POINTS, PER_BLOCK // 2)]
        return points

    def _special(self, member: int) -> Iterator[Point]:
        """Points where a member has to be compared, because of what it is."""
        yield from self.extra_points.get(member, ())
        yield from self.telling.get(member, ())

    def ends(self, blocks: list[int]) -> list[Point]:
        """The first and the last sample point of some blocks; of two inputs all, since only x is in order."""
        step = PER_BLOCK - 1 if self.base.graph.inputs == 1 else 1
        return [(self.base, p) for j in blocks for p in range(j * PER_BLOCK, (j + 1) * PER_BLOCK, step)]

    def _lost(self, first: int, second: int) -> list[Point]:
        """Up to two points where float64 does not know both terms."""
        reliable = self.terms.fingerprints.reliable
        common = int(reliable[first] & reliable[second])
        blocks = [j for j in range(BLOCKS) if not common >> j & 1]
        return [(self.base, int(MIDDLES[j])) for j in {*blocks[:1], *blocks[-1:]}]

    def _separated(self, left: Array, points: list[Point]) -> Array:
        """Labels of terms that are not their group's first: cut at many points into classes of their own."""
        groups: list[Array] = [left]
        loose: list[int] = []
        for point in points[:_CUTS]:
            cut = [self._split(group, point) for group in groups]
            groups = [part for parts, _ in cut for part in parts]
            loose += [member for _, unknown in cut for member in unknown]
        # Only uniqueness matters here: negative labels are free, one per term.
        labels = {int(member): -int(member) - 1 for member in left}
        everyone: list[tuple[int, ReferenceTerm]] = []
        for group in groups:
            representatives: list[tuple[int, ReferenceTerm]] = []
            for member in group.tolist():
                self._label(member, representatives, labels, points)
            everyone += representatives
        # What is unknown at some point may belong to any part.
        for member in loose:
            self._label(member, everyone, labels, points)
        return np.array([labels[int(member)] for member in left])

    def _label(
        self, member: int, representatives: list[tuple[int, ReferenceTerm]], labels: dict[int, int], points: list[Point]
    ) -> None:
        """Label a term as the representative that it equals, or make it one."""
        own = self.comparison.reference(self.terms.term(member))
        for other, reference in representatives:
            if member >= self.distinct and self.comparison.same(reference, own, self._between(other, member, points)):
                labels[member] = labels[other]
                return
        representatives.append((member, own))

    def _between(self, first: int, second: int, points: list[Point]) -> Iterator[Point]:
        """Where two terms are compared that both left their group; what is costly to find comes last."""
        yield from points
        yield self.base, int(self.moderate_points(np.array([first]), np.array([second]))[0])
        own = [point for term in (first, second) for point in self._special(term)]
        yield from dict.fromkeys([*own, *self.differences(first, second)])

    def _split(self, group: Array, point: Point) -> tuple[list[Array], list[int]]:
        """A group in parts whose balls at one point lie apart, and the members whose value there is unknown."""
        if len(group) <= 2:
            return [group], []
        parts, unknown = self.comparison.cut([self.terms.term(int(member)) for member in group], *point)
        if any(group[n] < self.distinct for n in unknown):
            # Those that are known to be different have to stand first where others are compared with them.
            return [group], []
        return [np.sort(group[part]) for part in parts], group[unknown].tolist()
