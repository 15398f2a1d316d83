"""`report(step, score)`: what a task tells while it trains, and where a hopeless training ends.

A study decides before a training begins where the bar lies at each step (`symact.study.pruning`), so the training
itself knows when to stop, wherever it runs: in this process, in a worker, on a cluster.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from symact.records import Direction, not_a_score

REPORTED = "reported"  # the metric that keeps the curve: pairs of a step and a score, None where it was not finite
MOST_REPORTS = 1000  # of a training; later ones are neither kept nor judged
Report: TypeAlias = tuple[int, float, int | None]  # a step, the score after it, the step at which the training ends
Tell: TypeAlias = Callable[[int, float, int | None], object]


class Pruned(BaseException):
    """Ends a training that is worse than earlier ones were at the same step; the message says by how much."""


class Reporter:
    """What a task gets as `report`, to be called as `report(step, score, of=steps)` while it trains.

    Attributes:
        curve: what was reported, pairs of step and score.

    Args:
        bars: pairs of a step and the merit that the best score so far must reach there.
        direction: of the scores.
        tell: called with each report.
    """

    def __init__(self, bars: Sequence[Sequence[float]], direction: Direction, tell: Tell | None = None):
        self._bars = {int(step): float(merit) for step, merit in bars}
        self._direction, self._tell = direction, tell
        self._best = -math.inf
        self.curve: list[tuple[int, float | None]] = []

    def __call__(self, step: int, score: float, of: int | None = None) -> None:
        """Report the score after a step, such as an epoch.

        Args:
            step: a whole number, higher than the one before.
            score: as the task would return it if it ended now. One that is not finite reaches no bar.
            of: the step at which the training will end, for those who watch.

        Raises:
            ValueError: `step` or `of` is no such number, or `score` is no number.
            Pruned: the study stops this training here.
        """
        for name, value in (("step", step), ("last step", of)):
            if not (_is_step(value) or (value is None and name == "last step")):
                raise ValueError(f"report: the {name} is a whole number from 0, not {value!r:.60}")
        if self.curve and step <= self.curve[-1][0]:
            raise ValueError(f"report: step {step} comes after step {self.curve[-1][0]}; steps go up")
        if not_a_score(score):
            raise ValueError(not_a_score(score).replace("the task returned", "report: the task gave"))
        if len(self.curve) >= MOST_REPORTS:
            return
        step, score = int(step), float(score.detach() if hasattr(score, "detach") else score)
        self.curve.append((step, score if math.isfinite(score) else None))
        if self._tell is not None and math.isfinite(score):
            self._tell(step, score, None if of is None else int(of))
        if math.isfinite(score):
            self._best = max(self._best, self._direction.merit(score))
        bar = self._bars.get(step)
        if bar is not None and not self._best >= bar:
            best = f"{self._direction.merit(self._best):.5g}" if math.isfinite(self._best) else "no finite score"
            raise Pruned(f"stopped at step {step}: {best} so far, {self._direction.merit(bar):.5g} was needed")


def _is_step(value: object) -> bool:
    return not isinstance(value, bool) and hasattr(type(value), "__index__") and 0 <= int(value) < 2**53  # type: ignore[call-overload]
