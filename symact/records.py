"""The frozen types that rooms hand to each other: `Status`, `Outcome`, `Trial`.

A task returns an `Outcome`, one per training. A `Trial` is one candidate together with its
outcomes, one per paired training seed; it is what the store keeps and what an optimizer is told.
Failure is a value here: a trial that did not work has a `Status` that says how, no score, and
never wins a comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

LARGEST = 1e100  # of a score in either direction, so that sums and squares of scores are finite


class Status(StrEnum):
    """How an evaluation ended."""

    finished = "finished"
    diverged = "diverged"
    nonfinite = "nonfinite"
    timed_out = "timed_out"
    crashed = "crashed"
    out_of_memory = "out_of_memory"
    rejected = "rejected"


@dataclass(frozen=True)
class Outcome:
    """What one training of one candidate gave.

    Attributes:
        status: how it ended.
        score: higher is better, finite; None unless `status` is finished.
        reason: one line for a person, why it failed; `""` when finished.
        metrics: anything else the task measured, of JSON types (numbers, text, lists, dicts).
        constants: one mapping per activation site, parameter name -> learned value
            (a float, or a list of floats per channel).
    """

    status: Status
    score: float | None = None
    reason: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    constants: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def finished(cls, score: float, *, constants: tuple[Mapping[str, Any], ...] = (), **metrics: Any) -> Outcome:
        """A finished training. A score that is not finite, or beyond `LARGEST`, becomes `Status.nonfinite`."""
        score = float(score)
        if not abs(score) <= LARGEST:
            return cls(Status.nonfinite, None, f"the task returned the score {score}", metrics, tuple(constants))
        return cls(Status.finished, score, "", metrics, tuple(constants))

    @classmethod
    def failed(cls, status: Status | str, reason: str, **metrics: Any) -> Outcome:
        """A training that did not finish.

        Raises:
            ValueError: `status` is `finished` or unknown.
        """
        status = Status(status)
        if status is Status.finished:
            raise ValueError("a failed outcome cannot have the status 'finished'")
        return cls(status, None, str(reason), metrics)


@dataclass(frozen=True)
class Trial:
    """One candidate and what became of it.

    Attributes:
        candidate: an `Expr`, or a tuple of `Expr`, one per activation site.
        outcomes: one per paired training seed, in order of repeat; a failed repeat ends the list.
        origin: `"baseline"`, or the name of the optimizer that asked for it.
        number: position in the study, from 0, in ask order.
        batch: the batch it was asked in; baselines are batch -1.
        budget: fraction of a full training, in (0, 1].
        cached: it was known before (same function, task, seed, budget) and was not trained again.
        seconds: wall time of its evaluation.
    """

    candidate: Any
    outcomes: tuple[Outcome, ...]
    origin: str = ""
    number: int = -1
    batch: int = -1
    budget: float = 1.0
    cached: bool = False
    seconds: float = 0.0

    @property
    def status(self) -> Status:
        """The first failure among the outcomes, else finished."""
        for outcome in self.outcomes:
            if outcome.status is not Status.finished:
                return outcome.status
        return Status.finished if self.outcomes else Status.rejected

    @property
    def scores(self) -> tuple[float, ...]:
        """The scores of the finished repeats, in order."""
        return tuple(o.score for o in self.outcomes if o.score is not None)

    @property
    def score(self) -> float | None:
        """Mean score over the repeats; None unless every repeat finished."""
        if self.status is not Status.finished:
            return None
        return sum(self.scores) / len(self.scores)

    @property
    def reason(self) -> str:
        """Why it failed, or `""`."""
        return next((o.reason for o in self.outcomes if o.status is not Status.finished), "")
