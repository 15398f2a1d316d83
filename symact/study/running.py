"""What is in training now: the one place that knows, for listeners in this process and for readers of the run folder.

Readers find it in a file there (`symact.store.running`), which is written about once a second at most, so that quick
trainings do not pay for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from symact.execute.job import Job
from symact.execute.reporting import MOST_REPORTS, Report
from symact.store.running import Running, write_running

PER_SECOND = 1.0  # times that the file is written, on average
AT_ONCE = 3  # times that it may be written in a row after a pause: the end of a long training, the start of the next


class Trainings:
    """The trainings that have begun and not ended.

    Args:
        run: the run folder; None where nobody else can read.
        described: what is known of a job when it begins.
    """

    def __init__(self, run: Path | None, described: Callable[[Job], Running]):
        self._run = None if run is None else run.absolute()  # a task may change the folder it is in
        self._described, self._pid = described, os.getpid()
        self._known: dict[tuple[str, int, int], Running] = {}
        self._changed, self._credit, self._filled = False, float(AT_ONCE), time.monotonic()

    def begun(self, job: Job) -> None:
        """A training has begun, or begins anew."""
        now = time.time()
        self._known[job.key] = replace(self._described(job), began=now, heard=now)
        self._changed = True
        self.flush()

    def heard(self, job: Job, reports: Sequence[Report]) -> Running | None:
        """A training has reported; gives how it stands, unless it is none of those.

        Steps go up within a training: where they do not, its worker was replaced, and it is trained anew.
        """
        known = self._known.get(job.key)
        if known is None or os.getpid() != self._pid:
            return None
        curve, end = list(known.curve), known.end
        for step, score, of in reports:
            if curve and step <= curve[-1][0]:
                curve, end = [], None
            curve.append((step, score))
            end = end if of is None else of
        self._known[job.key] = known = replace(known, curve=tuple(curve[:MOST_REPORTS]), end=end, heard=time.time())
        self._changed = True
        self.flush()
        return known

    def ended(self, job: Job) -> None:
        """A training has ended; what begins next is written with it."""
        self._changed = self._known.pop(job.key, None) is not None or self._changed

    def clear(self) -> None:
        """Nothing is in training any more; the file goes with the right to write."""
        self._known.clear()
        self._changed = False

    def flush(self) -> None:
        """Write the file if it is stale and was not written just now."""
        if not self._changed or self._run is None:
            return
        now = time.monotonic()
        self._credit = min(AT_ONCE, self._credit + (now - self._filled) * PER_SECOND)
        self._filled = now
        if self._credit >= 1:
            self._credit -= 1
            self._changed = False
            write_running(self._run, list(self._known.values()))

    @property
    def reporting(self) -> Mapping[int, Running]:
        """Number of a trial -> its training, of those that have reported."""
        return {training.number: training for training in self._known.values() if training.curve}
