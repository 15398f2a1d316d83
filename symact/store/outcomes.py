"""What may be stored of an evaluation, decided in one place: an `Outcome` as JSON types and back, both ways checked.

`storable` gives the outcome that is kept, told and sent: whatever it gives can be written, and is read back as the
same. What a task returned that cannot be kept (too long, too deep, no JSON) becomes a failure with that reason.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from symact.records import LARGEST, Outcome, Status, not_a_score

MAXIMUM_DEPTH = 40
MAXIMUM_CHARACTERS = 8_000_000  # of metrics and constants together, as JSON
MAXIMUM_REASON = 2000
MAXIMUM_DIGITS = 309  # of the largest whole number that float64 can hold


def storable(outcome: Outcome) -> Outcome:
    """The outcome that is kept: itself as plain JSON types, or a failure that says why it cannot be kept."""
    if outcome.status is Status.finished and not_a_score(outcome.score):
        return Outcome(Status.crashed, None, encodable(not_a_score(outcome.score))[:MAXIMUM_REASON])
    try:
        if outcome.status is Status.finished and outcome.score is not None and not abs(float(outcome.score)) <= LARGEST:
            outcome = Outcome.finished(outcome.score, constants=outcome.constants, **outcome.metrics)
        document = to_document(outcome)
        size = sum(len(dump(document[part])) for part in ("metrics", "constants"))
        if size > MAXIMUM_CHARACTERS:
            raise ValueError(f"metrics and constants have {size:,} characters; at most {MAXIMUM_CHARACTERS:,} are kept")
        return from_document(document)
    except Exception as error:  # a value of a task may raise anything when it is looked at
        reason = f"what the task returned cannot be kept: {described(error)}"
    status = outcome.status if isinstance(outcome.status, Status) else Status.crashed
    if status is Status.finished:
        return Outcome(Status.crashed, None, reason[:MAXIMUM_REASON])
    return Outcome(status, None, f"{encodable(_text(outcome.reason))[:1000]} ({reason[:900]})")


def encodable(text: str) -> str:
    """`text` with what no file can hold (halves of surrogate pairs) written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def described(error: BaseException) -> str:
    """The message of an exception on one line, whatever its `__str__` does; its class if it has none."""
    return " ".join(encodable(_text(error)).split())[:500] or type(error).__name__


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        return f"(its text cannot be read: {type(error).__name__})"


def plain(value: Any, depth: int = 0) -> Any:
    """A value of a task as JSON types: arrays and tensors become lists, NaN and infinities None.

    Raises:
        TypeError: it holds something that is no number, text, list or mapping, or nests too deep.
    """
    if depth > MAXIMUM_DEPTH:
        raise TypeError(f"nested more than {MAXIMUM_DEPTH} deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return encodable(str(value))
    if isinstance(value, int):
        if not _is_number(int(value)):
            raise TypeError("a whole number beyond float64")
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {encodable(str(key)): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth + 1) for item in value]
    if callable(getattr(value, "tolist", None)):  # NumPy scalars and arrays, torch tensors
        return plain(value.tolist(), depth + 1)
    raise TypeError(f"{type(value).__name__} is not a number, text, list or mapping")


def to_document(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON types.

    Raises:
        TypeError: a metric or constant has no JSON form.
    """
    return {
        "status": Status(outcome.status).value,
        # SQLite gives -0.0 back as 0.0, and a row that comes back otherwise is taken for a damaged one.
        "score": None if outcome.score is None else float(outcome.score) + 0.0,
        "reason": encodable(str(outcome.reason))[:MAXIMUM_REASON],
        "metrics": plain(outcome.metrics),
        "constants": plain(outcome.constants),
    }


def from_document(document: Any) -> Outcome:
    """The inverse of `to_document`.

    Raises:
        ValueError: it is not the document of an outcome.
    """
    if not isinstance(document, dict) or set(document) != {"status", "score", "reason", "metrics", "constants"}:
        raise ValueError("an outcome has status, score, reason, metrics and constants")
    score, reason, metrics, constants = (document[key] for key in ("score", "reason", "metrics", "constants"))
    status = Status(document["status"])
    if status is Status.finished:
        if not _is_number(score) or abs(score) > LARGEST:
            raise ValueError("a finished outcome has a finite score")
        score = float(score)
    elif score is not None:
        raise ValueError("an outcome that failed has no score")
    if not isinstance(reason, str) or not isinstance(metrics, dict) or not isinstance(constants, list):
        raise ValueError("reason is a text, metrics a mapping, constants a list")
    if not all(isinstance(site, dict) and all(map(_is_constant, site.values())) for site in constants):
        raise ValueError("constants are one mapping per site of numbers or lists of numbers")
    if _is_deeper(metrics, MAXIMUM_DEPTH):
        raise ValueError(f"metrics nested more than {MAXIMUM_DEPTH} deep")
    return Outcome(status, score, reason, metrics, tuple(constants))


def _is_constant(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(v is None or _is_number(v) for v in values)


def _is_number(value: Any) -> bool:
    """Whether it is a number that float64 can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # also False for NaN


def _is_deeper(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return depth < 0 or any(_is_deeper(item, depth - 1) for item in value if isinstance(item, dict | list))


def dump(value: Any) -> str:
    """JSON text on one line, without NaN."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def load(text: str) -> Any:
    """The value of a JSON text, of any length: what limits it is what `storable` lets through.

    Raises:
        ValueError: it is not JSON, holds NaN or a number beyond float64, or nests too deep.
    """
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is beyond float64")
    return value


def _whole(text: str) -> int:
    value = int(text) if len(text) <= MAXIMUM_DIGITS + 1 else None
    if value is None or not _is_number(value):
        raise ValueError(f"a whole number of {len(text)} digits is beyond float64")
    return value
