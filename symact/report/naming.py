"""How a function is called on a page and in a table: its name where it has one, else its shortest words."""

from __future__ import annotations

from symact.catalog.matches import name_of
from symact.equivalence.shorter import shorter
from symact.expr.per_site import grouped_text
from symact.expr.tree import Candidate, Expr, is_mixture

MOST_MIXED = 8  # functions of a mixture that are named


def known_name(expression: Expr) -> str | None:
    """The name under which the function was published, with author and year, or None: `SiLU (Elfwing 2017)`."""
    row = name_of(expression)
    return None if row is None else row.cited


def titled(words: str, name: str | None, room: int | None = None) -> str:
    """The words with the name behind them: `x*sigmoid(x), SiLU (Elfwing 2017)`.

    The words stand alone where they are the name (`relu(x)`), and where both together are longer than `room`.
    """
    if name is None or name.partition(" (")[0].casefold() == words.removesuffix("(x)").casefold():
        return words
    both = f"{words}, {name}"
    return words if room is not None and len(both) > room else both


def shown(candidate: Candidate) -> str:
    """A candidate as it is shown: `erfc(x)`, not `add(zero(x),erfc(x))`; of sites that share a function that once.

    Of a mixture the functions are named, since its formula says each weight twice.
    """
    if isinstance(candidate, Expr) and is_mixture(candidate):
        from symact.optimize.mixture_formula import mixed  # it brings SciPy, which `identify` does without

        if parts := mixed(str(candidate)):
            more = f" and {len(parts) - MOST_MIXED} more" if len(parts) > MOST_MIXED else ""
            return f"mixture of {', '.join(parts[:MOST_MIXED])}{more}"
    return grouped_text(shorter(candidate) if isinstance(candidate, Expr) else tuple(map(shorter, candidate)))
