"""Certificates: what a compiled function does at every input of a floating type, and what the function itself is.

In: an expression. Out: a `Certificate`, with errors in ulp against ball arithmetic, and facts of the function
(monotonicity, range, limits) from enclosures over intervals. Every statement says how it is known.
"""

from __future__ import annotations

from symact.registry import lazy

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "certify": "symact.certify.certificate",
        "Certificate": "symact.certify.certificate",
    },
)
