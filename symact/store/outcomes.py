"""An `Outcome` as JSON types and back, both ways checked: what workers send and the store keeps."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from symact.records import LARGEST, Outcome, Status

MAXIMUM_DEPTH = 40
MAXIMUM_CHARACTERS = 8_000_000


def plain(value: Any, depth: int = 0) -> Any:
    """A value of a task as JSON types: arrays and tensors become lists, NaN and infinities None.

    Raises:
        TypeError: it holds something that is no number, text, list or mapping, or nests too deep.
    """
    if depth > MAXIMUM_DEPTH:
        raise TypeError(f"nested more than {MAXIMUM_DEPTH} deep")
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
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
        "status": outcome.status.value,
        "score": outcome.score,
        "reason": outcome.reason[:2000],
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
    """The value of a JSON text.

    Raises:
        ValueError: it is not JSON, holds NaN or a number beyond float64, nests too deep or is too long.
    """
    if len(text) > MAXIMUM_CHARACTERS:
        raise ValueError(f"longer than {MAXIMUM_CHARACTERS} characters")
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
    if len(text) > 300:
        raise ValueError(f"a number of {len(text)} digits is beyond float64")
    return int(text)
