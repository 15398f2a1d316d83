"""ROOM 6: where candidates are evaluated: this process, worker processes, or a Ray cluster.

An executor takes jobs as text and gives back one result per job, in the order of finishing. Whatever
happens to a candidate (it hangs, dies, fills the memory) is an outcome. Executors know nothing of the
store: the study records what they report.
"""

from __future__ import annotations

from typing import Protocol

from symact.execute.job import Job, Result, WorkerSettings

EXECUTORS = ("local", "ray")


class Executor(Protocol):
    """What a study needs of a place where candidates are evaluated.

    Attributes:
        capacity: jobs that it works on at a time.
    """

    capacity: int

    def submit(self, job: Job) -> None:
        """Take a job in, without waiting."""

    def next(self, seconds: float | None = None) -> Result | None:
        """The next finished job, waited for at most `seconds`; None when there is none."""

    def close(self) -> None:
        """End everything that was started; unfinished jobs are dropped."""


__all__ = ["EXECUTORS", "Executor", "Job", "Result", "WorkerSettings"]
