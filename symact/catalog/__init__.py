"""Published activation functions: which one an expression is, exactly, up to an affine map, or nearly. No torch.

The public names are imported when they are first used, so that a module of this room can be had alone.
"""

from __future__ import annotations

from symact.registry import lazy

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "Match": "symact.catalog.matches",
        "expression_of": "symact.catalog.rows",
        "identify": "symact.catalog.matches",
        "name_of": "symact.catalog.matches",
        "published": "symact.expr.published",
    },
)
