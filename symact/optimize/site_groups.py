"""`SiteGroups`: which activation sites of a network share a function, while an optimizer searches one for each group.

In: the setting `sites` of an optimizer. Out: candidates from one function a group, and the functions of a candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symact.errors import InputError
from symact.expr.tree import Candidate, Expr, site_numbers

MOST = 1000


@dataclass(frozen=True)
class SiteGroups:
    """Groups of sites that share a function.

    Attributes:
        of: the number of the group of each site, from 0 in the order of first sites.
    """

    of: tuple[int, ...] = (0,)

    @classmethod
    def read(cls, name: str, setting: int | Sequence[Sequence[int]]) -> SiteGroups:
        """The groups that a setting means.

        Args:
            name: of the optimizer, for the message.
            setting: how many sites, each with a function of its own; or the groups, lists of sites counted from 1.

        Raises:
            InputError: it is no such number, or the lists do not hold each site once.
        """
        if isinstance(setting, int):
            if not 1 <= setting <= MOST:
                raise InputError(f"{name}: sites is a whole number from 1 to {MOST}, not {setting}")
            return cls(tuple(range(setting)))
        groups = [list(group) for group in setting if isinstance(group, list | tuple)]
        listed = [site for group in groups for site in group]
        if len(groups) < len(setting) or not all(groups) or any(type(site) is not int for site in listed):
            raise InputError(f"{name}: sites is a number, or lists of sites such as [[1, 2], [3]]")
        if sorted(listed) != list(range(1, len(listed) + 1)) or not 1 <= len(listed) <= MOST:
            raise InputError(f"{name}: the lists of sites hold each of 1 to their number once, not {setting}")
        groups.sort(key=min)
        place = {site: number for number, group in enumerate(groups) for site in group}
        return cls(tuple(place[site] for site in sorted(place)))

    def __len__(self) -> int:
        return max(self.of) + 1

    def candidate(self, functions: Sequence[Expr]) -> Candidate:
        """One function a group as a candidate; a single group is one function for all sites."""
        return functions[0] if len(self) == 1 else tuple(functions[group] for group in self.of)

    def functions(self, candidate: Candidate) -> tuple[Expr, ...] | None:
        """The functions of the groups; None where the candidate is none of these groups.

        One function for all sites is the same one in every group.
        """
        if isinstance(candidate, Expr):
            return (candidate,) * len(self)
        if len(self) == 1 or len(candidate) != len(self.of):
            return None
        found = tuple(candidate[self.of.index(group)] for group in range(len(self)))
        return found if self.candidate(found) == candidate else None

    def name(self, group: int) -> str:
        """What a group is called: `site 3`, `sites 1-4, 6`."""
        listed = [site for site, own in enumerate(self.of, 1) if own == group]
        return f"site{'s' * (len(listed) > 1)} {site_numbers(listed)}"


ONE = SiteGroups()
