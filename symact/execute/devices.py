"""Which CUDA devices a worker sees, and whether the processes that train together find room."""

from __future__ import annotations

import math
import os

from symact.errors import InputError, counted


def devices() -> list[str]:
    """The CUDA devices that may be used, without loading torch; empty without any."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() and name.strip() != "-1"]
    try:
        return [str(index) for index in range(len(os.listdir("/proc/driver/nvidia/gpus")))]
    except OSError:
        return []


def assign(available: list[str], workers: int, gpus: float | None) -> list[str | None]:
    """What each worker's `CUDA_VISIBLE_DEVICES` is; None leaves it as it is.

    Args:
        available: names of the devices.
        workers: how many there are.
        gpus: devices per worker: a whole number gives each its own, a fraction has several share one, 0 hides
            all; None deals the devices out in turn.

    Raises:
        InputError: there are not so many devices.
    """
    if gpus is None:
        return [available[index % len(available)] if available else None for index in range(workers)]
    if gpus == 0:
        return [""] * workers
    share = 1 if gpus >= 1 else math.floor(1 / gpus + 1e-9)
    each = math.ceil(gpus - 1e-9)
    room = len(available) // each * share
    if workers > room:
        raise InputError(
            f"{counted(workers, 'worker')} with {gpus:g} GPUs each do not fit: this machine has "
            f"{counted(len(available), 'CUDA device')}, enough for {room}; give less --gpus or fewer --workers"
        )
    groups = [",".join(available[first : first + each]) for first in range(0, len(available) - each + 1, each)]
    return [groups[index % len(groups)] for index in range(workers)]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def crowding(processes: int, seen: list[str | None], on_cuda: bool) -> str:
    """A warning where processes that train together have to share cores; `""` where they have not.

    Args:
        processes: how many train a network together.
        seen: `CUDA_VISIBLE_DEVICES` of each worker.
        on_cuda: the task trains on CUDA where it sees a device.

    Raises:
        InputError: a worker sees devices, and fewer than processes, each of which needs its own (NCCL).
    """
    if processes == 1:
        return ""
    given = min((len(names.split(",")) if names else 0 for names in seen), default=0)
    if on_cuda and given:
        if given < processes:
            raise InputError(
                f"processes={processes} needs as many GPUs for each worker, and a worker sees {given}: give "
                f"--gpus {processes} (each worker has that many), a smaller processes, or --gpus 0 to train on CPUs"
            )
        return ""
    total, there = processes * len(seen), cores()
    if total <= there:
        return ""
    waiting = f"{total} processes are to share {there} cores, and wait for one another at every step"
    if len(seen) == 1:
        return f"processes={processes}: {waiting}: give processes={there}"
    return f"processes={processes} with {len(seen)} workers: {waiting}: give a smaller processes or fewer --workers"
