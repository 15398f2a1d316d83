"""Which CUDA devices a worker sees."""

from __future__ import annotations

import math
import os

from symact.errors import InputError


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
            f"{workers} workers with {gpus:g} GPUs each do not fit: this machine has {len(available)} "
            f"CUDA devices, enough for {room}; give less --gpus or fewer --workers"
        )
    groups = [",".join(available[first : first + each]) for first in range(0, len(available) - each + 1, each)]
    return [groups[index % len(groups)] for index in range(workers)]
