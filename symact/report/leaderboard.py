"""Trials -> the leaderboard: who won, and is it better than ReLU or was it luck.

In: the trials of a study and their confirmations (the best few and ReLU, trained again on common
fresh seeds). Out: frozen rows, best first, then what failed. A difference to ReLU is the mean of
the paired differences per seed with its 95 % t interval; fresh seeds are used where there are any,
since the seeds that a search saw flatter its winner. All differences on the same seeds are tested together: what is
called better has a p value below 0.05 after Holm's correction for their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import stdev
from typing import Any

from scipy.special import stdtrit

from symact.expr.tree import Expr, candidate_text, is_mixture
from symact.records import Direction, Status, Trial
from symact.report.naming import known_name, shown
from symact.report.paired import SIGNIFICANCE, holm, paired, paired_p

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
        better: it is an improvement, and its p value, Holm-corrected for `tests`, is below 0.05.
        p: of the paired t test, Holm-corrected for `tests`.
        tests: how many were made on the same seeds.
        worse: as `better`, of the other sign; what is neither may be chance.
    """

    difference: float
    low: float
    high: float
    pairs: int
    better: bool = False
    p: float = 1.0
    tests: int = 1
    worse: bool = False


@dataclass(frozen=True)
class TestScore:
    """Scores of a finalist on test data, one per fresh seed."""

    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return sum(self.scores) / len(self.scores)

    @property
    def sd(self) -> float | None:
        """Standard deviation over the seeds (n - 1); None for one."""
        return stdev(self.scores) if len(self.scores) > 1 else None

    def document(self) -> dict[str, Any]:
        """As JSON types."""
        return {"score": self.mean, "sd": self.sd, "n": len(self.scores), "scores": list(self.scores)}


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard.

    Attributes:
        trial: the trial as searched.
        confirmation: the same candidate on fresh seeds, or None.
        versus_relu: paired difference to ReLU, or None for fewer than three pairs.
        versus_best_baseline: likewise to the best baseline.
    """

    trial: Trial
    confirmation: Trial | None
    versus_relu: Difference | None = None
    versus_best_baseline: Difference | None = None

    @property
    def expression(self) -> str:
        """The candidate as text."""
        return candidate_text(self.trial.candidate)

    @property
    def shown(self) -> str:
        """The candidate without words that do nothing."""
        return shown(self.trial.candidate)

    @property
    def name(self) -> str | None:
        """The name under which the function was published, or None."""
        return known_name(self.trial.candidate) if isinstance(self.trial.candidate, Expr) else None

    @property
    def fresh_score(self) -> float | None:
        """The mean on the fresh seeds, or None."""
        return None if self.confirmation is None else self.confirmation.score

    @property
    def tested(self) -> TestScore | None:
        """What the confirmation found on the test data, or None; nothing is ranked by it."""
        scores = () if self.confirmation is None else self.confirmation.test_scores
        return TestScore(scores) if scores else None

    def document(self) -> dict[str, Any]:
        """The row as JSON types."""
        confirmed = self.confirmation
        return {
            "expression": self.expression,
            "shown": self.shown,
            "sites": None if isinstance(self.trial.candidate, Expr) else [str(e) for e in self.trial.candidate],
            "name": self.name,
            "status": self.trial.status.value,
            "score": self.trial.score,
            "scores": list(self.trial.scores),
            "origin": self.trial.origin,
            "budget": self.trial.budget,
            "number": self.trial.number,
            "reason": self.trial.reason,
            "confirmed": None if confirmed is None else {"score": confirmed.score, "scores": list(confirmed.scores)},
            "test": self.tested and self.tested.document(),
            "versus_relu": self.versus_relu and asdict(self.versus_relu),
            "versus_best_baseline": self.versus_best_baseline and asdict(self.versus_best_baseline),
        }

    def flat(self) -> dict[str, Any]:
        """The row as one line of a table: numbers and texts alone."""
        found = self.document()
        confirmed = found.pop("confirmed") or {"score": None, "scores": []}
        del found["sites"]  # the expression has them
        found["scores"] = " ".join(map(repr, found["scores"]))
        found |= {"confirmed_score": confirmed["score"], "confirmed_scores": " ".join(map(repr, confirmed["scores"]))}
        test = found.pop("test") or {}
        found |= {f"test_{part}": test.get(part) for part in ("score", "sd", "n")}
        for name in ("versus_relu", "versus_best_baseline"):
            versus = found.pop(name) or {}
            found |= {f"{name}_{part}": versus.get(part) for part in ("difference", "low", "high")}
        return found


def paired_difference(
    scores: Sequence[float], reference: Sequence[float], direction: Direction = Direction.maximize
) -> Difference | None:
    """Mean of `scores[i] - reference[i]` with its 95 % t interval; None for fewer than three pairs."""
    if min(len(scores), len(reference)) < MINIMUM_PAIRS:
        return None
    mean, error, count = paired(scores, reference)
    half = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * error
    low, high = mean - half, mean + half
    p, merit = paired_p(scores, reference), direction.merit(mean)
    clear = p < SIGNIFICANCE
    return Difference(mean, low, high, count, clear and merit > 0, p, worse=clear and merit < 0)


def is_relu(trial: Trial) -> bool:
    """Whether a trial is the ReLU baseline."""
    candidate = trial.candidate
    return isinstance(candidate, Expr) and trial.origin == "baseline" and str(candidate) in (RELU, "max(x,0)")


def leaderboard(trials: Iterable[Trial], confirmations: Iterable[Trial] = ()) -> list[Row]:
    """Rows, best first, then what failed in the order it was tried.

    Whoever was trained on the fresh seeds ranks first, by that mean: the seeds that a search saw flatter its winner.
    Of the others, only what was measured in full, at full budget on all paired seeds, is ranked; a trial that stopped
    at a smaller budget or on fewer seeds stands below, in the order of its measure, for one lucky seed is no contest
    with the mean of several. Repeated and cached trials of a candidate are one row.
    """
    confirmed = {trial.candidate: trial for trial in confirmations}
    best: dict[Any, Trial] = {}
    for trial in trials:
        known = best.get(trial.candidate)
        if known is None or _measure(trial) > _measure(known):
            best[trial.candidate] = trial
    rows = sorted((Row(trial, confirmed.get(trial.candidate)) for trial in best.values()), key=_order)
    relu = next((row for row in rows if is_relu(row.trial)), None)
    baseline = next((row for row in rows if row.trial.origin == "baseline"), None)
    rows = [replace(row, versus_relu=_versus(row, relu), versus_best_baseline=_versus(row, baseline)) for row in rows]
    return _tested_together(_tested_together(rows, relu is baseline, True), relu is baseline, False)


def _tested_together(rows: list[Row], one_reference: bool, fresh: bool) -> list[Row]:
    """The rows with the p values of those that were, or were not, trained on fresh seeds corrected for their number."""
    names = ("versus_relu",) if one_reference else ("versus_relu", "versus_best_baseline")
    made = [
        (place, name, difference)
        for place, row in enumerate(rows)
        for name in names
        if (row.confirmation is not None) == fresh and (difference := getattr(row, name)) is not None
    ]
    corrected = list(rows)
    for (place, name, found), p in zip(made, holm([found.p for _, _, found in made]), strict=True):
        clear = p < SIGNIFICANCE
        told = replace(found, p=p, tests=len(made), better=found.better and clear, worse=found.worse and clear)
        both = {"versus_relu": told, "versus_best_baseline": told} if one_reference else {name: told}
        corrected[place] = replace(corrected[place], **both)
    return corrected


def winner(rows: Sequence[Row]) -> Row | None:
    """The function to take home: the first of a leaderboard that finished, for all that tell of a study."""
    return rows[0] if rows and rows[0].trial.status is Status.finished else None


def _measure(trial: Trial) -> tuple[float, int, bool]:
    """How much a trial was given: of several of one candidate the one with most counts."""
    return trial.budget, len(trial.outcomes), not trial.cached


def _order(row: Row) -> tuple[float, ...]:
    trial, fresh = row.trial, row.confirmation
    if trial.merit is None:
        return 2, trial.number
    if fresh is not None and fresh.merit is not None:
        return 0, -len(fresh.scores), -fresh.merit, -trial.merit, trial.number
    return 1, -trial.budget, -len(trial.scores), -trial.merit, trial.number


def _versus(row: Row, reference: Row | None) -> Difference | None:
    """The difference of two rows, on the fresh seeds where both have them."""
    if reference is None or row is reference or row.trial.status is not Status.finished:
        return None
    if row.confirmation is not None and reference.confirmation is not None:
        return _paired(row.confirmation, reference.confirmation)
    return _paired(row.trial, reference.trial) if row.trial.budget == reference.trial.budget else None


def _paired(trial: Trial, reference: Trial) -> Difference | None:
    """The difference of two trials of the same epochs; None where one of them had more."""
    if trial.status is not Status.finished or reference.status is not Status.finished:
        return None
    if is_mixture(trial.candidate) != is_mixture(reference.candidate):
        epochs, others = ([o.metrics.get("epochs") for o in t.outcomes] for t in (trial, reference))
        if None in epochs or epochs[: len(others)] != others[: len(epochs)]:
            return None
    return paired_difference(trial.scores, reference.scores, trial.direction)
