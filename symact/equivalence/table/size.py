"""How long a space takes to list, and which are too large for it.

Spaces can be open-ended: PANGAEA's holds 7e19 expressions, which a search samples from and nobody lists.
"""

from __future__ import annotations

from typing import NamedTuple

import psutil

from symact.errors import InputError, lasting
from symact.expr.space import Space

# Measured in runs/space_speed, on one core: expressions without parameters, with them, and asked one by one.
SECONDS_PLAIN = 5e-6
SECONDS_PARAMETRIC = 2e-4
SECONDS_ONE_BY_ONE = 1e-3
BYTES = 320


class Estimate(NamedTuple):
    """What listing a space takes: expressions, seconds of one core, bytes of memory."""

    expressions: int
    seconds: float
    bytes: float


def estimate(space: Space) -> Estimate:
    """What listing a space takes, roughly; nothing is listed."""
    count = space.count()
    each = SECONDS_PARAMETRIC if space.grammar.parameters else SECONDS_PLAIN
    each = each if space.numbered_by_slots else SECONDS_ONE_BY_ONE
    return Estimate(count, float(count) * each, float(count) * BYTES)


def check_size(space: Space) -> None:
    """Refuse a space that does not fit into this machine's memory.

    Raises:
        InputError: with the number of its expressions, an estimate, and smaller spaces of the grammar.
    """
    found = estimate(space)
    if found.bytes <= psutil.virtual_memory().total:
        return
    spaces = getattr(space.grammar, "spaces", {})
    smaller = [f"{name}: {other.count():,}" for name, other in spaces.items() if other.count() < found.expressions]
    choice = f"choose a smaller space with --space ({', '.join(smaller)})" if smaller else "write down a smaller space"
    raise InputError(
        f"{getattr(space.grammar, 'name', 'the grammar')}/{space.name}: {found.expressions:,} expressions are too many "
        f"to list: about {lasting(found.seconds)} and {found.bytes / 2**30:,.0f} GiB; {choice}, or search it "
        "(`symact search`), which lists nothing"
    )
