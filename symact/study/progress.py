"""What a running study tells whoever watches it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from symact.records import Trial
from symact.store.ledger import Ledger
from symact.store.running import Running
from symact.study.running import Trainings

LARGE = 200  # functions whose description is told
PER_SECOND = 5  # reports of trainings that are told further


@dataclass(frozen=True)
class Progress:
    """One report of a running study.

    Attributes:
        phase: `search`, `confirmation`, or `describing functions`, whose number and total then stand below.
        evaluations: distinct functions evaluated so far; in the confirmation, trainings.
        total: how many there will be.
        best: the best trial at full measure so far, or None.
        counts: status -> trials.
        trial: the one that has just finished, or None.
        seconds: since this run began.
        per_minute: steps per minute in this run and phase, or None before anything has finished.
        remaining: seconds left at the present pace, with those of the confirmation, whose size is estimated until it
            begins; None before anything has finished.
        running: number of a trial in training -> how it stands, a `Running` with `step`, `score`, `end` and `curve`; of
            those whose task has reported.
    """

    phase: str
    evaluations: int
    total: int
    best: Trial | None
    counts: Mapping[str, int]
    trial: Trial | None
    seconds: float
    per_minute: float | None
    remaining: float | None
    running: Mapping[int, Running] = field(default_factory=dict)


Listener: TypeAlias = Callable[[Progress], object]


class Watch:
    """Makes the reports: the clock, how far each phase is, and what is in training.

    Args:
        ledger: of the study.
        total: functions to be evaluated.
        tell: who is told.
        trainings: what is in training.
        after: what comes after the search, in functions whose trainings would take as long.
    """

    def __init__(
        self,
        ledger: Ledger,
        total: int,
        tell: Listener | None,
        trainings: Trainings | None = None,
        after: float = 0.0,
    ):
        self._after = after
        self._ledger, self._tell, self._trainings = ledger, tell, trainings
        self._started = time.monotonic()
        self._phase, self._total, self._done = "search", total, 0
        self._phase_started, self._before = self._started, ledger.counted
        self._heard_last = 0.0

    def begin(self, phase: str, total: int) -> None:
        """A new phase of `total` steps."""
        self._phase, self._total, self._done, self._before, self._after = phase, total, 0, 0, 0.0
        self._phase_started = time.monotonic()

    def report(self, trial: Trial | None = None) -> None:
        """Tell how things stand; `trial` has just finished."""
        if self._tell is None:
            return
        done = self._ledger.counted if self._phase == "search" else self._done
        now = time.monotonic()
        new, passed = done - self._before, max(now - self._phase_started, 1e-9)
        remaining = passed / new * (max(0, self._total - done) + self._after) if new > 0 else None
        pace = 60 * new / passed if new > 0 else None
        counts, best = dict(self._ledger.counts), self._ledger.champion
        since = now - self._started
        running = {} if self._trainings is None else self._trainings.reporting
        self._tell(Progress(self._phase, done, self._total, best, counts, trial, since, pace, remaining, running))

    def describing(self, done: int, total: int) -> None:
        """So many of a large number of functions are described, before one of them is chosen."""
        if self._tell is not None and total > LARGE:
            since, counts, best = time.monotonic() - self._started, dict(self._ledger.counts), self._ledger.champion
            self._tell(Progress("describing functions", done, total, best, counts, None, since, None, None))

    def heard(self) -> Callable[[], object] | None:
        """A training has reported; gives what tells it further, at most `PER_SECOND` times a second."""
        if self._tell is None or time.monotonic() - self._heard_last <= 1 / PER_SECOND:
            return None
        self._heard_last = time.monotonic()
        return self.report

    def step(self) -> None:
        """One step of a phase that is not the search."""
        self._done += 1
        self.report()
