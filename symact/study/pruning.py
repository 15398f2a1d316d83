"""Stopping hopeless trainings early, by what earlier trainings reported at the same step.

The rule is Optuna's percentile pruner, of which the median pruner is the case of 50: a training whose best score so
far is worse than that of the best `keep` percent of earlier finished trainings at the same step ends there. Here the
bars of a training are decided when it begins, from what was told until then. So they do not depend on how many
workers there are, which of them is faster, or on a kill in the middle, and a worker needs nobody to decide.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from symact.execute.reporting import REPORTED
from symact.records import Direction, Status, Trial

STARTUP = 5  # finished trainings that have reported at a step before any is stopped there


class Pruner:
    """What was reported until now, and the bars that follow.

    Args:
        keep: percent of the earlier trainings that a training must be among; None stops none.
        direction: of the scores.
    """

    def __init__(self, keep: float | None, direction: Direction):
        self._keep, self._direction = keep, direction
        # (budget, repeat) -> step -> merits: trainings of the same length and seed are compared.
        self._seen: dict[tuple[float, int], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))

    def learn(self, trials: Iterable[Trial]) -> None:
        """Take in what the finished trainings of told trials have reported."""
        if self._keep is None:
            return
        for trial in trials:
            if trial.cached:
                continue
            for repeat, outcome in enumerate(trial.outcomes):
                if outcome.status is Status.finished:
                    for step, score in _pairs(outcome.metrics.get(REPORTED)):
                        self._seen[trial.budget, repeat][step].append(self._direction.merit(score))

    def bars(self, budget: float, repeat: int) -> list[list[float]]:
        """Pairs of a step and the merit that a training must have reached there."""
        if self._keep is None:
            return []
        found = []
        for step, merits in sorted(self._seen[budget, repeat].items()):
            if len(merits) >= STARTUP:
                kept = max(1, math.ceil(len(merits) * self._keep / 100))
                found.append([step, sorted(merits, reverse=True)[kept - 1]])
        return found


def _pairs(curve: object) -> list[tuple[int, float]]:
    """The pairs of a stored curve; what is none is left out, since a task may keep what it likes under that name."""
    pairs = curve if isinstance(curve, list) else []
    whole = [p for p in pairs if isinstance(p, list) and len(p) == 2 and type(p[0]) is int and type(p[1]) is float]
    return [(step, score) for step, score in whole if math.isfinite(score)]
