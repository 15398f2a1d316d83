"""Where candidates are evaluated, and the executor for that place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from symact.errors import InputError
from symact.execute.job import Job, Result, WorkerSettings

EXECUTORS = ("local", "ray")


@dataclass(frozen=True)
class ExecutorSettings:
    """Where candidates are evaluated; it changes no result.

    Attributes:
        executor: `local` or `ray`.
        workers: worker processes (`local`; 0: this process), or trials at a time (`ray`; 0: all that fit).
        ray_address: of a running cluster; None starts one on this machine.
        cpus: CPUs per trial (`ray`).
        gpus: GPUs per trial, may be a fraction (`ray`).
    """

    executor: str = "local"
    workers: int = 0
    ray_address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise InputError(f"unknown executor {self.executor!r}; known are {', '.join(EXECUTORS)}")
        if self.workers < 0 or self.cpus < 0 or self.gpus < 0:
            raise InputError("workers, cpus and gpus cannot be negative")

    @property
    def is_here(self) -> bool:
        """Whether candidates are evaluated in this very process."""
        return self.executor == "local" and self.workers == 0


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


def start(where: ExecutorSettings, settings: WorkerSettings, task: Any, grammar: Any) -> Executor:
    """The executor for these settings.

    Args:
        where: this process, worker processes, or a cluster.
        settings: what workers must know, as plain data.
        task: the task itself, for evaluation in this process.
        grammar: likewise.

    Raises:
        InputError: Ray is not installed or cannot be reached.
    """
    if where.executor == "ray":
        from symact.execute.ray import RayWorkers

        return RayWorkers(settings, where.workers, where.ray_address, where.cpus, where.gpus)
    from symact.execute.local import InProcess, WorkerProcesses

    return InProcess(task, grammar) if where.is_here else WorkerProcesses(settings, where.workers)
