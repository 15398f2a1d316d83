"""The rows of a study: what was asked, what was evaluated, and how they become a `Trial`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symact.records import Direction, Outcome, Status, Trial
from symact.store import outcomes

ASKED_COLUMNS = "number, batch, origin, budget, repeats, known, promoted, function, candidate"
OUTCOME_COLUMNS = "number, repeat, seed, status, score, reason, metrics, constants, seconds"


@dataclass(frozen=True)
class Asked:
    """A candidate that was asked for, as recorded before its evaluation.

    Attributes:
        number: position in the study, from 0, in ask order.
        batch: the batch it belongs to; baselines are batch -1.
        origin: `"baseline"`, or the name of the optimizer that asked for it.
        budget: fraction of a full training.
        repeats: trainings that it is to have.
        known: number of the earlier trial whose outcome it is told with, or None: to be evaluated.
        promoted: number of the trial on a lower rung that it goes on from, or None.
        function: which function it is, the same text for equal functions.
        candidate: its JSON document, see `symact.expr.tree.to_document`.
    """

    number: int
    batch: int
    origin: str
    budget: float
    repeats: int
    known: int | None
    promoted: int | None
    function: str
    candidate: Mapping[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """One training of one candidate: trial number, repeat, training seed, outcome, wall time in seconds."""

    number: int
    repeat: int
    seed: int
    outcome: Outcome
    seconds: float


def problem(asked: Sequence[Asked]) -> str:
    """What is wrong with rows that were read from disk, `""` if nothing is."""
    for position, row in enumerate(asked):
        whole = (row.number, row.batch, row.repeats)
        earlier = [n for n in (row.known, row.promoted) if n is not None]
        texts = row.candidate.get("expressions") if isinstance(row.candidate, Mapping) else None
        if not all(type(n) is int for n in (*whole, *earlier)) or row.number != position:
            return f"row {position} is missing or not as written"
        if not all(0 <= n < position for n in earlier) or not 1 <= row.repeats <= 1000:
            return f"row {position} refers to a row that is not before it"
        if row.known is not None and asked[row.known].known is not None:
            return f"row {position} refers to a row without outcomes"
        if not isinstance(row.budget, float) or not 0 < row.budget <= 1:
            return f"row {position} has the budget {row.budget!r}"
        if not isinstance(row.origin, str) or not isinstance(row.function, str):
            return f"row {position} has no origin or function"
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            return f"row {position} has no expressions"
    return ""


def is_complete(asked: Asked, results: Sequence[Outcome]) -> bool:
    """Whether a candidate needs no further training: all repeats are there, or one failed."""
    return len(results) >= asked.repeats or any(o.status is not Status.finished for o in results)


def as_trial(
    asked: Asked, candidate: Any, results: Sequence[Outcome], seconds: float, direction: Direction = Direction.maximize
) -> Trial:
    """The `Trial` of an asked row and its outcomes."""
    return Trial(
        candidate,
        tuple(results),
        asked.origin,
        asked.number,
        asked.batch,
        asked.budget,
        asked.known is not None,
        seconds,
        direction,
    )


def asked_row(a: Asked) -> tuple[Any, ...]:
    """The values of `ASKED_COLUMNS`."""
    candidate = outcomes.dump(dict(a.candidate))
    return a.number, a.batch, a.origin, float(a.budget), a.repeats, a.known, a.promoted, a.function, candidate


def as_kept(e: Evaluation) -> Evaluation:
    """The evaluation as it will be read back; what cannot be kept of it is a failure with that reason."""
    seconds = float(e.seconds) if math.isfinite(e.seconds) else 0.0
    return Evaluation(e.number, e.repeat, e.seed, outcomes.storable(e.outcome), seconds)


def evaluation_row(e: Evaluation) -> tuple[Any, ...]:
    """The values of `OUTCOME_COLUMNS`, of an evaluation that may be kept."""
    document = outcomes.to_document(e.outcome)
    metrics, constants = outcomes.dump(document["metrics"]), outcomes.dump(document["constants"])
    score, reason = document["score"], document["reason"]
    return e.number, e.repeat, e.seed, document["status"], score, reason, metrics, constants, float(e.seconds)
