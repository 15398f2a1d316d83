"""`certify`: everything that is known of a compiled function, as one document and as one printed page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from symact.certify.exhaustive import WITHIN, every_input
from symact.certify.facts import facts
from symact.certify.flat import parameter_values
from symact.certify.formats import FORMATS
from symact.certify.reference import Reference
from symact.expr.tree import Expr

# What is certified without being asked for a type.
TYPES = ("bfloat16", "float16")


@dataclass(frozen=True)
class Certificate:
    """What was found.

    Attributes:
        document: all of it, in plain JSON types.
    """

    document: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether every result of every type is within `WITHIN` units of the exact one, on the back end that runs."""
        return all(each["within"] for each in self.document["dtypes"].values())

    @property
    def verdict(self) -> str:
        """One line."""
        bad = [name for name, each in self.document["dtypes"].items() if not each["within"]]
        if not bad:
            return f"every value and slope is within {WITHIN} ulp of the exact one"
        counts = ", ".join(
            f"{self.document['dtypes'][name]['values']['beyond']} values and "
            f"{self.document['dtypes'][name]['slopes']['beyond']} slopes of {name}"
            for name in bad
        )
        return f"further than {WITHIN} ulp from the exact ones: {counts}"


def certify(
    expr: Expr, types: Sequence[str] = TYPES, progress: Callable[[str, int, int], None] | None = None
) -> Certificate:
    """Measure a compiled function at every input of some types, and analyse the function itself.

    Args:
        expr: an expression.
        types: names of types of 16 bits.
        progress: told a type, and how many of its inputs are done, of how many.
    """
    reference = Reference(expr)
    documents: dict[str, Any] = {}
    for name in types:
        tell = None if progress is None else (lambda done, total, name=name: progress(name, done, total))
        documents[name] = every_input(expr, reference, FORMATS[name], tell)
    document: dict[str, Any] = {
        "expression": str(expr),
        "parameters": parameter_values(expr),
        "asked": WITHIN,
        "dtypes": documents,
        "function": facts(reference.program),
    }
    certificate = Certificate(document)
    return Certificate({**document, "within": certificate.passed, "verdict": certificate.verdict})
