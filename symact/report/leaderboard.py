"""Trials -> the leaderboard: who won, and is it better than ReLU or was it luck.

In: the trials of a study and their confirmations (the best few and ReLU, trained again on common
fresh seeds). Out: frozen rows, best first, then what failed. A difference to ReLU is the mean of
the paired differences per seed with its 95 % t interval; fresh seeds are used where there are any,
since the seeds that a search saw flatter its winner.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.special import stdtrit

from symact.expr.tree import Expr, candidate_text
from symact.records import Status, Trial

MINIMUM_PAIRS = 3
CONFIDENCE = 0.95
RELU = "relu(x)"


@dataclass(frozen=True)
class Difference:
    """A paired difference of scores.

    Attributes:
        difference: mean of the differences, in units of the score.
        low: lower end of the 95 % interval.
        high: upper end.
        pairs: number of pairs.
    """

    difference: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard.

    Attributes:
        trial: the trial as searched.
        confirmation: the same candidate on fresh seeds, or None.
        versus_relu: paired difference to ReLU, or None for fewer than three pairs.
    """

    trial: Trial
    confirmation: Trial | None
    versus_relu: Difference | None

    @property
    def expression(self) -> str:
        """The candidate as text."""
        return candidate_text(self.trial.candidate)

    def document(self) -> dict[str, Any]:
        """The row as JSON types."""
        versus = self.versus_relu
        confirmed = self.confirmation
        return {
            "expression": self.expression,
            "status": self.trial.status.value,
            "score": self.trial.score,
            "scores": list(self.trial.scores),
            "origin": self.trial.origin,
            "budget": self.trial.budget,
            "number": self.trial.number,
            "reason": self.trial.reason,
            "confirmed": None if confirmed is None else {"score": confirmed.score, "scores": list(confirmed.scores)},
            "versus_relu": None
            if versus is None
            else {"difference": versus.difference, "low": versus.low, "high": versus.high, "pairs": versus.pairs},
        }


def paired_difference(scores: Sequence[float], reference: Sequence[float]) -> Difference | None:
    """Mean of `scores[i] - reference[i]` with its 95 % t interval; None for fewer than three pairs."""
    pairs = [a - b for a, b in zip(scores, reference, strict=False)]
    if len(pairs) < MINIMUM_PAIRS:
        return None
    mean = math.fsum(pairs) / len(pairs)
    variance = math.fsum((p - mean) ** 2 for p in pairs) / (len(pairs) - 1)
    quantile = float(stdtrit(len(pairs) - 1, (1 + CONFIDENCE) / 2))
    half = quantile * math.sqrt(variance / len(pairs))
    return Difference(mean, mean - half, mean + half, len(pairs))


def is_relu(trial: Trial) -> bool:
    """Whether a trial is the ReLU baseline."""
    candidate = trial.candidate
    return isinstance(candidate, Expr) and trial.origin == "baseline" and str(candidate) in (RELU, "max(x,0)")


def leaderboard(trials: Iterable[Trial], confirmations: Iterable[Trial] = ()) -> list[Row]:
    """Rows, best first, then what failed in the order it was tried.

    Only what was measured in full, at full budget on all paired seeds, is ranked; a trial that stopped at a
    smaller budget or on fewer seeds stands below, in the order of its measure, for one lucky seed is no
    contest with the mean of several. Repeated and cached trials of a candidate are one row.
    """
    confirmed = {trial.candidate: trial for trial in confirmations}
    best: dict[Any, Trial] = {}
    for trial in trials:
        known = best.get(trial.candidate)
        if known is None or _measure(trial) > _measure(known):
            best[trial.candidate] = trial
    relu = next((trial for trial in best.values() if is_relu(trial)), None)
    rows = [_row(trial, confirmed, relu) for trial in best.values()]
    return sorted(rows, key=_order)


def winner(rows: Iterable[Row]) -> Row | None:
    """The function to take home: best on fresh seeds where there are any, else best in the search."""
    finished = [row for row in rows if row.trial.status is Status.finished]
    fresh = [
        (c.score, -place, row) for place, row in enumerate(finished) if (c := row.confirmation) and c.score is not None
    ]
    if fresh:
        return max(fresh, key=lambda item: item[:2])[2]
    return finished[0] if finished else None


def _measure(trial: Trial) -> tuple[float, int, bool]:
    """How much a trial was given: of several of one candidate the one with most counts."""
    return trial.budget, len(trial.outcomes), not trial.cached


def _order(row: Row) -> tuple[bool, float, int, float, int]:
    trial = row.trial
    if trial.status is not Status.finished or trial.score is None:
        return True, 0.0, 0, 0.0, trial.number
    return False, -trial.budget, -len(trial.scores), -trial.score, trial.number


def _row(trial: Trial, confirmed: dict[Any, Trial], relu: Trial | None) -> Row:
    confirmation = confirmed.get(trial.candidate)
    if relu is None or trial is relu or trial.status is not Status.finished:
        return Row(trial, confirmation, None)
    reference = confirmed.get(relu.candidate)
    if confirmation is not None and reference is not None:
        versus = _paired(confirmation, reference)
    else:
        versus = _paired(trial, relu) if trial.budget == relu.budget else None
    return Row(trial, confirmation, versus)


def _paired(trial: Trial, relu: Trial) -> Difference | None:
    if trial.status is not Status.finished or relu.status is not Status.finished:
        return None
    return paired_difference(trial.scores, relu.scores)
