"""The frozen types that rooms hand to each other: `Status`, `Metric`, `Outcome`, `Trial`.

A task returns an `Outcome`, one per training. A `Trial` is one candidate together with its
outcomes, one per paired training seed; it is what the store keeps and what an optimizer is told.
Failure is a value here: a trial that did not work has a `Status` that says how, no score, and
never wins a comparison.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    pruned = "pruned"


class Direction(StrEnum):
    """Which scores are the better ones."""

    maximize = "maximize"
    minimize = "minimize"

    def merit(self, score: float) -> float:
        """The score with the sign with which higher is better: the one place that turns a loss round."""
        return -score if self is Direction.minimize else score


@dataclass(frozen=True)
class Metric:
    """What the scores of a task are, as its author declares it.

    Attributes:
        name: such as `PSNR (dB)`.
        direction: whether a higher or a lower score is better.
        unit: such as `dB`; `""` if there is none, or the name has it.
        number_format: how a score is written, such as `.2f` or `.1%`; `""` for four decimals.

    Raises:
        ValueError: an attribute is not as described.
    """

    name: str = "score"
    direction: Direction = Direction.maximize
    unit: str = ""
    number_format: str = ""

    def __post_init__(self) -> None:
        for what, text, longest in (("metric", self.name, 60), ("unit", self.unit, 20)):
            if not isinstance(text, str) or len(text) > longest or not text.isprintable():
                raise ValueError(f"{what}: a text of at most {longest} printable characters, not {text!r}")
        if not self.name.strip():
            raise ValueError("metric: a name such as 'PSNR (dB)', not an empty text")
        if not isinstance(self.number_format, str) or not re.fullmatch(r"(,?\.\d\d?[efg%])?", self.number_format):
            raise ValueError(f"number_format: '.3f', '.2e', '.4g', '.1%' or the like, not {self.number_format!r}")

    @property
    def heading(self) -> str:
        """Name and unit, for the head of a column."""
        return f"{self.name} ({self.unit})" if self.unit and self.unit not in self.name else self.name

    def merit(self, score: float) -> float:
        """The score with the sign with which higher is better."""
        return self.direction.merit(score)

    def text(self, value: float | None, signed: bool = False) -> str:
        """A score or a difference in a few characters, `""` for None."""
        if value is None:
            return ""
        sign = "+" if signed and value >= 0 else ""
        if self.number_format:
            return sign + format(value, self.number_format)
        size = abs(value)
        if 0 < size < 5e-5:
            return f"{sign}{value:.1e}"
        return sign + (f"{value:.4f}" if size < 100 else f"{value:.6g}" if size < 1e5 else f"{value:.3g}")


@dataclass(frozen=True)
class Outcome:
    """What one training of one candidate gave.

    Attributes:
        status: how it ended.
        score: what the task measured, finite; higher is better unless the task declares otherwise (see `Metric`).
            None unless `status` is finished.
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
        """A finished training.

        A score that is not finite, or beyond `LARGEST`, becomes `Status.nonfinite`; one that is no number becomes
        `Status.crashed`. Either says what the task returned.
        """
        score = _detached(score)
        reason = not_a_score(score)
        if reason:
            return cls(Status.crashed, None, reason, metrics, tuple(constants))
        value = float(score)
        if not abs(value) <= LARGEST:
            return cls(Status.nonfinite, None, f"the task returned the score {value}", metrics, tuple(constants))
        return cls(Status.finished, value, "", metrics, tuple(constants))

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


def _detached(value: Any) -> Any:
    """A tensor without its gradient, which warns when it is made a number; anything else as it is."""
    return value.detach() if callable(getattr(value, "detach", None)) else value


def not_a_score(value: object) -> str:
    """Why what a task returned is no score, `""` if it is one: a number, or an array or tensor of one number."""
    value = _detached(value)
    kind, shape = type(value).__name__, getattr(value, "shape", None)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            float(value)
        except OverflowError:
            return "the task returned a whole number beyond float64 as its score"
        return ""
    what = f"{kind} of shape {tuple(shape)}" if shape is not None and len(shape) else f"{kind} {_short(value)}"
    if value is None or isinstance(value, bool | str | bytes | complex) or not hasattr(type(value), "__float__"):
        return f"the task returned {'None' if value is None else what} as its score, which must be one number"
    try:
        float(value)  # type: ignore[arg-type]
    except Exception as error:
        message = " ".join(str(error).split())[:200]
        return f"the task returned {what} as its score, which must be one number ({type(error).__name__}: {message})"
    return ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


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
        direction: of its scores.
    """

    candidate: Any
    outcomes: tuple[Outcome, ...]
    origin: str = ""
    number: int = -1
    batch: int = -1
    budget: float = 1.0
    cached: bool = False
    seconds: float = 0.0
    direction: Direction = Direction.maximize

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
    def test_scores(self) -> tuple[float, ...]:
        """The scores on test data that no search sees, of the repeats that have one: the metric `test_score`."""
        found = [outcome.metrics.get("test_score") for outcome in self.outcomes if outcome.score is not None]
        numbers = [float(s) for s in found if isinstance(s, int | float) and not isinstance(s, bool)]
        return tuple(score for score in numbers if abs(score) <= LARGEST)

    @property
    def score(self) -> float | None:
        """Mean score over the repeats; None unless every repeat finished."""
        if self.status is not Status.finished:
            return None
        return sum(self.scores) / len(self.scores)

    @property
    def merit(self) -> float | None:
        """The score with the sign with which higher is better, for all that ranks; None where there is no score."""
        return None if self.score is None else self.direction.merit(self.score)

    def maximized(self) -> Trial:
        """The trial as an optimizer is told it: higher scores are better, always."""
        if self.direction is Direction.maximize:
            return self
        turned = [o if o.score is None else replace(o, score=self.direction.merit(o.score)) for o in self.outcomes]
        return replace(self, outcomes=tuple(turned), direction=Direction.maximize)

    @property
    def reason(self) -> str:
        """Why it failed, or `""`."""
        return next((o.reason for o in self.outcomes if o.status is not Status.finished), "")
