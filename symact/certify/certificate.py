"""`certify`: everything that is known of a compiled function, as one document and as one printed page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symact.certify.backends import backends_of
from symact.certify.exhaustive import WITHIN, every_input
from symact.certify.facts import facts
from symact.certify.flat import parameter_values
from symact.certify.formats import FORMATS
from symact.certify.reference import Reference
from symact.certify.singles import Singles
from symact.certify.tally import counted_beyond
from symact.errors import InputError
from symact.expr.tree import Expr

# What is certified without being asked for a type: a matter of seconds.
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
        """Whether every result of every type is as close to the exact one as is asked, on the back end that runs."""
        return all(each["within"] for each in self.document["dtypes"].values())

    @property
    def verdict(self) -> str:
        """One line."""
        bad: list[tuple[str, str]] = []
        good: list[tuple[str, str]] = []
        for name, each in self.document["dtypes"].items():
            asked = each.get("asked", f"{WITHIN} ulp")
            counts = f"{counted_beyond(each)} of {name}"
            (good if each["within"] else bad).append((asked, name if each["within"] else counts))
        limits = {asked: [name for other, name in good if other == asked] for asked, _ in good}
        parts = [f"further than {asked} from the exact ones: {counts}" for asked, counts in bad]
        parts += [
            f"every value and slope of {' and '.join(names)} is within {asked} of the exact one"
            for asked, names in limits.items()
        ]
        return "; ".join(parts)


def certify(
    expr: Expr,
    types: Sequence[str] = TYPES,
    progress: Callable[[str, int, int], None] | None = None,
    device: str = "cpu",
    state: Path | None = None,
    estimate: Callable[[Singles], None] | None = None,
) -> Certificate:
    """Measure a compiled function at every input of some types, and analyse the function itself.

    Args:
        expr: an expression.
        types: names of types: bfloat16, float16, float32.
        progress: told a type, and how many of its inputs are done, of how many.
        device: where the function runs, cpu or cuda.
        state: a file that the counts of float32 are kept in, so that it goes on after a stop.
        estimate: told what is about to be measured of float32, which takes minutes.

    Raises:
        InputError: a type or the device is not there, or the state is of something else.
    """
    for name in types:
        if name not in FORMATS:
            raise InputError(f"no type {name!r}: {', '.join(FORMATS)}")
    backends_of(expr, device)
    reference = Reference(expr)
    documents: dict[str, Any] = {}
    for name in types:
        tell = None if progress is None else (lambda done, total, name=name: progress(name, done, total))
        if name == "float32":
            singles = Singles(expr, reference, device)
            if estimate is not None:
                estimate(singles)
            documents[name] = singles.run(state, tell)
        else:
            documents[name] = every_input(expr, reference, FORMATS[name], tell, device)
    document: dict[str, Any] = {
        "expression": str(expr),
        "parameters": parameter_values(expr),
        "asked": WITHIN,
        "dtypes": documents,
        "function": facts(reference.program),
    }
    certificate = Certificate(document)
    return Certificate({**document, "within": certificate.passed, "verdict": certificate.verdict})
