"""What an executor does with the reports of a training: it hands them to whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from symact.execute.job import Job

# Called with a job, a step and a score, and made by symact. What it gives, if anything, calls code of the user's.
Heard: TypeAlias = Callable[[Job, int, float], Callable[[], object] | None]


def unheard(job: Job, step: int, score: float) -> None:
    """What listens where nobody does."""
