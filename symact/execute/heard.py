"""What an executor tells of trainings that are under way, and to whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from symact.execute.job import Job
from symact.execute.reporting import Report


class Hearer(Protocol):
    """Whoever listens; made by symact. What `heard` gives, if anything, calls code of the user's."""

    def begun(self, job: Job) -> None:
        """Somebody has begun with a job, perhaps again, because the worker that had it was lost."""

    def heard(self, job: Job, reports: Sequence[Report]) -> Callable[[], object] | None:
        """The training of a job has reported, once or several times."""


class Nobody:
    """Listens where nobody does."""

    def begun(self, job: Job) -> None:
        """Nothing."""

    def heard(self, job: Job, reports: Sequence[Report]) -> Callable[[], object] | None:
        """Nothing."""
        return None
