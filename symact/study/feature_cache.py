"""Features of functions, measured by the task, each once: what a surrogate sees before any training."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symact.execute.job import decode_arrays
from symact.expr.tree import Candidate, candidate_text
from symact.records import Outcome, Status
from symact.store import outcomes

AT_ONCE = 128  # functions measured, by all workers, before they are stored
SHARED = "_weights"  # arrays whose name ends so belong to the task, not to one function


class FeatureCache:
    """Callable that optimizers are given: list of expressions -> arrays with one row per expression.

    Args:
        measure: measures expressions; an outcome each, whose metric `features` holds encoded arrays.
        keep: is handed what is new, expression -> text, to be stored.
        known: what was stored before.
        tell: is called with how many of a large number are measured, and of how many.
    """

    def __init__(
        self,
        measure: Callable[[Sequence[Candidate]], Sequence[Outcome]],
        keep: Callable[[Mapping[str, str]], None],
        known: Mapping[str, str],
        tell: Callable[[int, int], None] = lambda done, total: None,
    ):
        self._measure, self._keep, self._tell = measure, keep, tell
        self._known = {name: unpack(text) for name, text in known.items()}

    def __call__(self, expressions: list[Candidate]) -> dict[str, np.ndarray]:
        """The arrays, rows in the order of `expressions`.

        A function that could not be measured has a row of NaN, and False in `finite`.
        """
        names = [candidate_text(expression) for expression in expressions]
        missing = {name: e for name, e in zip(names, expressions, strict=True) if name not in self._known}
        # What is measured is kept before the next ones are: a large pool is not begun again after a stop.
        for start in range(0, len(missing), AT_ONCE):
            part = list(missing)[start : start + AT_ONCE]
            self._add(part, [missing[name] for name in part])
            self._tell(min(start + AT_ONCE, len(missing)), len(missing))
        return stacked([self._known[name] for name in names])

    def _add(self, names: list[str], expressions: list[Candidate]) -> None:
        texts = {}
        for name, outcome in zip(names, self._measure(expressions), strict=True):
            document = outcome.metrics.get("features", {}) if outcome.status is Status.finished else {}
            texts[name] = pack(document)
            self._known[name] = unpack(texts[name])
        self._keep(texts)


def pack(document: Mapping[str, Any]) -> str:
    """Encoded arrays as one short text."""
    return base64.b64encode(zlib.compress(outcomes.dump(dict(document)).encode())).decode()


def unpack(text: str) -> dict[str, np.ndarray]:
    """The arrays of a packed text; empty where it cannot be read, for it can be measured again."""
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text), outcomes.MAXIMUM_CHARACTERS)
        return decode_arrays(json.loads(data))
    except (ValueError, zlib.error):
        return {}


def stacked(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """One array per name with a row for each function; those that have none get NaN (False, 0)."""
    measured = [row for row in rows if row]
    finite = np.array([bool(row) and bool(np.all(row.get("finite", True))) for row in rows], dtype=bool)
    found: dict[str, np.ndarray] = {"finite": finite}
    for name in measured[0] if measured else ():
        if name == "finite":
            continue
        pattern = measured[0][name]
        if name.endswith(SHARED):
            found[name] = pattern
            continue
        empty = np.full(pattern.shape, np.nan if pattern.dtype.kind == "f" else 0, dtype=pattern.dtype)
        values = [row.get(name, empty) for row in rows]
        found[name] = np.stack([value if value.shape == pattern.shape else empty for value in values])
    return found
