"""Where candidates are evaluated, and the executor for that place."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any, Protocol

from symact.errors import InputError
from symact.execute.devices import assign, crowding, devices
from symact.execute.heard import Hearer
from symact.execute.job import Job, Result, WorkerSettings
from symact.tasks.declaration import processes_of

EXECUTORS = ("local", "ray")
LOG = logging.getLogger("symact")


@dataclass(frozen=True)
class ExecutorSettings:
    """Where candidates are evaluated; it changes no result.

    Attributes:
        executor: `local` or `ray`.
        workers: worker processes (`local`; 0: this process), or trials at a time (`ray`; 0: all that fit).
        ray_address: of a running cluster; None starts one on this machine.
        cpus: CPUs per trial (`ray`); None means one.
        gpus: CUDA devices per worker, may be a fraction, 0 hides all; None deals them out in turn (`local`), or
            gives each trial a device of its own as far as there are any (`ray`).
        fresh: a process of its own for every training; needs workers.
    """

    executor: str = "local"
    workers: int = 0
    ray_address: str | None = None
    cpus: float | None = None
    gpus: float | None = None
    fresh: bool = False

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise InputError(f"unknown executor {self.executor!r}; known are {', '.join(EXECUTORS)}")
        if self.workers < 0:
            raise InputError("workers cannot be negative")
        for name, value in (("cpus", self.cpus), ("gpus", self.gpus)):
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"{name}: a number that is not negative, not {value}")
        if self.gpus is not None and self.gpus > 1 and self.gpus != int(self.gpus):
            raise InputError(f"gpus: a fraction of one, or a whole number, not {self.gpus:g}")
        if self.executor == "local" and self.cpus is not None:
            raise InputError("cpus goes with --executor ray; a worker on this machine computes with one thread")
        if self.executor == "local" and self.ray_address is not None:
            raise InputError("ray_address goes with --executor ray")
        if self.is_here and (self.fresh or self.gpus is not None):
            what = "fresh_workers" if self.fresh else "gpus"
            raise InputError(f"{what} needs worker processes: use --workers 1 (workers=1) or more")

    @property
    def is_here(self) -> bool:
        """Whether candidates are evaluated in this very process."""
        return self.executor == "local" and self.workers == 0


class Executor(Protocol):
    """What a study needs of a place where candidates are evaluated.

    Attributes:
        capacity: jobs that it works on at a time.
        hearer: told when somebody begins with a job and when its training reports. What it gives for a report calls
            listeners, and is called where they can do the training no harm and their errors end the run.
    """

    capacity: int
    hearer: Hearer

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
        InputError: Ray is not installed or cannot be reached, there are not so many devices, or several
            processes are wanted and no worker to start them.
    """
    if where.executor == "ray":
        from symact.execute.ray import RayWorkers

        cpus = 1.0 if where.cpus is None else where.cpus
        return RayWorkers(settings, where.workers, where.ray_address, cpus, where.gpus)
    from symact.execute.local import InProcess, WorkerProcesses

    if where.is_here:
        if (count := processes_of(task)) > 1:  # a launcher's variables may be left over, and nobody else would come
            raise InputError(
                f"processes={count} needs worker processes, which start as many for each training: give --workers 1 "
                "(workers=1) or more"
            )
        return InProcess(task, grammar)
    seen = assign(devices(), where.workers, where.gpus)
    crowded = crowding(processes_of(task), seen, getattr(getattr(task, "device", None), "type", "") == "cuda")
    if crowded:
        LOG.warning(crowded)
    return WorkerProcesses(settings, where.workers, seen)
