"""Which expressions are the same function: sample, group, prove, certify. No torch.

The public names are imported when they are first used, so that a module of this room can be had alone.
"""

from __future__ import annotations

from symact.registry import lazy

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "EQUIVALENCES": "symact.equivalence.table.classify",
        "FunctionIndex": "symact.equivalence.index.function_index",
        "distinct": "symact.equivalence.table.classify",
        "domain": "symact.equivalence.screening",
        "enumerate_classes": "symact.equivalence.table.classify",
        "is_affine": "symact.equivalence.screening",
        "screen": "symact.equivalence.screening",
        "write_table": "symact.equivalence.table.classify",
    },
)
