"""Which activation sites of a task have a function of their own in a search: `--per-site` and `--site-groups`.

In: the task, and what the user wrote, such as `1-3; 4` or `layer1.*; rest`. Out: the setting `sites` of an optimizer.
"""

from __future__ import annotations

import fnmatch
import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

from symact.errors import InputError
from symact.expr.tree import site_numbers
from symact.optimize import OPTIMIZERS
from symact.study.setup import optimizer_class, optimizer_name
from symact.tasks.declaration import site_names_of, sites_of

REST = "rest"
SHOWN = 12  # names of sites in a message

Groups = str | Sequence[str | Sequence[int | str]]


def sites_to_search(
    task: Any, optimizer: str | type, per_site: bool, groups: Groups | None
) -> int | list[list[int]] | None:
    """How many sites have a function of their own, or which share one; None for one function everywhere.

    Args:
        task: the loaded task.
        optimizer: its name or class.
        per_site: each site has a function of its own.
        groups: of sites that share a function: a text, or a list of groups, each a text or a list of site numbers
            and of patterns of names.

    Raises:
        InputError: the task does not say how many sites there are, the optimizer takes one function for all, or the
            groups do not hold each site once.
    """
    if not per_site and groups is None:
        return None
    if per_site and groups is not None:
        raise InputError("--per-site and --site-groups: choose one of them")
    count, cls = sites_of(task), optimizer_class(optimizer)
    if count is None:
        raise InputError(f"{type(task).__name__}: it must say with `sites` how many activation sites it has")
    if "sites" not in inspect.signature(cls).parameters:
        able = [name for name, each in OPTIMIZERS.items() if "sites" in inspect.signature(each).parameters]
        raise InputError(
            f"optimizer {optimizer_name(optimizer)!r} looks for one function for all sites; for functions of their own "
            f"there are {', '.join(able)}"
        )
    return count if groups is None else grouped(groups, count, lambda: site_names_of(task))


def grouped(groups: Groups, count: int, names: Any) -> list[list[int]]:
    """Groups of sites as numbers from 1, each site in one of them.

    Args:
        groups: see `sites_to_search`.
        count: how many sites there are.
        names: gives the names of the sites in their order, or None; called only where a pattern is to be matched.

    Raises:
        InputError: saying which part cannot be understood, or which site is in two groups or none.
    """
    listed = groups.split(";") if isinstance(groups, str) else groups
    if not _is_list(listed) or not all(isinstance(part, str) or _is_list(part) for part in listed):
        raise InputError('--site-groups: groups are a text such as "1,2;3", or lists such as [[1, 2], [3]]')
    written = [_items(part) for part in listed]
    found, owner = [], dict[int, int]()
    for number, part in enumerate(written):
        sites = [site for item in part if item != REST for site in _sites(item, count, names)]
        for site in sites:
            if owner.setdefault(site, number) != number:
                raise InputError(f"--site-groups: site {site} is in two groups")
        found.append(list(dict.fromkeys(sites)))
    left = [site for site in range(1, count + 1) if site not in owner]
    rest = [number for number, part in enumerate(written) if REST in part]
    if len(rest) > 1:
        raise InputError(f"--site-groups: {REST} stands in two groups")
    if left and not rest:
        are, them = ("are", "them") if len(left) > 1 else ("is", "it")
        raise InputError(
            f"--site-groups: site{'s' * (len(left) > 1)} {site_numbers(left)} of {count} {are} in no group; "
            f"add a group for {them}, or ;{REST}"
        )
    if rest:
        found[rest[0]] += left
    if not all(found):
        raise InputError(f"--site-groups: the group {';'.join(written[found.index([])]) or '(empty)'} has no site left")
    return sorted((sorted(part) for part in found), key=min)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _items(part: str | Sequence[int | str]) -> list[str]:
    """What one group lists; a text within a list is read as it is on the command line."""
    return [item.strip() for text in ([part] if isinstance(part, str) else part) for item in str(text).split(",")]


def _sites(item: str, count: int, names: Any) -> Iterable[int]:
    """The sites that one item means: a number, a range, or a pattern of names."""
    if number := re.fullmatch(r"(\d{1,9})(?:\s*-\s*(\d{1,9}))?", item):
        first, last = int(number[1]), int(number[2] or number[1])
        if not 1 <= first <= last <= count:
            raise InputError(f"--site-groups: {item}: the task has sites 1 to {count}")
        return range(first, last + 1)
    if not item:
        raise InputError('--site-groups: a group is empty; write groups such as "1,2;3" or "1-4;rest"')
    known = names()
    if known is None:
        raise InputError(
            f"--site-groups: {item!r} is no number of a site, and the task does not name its sites; "
            f"give numbers from 1 to {count}, or an attribute `site_names` to the task"
        )
    found = [site for site, name in enumerate(known, 1) if fnmatch.fnmatchcase(name, item)]
    if not found:
        shown = ", ".join(f"{site} ({name})" for site, name in enumerate(known[:SHOWN], 1))
        more = f", ... {count}" if count > SHOWN else ""
        raise InputError(f"--site-groups: no site is called {item!r}; the sites are {shown}{more}")
    return found
