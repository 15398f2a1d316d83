"""`Settling`: groups of rows that float64 leaves open are decided in ball arithmetic.

In: described rows in proposed groups. Out: labels. A member that is clearly near the first of its group is
confirmed at the calmest point and wherever something hides; a member that is known less well, at more points;
what is left over is cut into classes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.described import Candidates
from symact.equivalence.engine.reliability import Traits
from symact.equivalence.exact.comparison import Anchor, Arbiter
from symact.equivalence.parallel import cores, in_processes
from symact.equivalence.terms import ANCHORS, MIDDLES, PER_ANCHOR, POINTS, Field

_CUTS = 8
_CHUNK = 4096
# So many members pay for a process of their own.
_SHARE = 400


Point: TypeAlias = tuple[Field, int]


@dataclass
class Group:
    """Members ``(members,)`` of a proposed group that has to be settled.

    Attributes:
        members: numbers of rows, in order.
        first: position of the one that the others are compared with.
        plain: per member, whether float64 has shown already that it is the first's function.
        hidden: per member, the anchors where it or the first hides something that matters; one bit each.
        tight: per member, equal numbers for float64 values that agree to rounding; negative: not known well.
        calmest: per member, the sample point that suits it and the first best.
    """

    members: list[int]
    first: int
    plain: list[bool]
    hidden: list[int]
    tight: list[int]
    calmest: list[int]


class Settling:
    """Decides groups of one classification.

    Args:
        arbiter: computes balls.
        base: the sample points.
        rows: all rows.
        traits: of the rows that are to be settled.
        tight: per row, a number that rows share whose float64 values agree to rounding; negative: not known well.
        settled: so many of the first rows are known to be different.
        suspects: row -> further points where it must be compared with the first of its proposed group.
        differences: of two rows, some of the dense points where they seem to differ.
    """

    def __init__(
        self,
        arbiter: Arbiter,
        base: Field,
        rows: Candidates,
        traits: Traits,
        tight: Array,
        settled: int,
        suspects: dict[int, list[Point]],
        differences: Callable[[int, int], list[Point]],
    ):
        self.arbiter, self.base, self.rows, self.traits = arbiter, base, rows, traits
        self.tight, self.settled, self.suspects, self.differences = tight, settled, suspects, differences
        self._spread = [(base, int(m)) for m in MIDDLES]

    def settle(self, order: Array, starts: Array, ends: Array, labels: Array) -> None:
        """Settle groups, on several cores where there is much to do.

        Args:
            order: row numbers, group after group.
            starts: of the groups in `order`.
            ends: likewise.
            labels: ``(rows,)`` of all rows; those of members that leave their group are changed.
        """
        if not len(starts):
            return
        groups = self._prepared(order, starts, ends)
        hands = int(min(cores(), max(1, (ends - starts).sum() // _SHARE)))
        # The largest groups go round first, so that the shares weigh about the same.
        heavy = sorted(groups, key=lambda group: -len(group.members))
        shares = [heavy[number::hands] for number in range(hands)]

        def work(share: Sequence[Group]) -> bytes:
            parts = [self._settled(group, labels) for group in share]
            return np.concatenate(parts).astype(np.int64).tobytes()

        for share, answer in zip(shares, in_processes(work, shares), strict=True):
            members = np.concatenate([group.members for group in share])
            labels[members] = np.frombuffer(answer, np.int64)

    def _prepared(self, order: Array, starts: Array, ends: Array) -> list[Group]:
        lengths = ends - starts
        members = spans(order, starts, ends)
        offsets = np.cumsum(lengths) - lengths
        calm, tight = self.traits.calm[members], self.tight[members]
        # The calmest member that is known well stands first, but for those that must not be compared again.
        rank = np.where(tight >= 0, calm.sum(axis=1), -1)
        best = np.maximum.reduceat(rank, offsets)
        inside = np.arange(len(members)) - np.repeat(offsets, lengths)
        at = np.minimum.reduceat(np.where(rank == np.repeat(best, lengths), inside, len(members)), offsets)
        at = np.where((members[offsets] < self.settled) | (best < 0), 0, at)
        first = np.repeat(offsets + at, lengths)
        shown = calm & calm[first]
        kinked = self.traits.kinked[members] | self.traits.kinked[members[first]]
        plain = np.where(kinked, shown.all(axis=1), shown.any(axis=1)) & (tight == tight[first]) & (tight >= 0)
        plain &= members >= self.settled
        if self.suspects:
            plain &= ~np.isin(members, list(self.suspects))
        hidden = np.where(kinked, (~shown) @ (1 << np.arange(ANCHORS)), 0)
        calmest = np.zeros(len(members), np.int64)
        open_ones = np.flatnonzero(~plain & (np.arange(len(members)) != first))
        calmest[open_ones] = self.calmest(members[first[open_ones]], members[open_ones])
        numbers, sure = members.tolist(), plain.tolist()
        bits, near, calm_points = hidden.tolist(), tight.tolist(), calmest.tolist()
        return [
            Group(numbers[a:b], f, sure[a:b], bits[a:b], near[a:b], calm_points[a:b])
            for a, b, f in zip(offsets.tolist(), (offsets + lengths).tolist(), at.tolist(), strict=True)
        ]

    def calmest(self, first: Array, second: Array) -> Array:
        """Per pair of rows, the sample point where their arguments are of the most moderate size."""
        found = np.empty(len(first), np.int64)
        for start in range(0, len(first), _CHUNK):
            part = slice(start, start + _CHUNK)
            arguments = np.concatenate([self.rows.arguments[first[part]], self.rows.arguments[second[part]]], axis=1)
            size = np.ones((len(arguments), POINTS))
            for column in arguments.T:
                values = np.abs(np.take(self.base.values, np.maximum(column, 0), axis=0)[:, :POINTS])
                own = np.where(values > 0, np.maximum(values, 1.0) + 1e-3 / values, np.where(values == 0, 1.0, np.inf))
                np.maximum(size, own, out=size, where=(column >= 0)[:, None])
            found[part] = size.argmin(axis=1)
            found[part][(arguments < 0).all(axis=1)] = MIDDLES[0]
        return found

    def _settled(self, group: Group, labels: Array) -> Array:
        """The labels of a group's members."""
        members, at = group.members, group.first
        first = members[at]
        anchor = self.arbiter.anchor(self.rows.row(first))
        result = np.full(len(members), labels[first])
        left = []
        for number, member in enumerate(members):
            if number == at or group.plain[number]:
                continue
            if member < self.settled or not self.arbiter.same(
                anchor, self.rows.row(member), self._places(group, number)
            ):
                left.append(number)
        if left:
            together = np.array(members)
            hidden = np.flatnonzero(~self.traits.calm[together].all(axis=0)).tolist()
            extra = list(dict.fromkeys(p for n in [at, *left] for p in self.suspects.get(members[n], ())))
            order = self.traits.extremes[together].max(axis=0).argsort()
            places = [self._spread[i] for i in order[:4]] + extra[:8] + self.ends(hidden)
            result[left] = self._separated(together[left], places)
        return result

    def _places(self, group: Group, number: int) -> list[Point]:
        """Where a member is compared with the first of its group."""
        member, near, well = group.members[number], group.tight[number], group.tight[group.first]
        places = [(self.base, group.calmest[number])]
        bits = group.hidden[number]
        if bits:
            places += self.ends([j for j in range(ANCHORS) if bits >> j & 1])
        places += self.suspects.get(member, ())
        first = group.members[group.first]
        if first in self.suspects:
            places += [*self.suspects[first], *self.differences(first, member)]
        if near < 0 or well < 0:
            places += self._lost(first, member)
        elif near != well:
            places += self._spread + [(self.base, p) for p in range(0, POINTS, PER_ANCHOR // 2)]
        return places

    def ends(self, anchors: list[int]) -> list[Point]:
        """The first and the last sample point of some anchors."""
        return [(self.base, p) for j in anchors for p in (j * PER_ANCHOR, (j + 1) * PER_ANCHOR - 1)]

    def _lost(self, first: int, second: int) -> list[Point]:
        """Up to two points where float64 does not know both rows."""
        trusted = self.rows.prints.trusted
        common = int(trusted[first] & trusted[second])
        anchors = [j for j in range(ANCHORS) if not common >> j & 1]
        return [(self.base, int(MIDDLES[j])) for j in {*anchors[:1], *anchors[-1:]}]

    def _separated(self, left: Array, places: list[Point]) -> Array:
        """Labels of rows that are not their group's first: cut at many points into classes of their own."""
        groups: list[Array] = [left]
        loose: list[int] = []
        for place in places[:_CUTS]:
            cut = [self._split(group, place) for group in groups]
            groups = [part for parts, _ in cut for part in parts]
            loose += [member for _, unknown in cut for member in unknown]
        # Only uniqueness matters here: negative labels are free, one per row.
        labels = {int(member): -int(member) - 1 for member in left}
        everyone: list[tuple[int, Anchor]] = []
        for group in groups:
            representatives: list[tuple[int, Anchor]] = []
            for member in group.tolist():
                self._place(member, representatives, labels, places)
            everyone += representatives
        # What is unknown at some point may belong to any part.
        for member in loose:
            self._place(member, everyone, labels, places)
        return np.array([labels[int(member)] for member in left])

    def _place(
        self, member: int, representatives: list[tuple[int, Anchor]], labels: dict[int, int], places: list[Point]
    ) -> None:
        """Label a row as the representative that it equals, or make it one."""
        own = self.arbiter.anchor(self.rows.row(member))
        for other, anchor in representatives:
            if member >= self.settled and self.arbiter.same(anchor, own, self._between(other, member, places)):
                labels[member] = labels[other]
                return
        representatives.append((member, own))

    def _between(self, first: int, second: int, places: list[Point]) -> Iterator[Point]:
        """Where two rows are compared that both left their group; what is costly to find comes last."""
        yield from places
        yield self.base, int(self.calmest(np.array([first]), np.array([second]))[0])
        own = [point for row in (first, second) for point in self.suspects.get(row, ())]
        yield from dict.fromkeys([*own, *self.differences(first, second)])

    def _split(self, group: Array, place: Point) -> tuple[list[Array], list[int]]:
        """A group in parts whose balls at one place lie apart, and the members whose value there is unknown."""
        if len(group) <= 2:
            return [group], []
        parts, unknown = self.arbiter.cut([self.rows.row(int(member)) for member in group], *place)
        if any(group[n] < self.settled for n in unknown):
            # Those that are known to be different have to stand first where others are compared with them.
            return [group], []
        return [np.sort(group[part]) for part in parts], group[unknown].tolist()


def spans(order: Array, starts: Array, ends: Array) -> Array:
    """The parts of `order` from each start to its end, one after another."""
    lengths = ends - starts
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return order[np.repeat(starts, lengths) + within]
