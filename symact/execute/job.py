"""What a worker is sent and sends back, and the one function that evaluates a candidate.

Everything crosses as JSON text: the grammar's text, the task's name or text, the candidate's
expressions. No closure, no pickle. The same function runs in the process of the study and in workers.
"""

from __future__ import annotations

import base64
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symact.errors import FormulaError, InputError, SymactError
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr, from_document
from symact.records import Outcome, Status
from symact.store import outcomes

DTYPES = ("float64", "float32", "int64", "bool")


@dataclass(frozen=True)
class Job:
    """One training of one candidate, or one measuring of its features.

    Attributes:
        number: number of the trial.
        repeat: which of its trainings.
        seed: training seed.
        candidate: JSON document of the candidate.
        budget: fraction of a full training.
        schedule: handed to the task unless it is `""`.
        kind: `evaluate`, `confirm` (an evaluation that is stored apart) or `features`.
    """

    number: int
    repeat: int
    seed: int
    candidate: Mapping[str, Any]
    budget: float = 1.0
    schedule: str = ""
    kind: str = "evaluate"

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells it from every other job of a study."""
        return self.kind, self.number, self.repeat


@dataclass(frozen=True)
class Result:
    """What became of a job: its outcome, and wall time in seconds."""

    job: Job
    outcome: Outcome
    seconds: float


@dataclass(frozen=True)
class WorkerSettings:
    """What an executor must know to evaluate anything, as plain data.

    Attributes:
        grammar: text of the grammar.
        task: `symact.store.TaskSettings` as a dict.
        file: path of the task's file, whose neighbours it can import; `""` if none.
        data: root folder of the data sets, or None.
        timeout: seconds per job, or None.
        memory: bytes of resident memory of a worker and its children, or None.
    """

    grammar: str
    task: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    data: str | None = None
    timeout: float | None = None
    memory: int | None = None


class MakeActivation:
    """What a task calls once per activation site, in site order, to get fresh modules.

    Attributes:
        candidate: the `Expr`, or one per site.
    """

    def __init__(self, candidate: Expr | tuple[Expr, ...], grammar: Vocabulary):
        self.candidate, self._grammar = candidate, grammar
        self._site = 0

    def __call__(self) -> Any:
        """A fresh module for the next site.

        Raises:
            CandidateError: it cannot be compiled, or the task has more sites than the candidate expressions.
        """
        from symact.activation.module import Activation

        expressions = (self.candidate,) if isinstance(self.candidate, Expr) else self.candidate
        site, self._site = self._site, self._site + 1
        if len(expressions) > 1 and site >= len(expressions):
            raise CandidateError(f"it has {len(expressions)} expressions, and the task has more sites")
        try:
            return Activation(expressions[site if len(expressions) > 1 else 0], self._grammar)
        except SymactError as error:
            raise CandidateError(str(error)) from error


class CandidateError(Exception):
    """A candidate that cannot be compiled."""


def perform(task: Any, grammar: Vocabulary, job: Job) -> Outcome:
    """Do a job here. An error of the candidate, or while it is trained, is an outcome.

    Raises:
        InputError: the task says that it cannot work at all (its data is missing).
    """
    started = time.perf_counter()
    try:
        candidate = from_document(dict(job.candidate), grammar)
    except FormulaError as error:
        return Outcome.failed(Status.rejected, f"it cannot be read: {_first_line(error)}")
    try:
        make = MakeActivation(candidate, grammar)
        if job.kind == "features":
            outcome = Outcome.finished(0.0, features=encode_arrays(task.features(make)))
        else:
            arguments: dict[str, Any] = {"schedule": job.schedule} if job.schedule else {}
            outcome = task.evaluate(make, seed=job.seed, budget=job.budget, **arguments)
        if not isinstance(outcome, Outcome):
            return Outcome.failed(
                Status.crashed, f"evaluate returned {type(outcome).__name__}; it must return a symact.Outcome"
            )
        return outcomes.from_document(outcomes.to_document(outcome))
    except InputError:
        raise
    except CandidateError as error:
        return Outcome.failed(Status.rejected, f"it cannot be compiled: {_first_line(error)}")
    except MemoryError as error:
        return Outcome.failed(Status.out_of_memory, f"MemoryError after {_age(started)}: {error}".rstrip(": "))
    except Exception as error:
        status = Status.out_of_memory if _is_out_of_memory(error) else Status.crashed
        return Outcome.failed(status, _one_line(error))


def _is_out_of_memory(error: Exception) -> bool:
    """PyTorch raises its own error on the device and a plain RuntimeError on the CPU."""
    text = str(error)
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text or "out of memory" in text


def _one_line(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    name = place.filename.replace("\\", "/").rsplit("/", 1)[-1]
    message = " ".join(str(error).split())[:500]
    return f"{type(error).__name__}: {message} ({name}:{place.lineno})"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:500]


def _age(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"


def encode_arrays(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays as JSON types: name -> type, shape and base64 of the little-endian values.

    Raises:
        TypeError: an array is not of numbers.
    """
    found = {}
    for name, value in arrays.items():
        array = np.asarray(value)
        if array.dtype == np.float16 or array.dtype.kind not in "fib":
            array = array.astype(np.float64)
        if array.dtype.name not in DTYPES:
            array = array.astype({"f": np.float64, "i": np.int64, "b": np.bool_}[array.dtype.kind])
        data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
        found[str(name)] = {"type": array.dtype.name, "shape": list(array.shape), "data": data}
    return found


def decode_arrays(document: Any) -> dict[str, np.ndarray]:
    """The inverse of `encode_arrays`.

    Raises:
        ValueError: it is not the document of arrays.
    """
    if not isinstance(document, dict):
        raise ValueError("arrays are a mapping")
    arrays = {}
    for name, part in document.items():
        try:
            kind, shape, data = part["type"], part["shape"], part["data"]
        except (TypeError, KeyError):
            raise ValueError(f"array {name!r} has no type, shape or data") from None
        if kind not in DTYPES or not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"array {name!r} has an unknown type or shape")
        flat = np.frombuffer(base64.b64decode(data, validate=True), dtype=kind)
        arrays[name] = flat.reshape(shape).copy()
    return arrays
