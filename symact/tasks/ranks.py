"""Several processes that train one network together, each on its part of every batch (data parallelism).

The convention is torchrun's: `RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `MASTER_ADDR` and `MASTER_PORT` in the environment;
NCCL on CUDA, where every process has the device of its local rank, and Gloo on CPUs. All parameters being views of one
flat buffer, one sum of the flat gradient over the processes makes a step: with the same global batch, that of a single
process up to rounding. Batch normalization is the exception: each process normalizes by its own part of the batch, and
running statistics are averaged after every epoch. Dropout draws numbers of its own in each process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import distributed

from symact.errors import InputError, counted


@dataclass(frozen=True)
class Ranks:
    """The processes that train together, as one of them sees them.

    Attributes:
        number: which of them this is.
        count: how many there are.
    """

    number: int = 0
    count: int = 1

    def part(self, rows: int) -> slice:
        """Which of so many rows are this process's; pairs of neighbours stay together, for mixup."""
        ends = self.number, self.number + 1
        return slice(*(rows if end == self.count else 2 * (rows * end // (2 * self.count)) for end in ends))

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor, added up over all processes in place."""
        if self.count > 1:
            _together(distributed.all_reduce, tensor)
        return tensor

    def mean(self, loss: torch.Tensor, gradient: torch.Tensor, share: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and flat gradient of the whole batch, of which this process has that share."""
        if self.count == 1:
            return loss, gradient
        both = self.sum(torch.cat([gradient, loss.reshape(1).to(gradient.dtype)]).mul_(share))
        return both[-1], both[:-1]

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Make tensors their average over all processes."""
        if self.count > 1 and tensors:
            flat = self.sum(torch.cat([tensor.reshape(-1).double() for tensor in tensors])) / self.count
            for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def agree(self, tensors: Sequence[torch.Tensor]) -> None:
        """Give tensors the values that they have in the first process."""
        if self.count > 1:
            for tensor in tensors:
                value = tensor.contiguous()
                _together(distributed.broadcast, value, 0)
                tensor.copy_(value)

    def told(self, data: bytes, device: torch.device) -> bytes:
        """What the first process gives, in all of them; `device` is where tensors meet."""
        if self.count == 1:
            return data
        size = torch.tensor(len(data), device=device)
        self.agree([size])
        sent = torch.zeros(int(size), dtype=torch.uint8, device=device)
        if self.number == 0 and data:
            sent.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        self.agree([sent])
        return sent.cpu().numpy().tobytes()

    def seed(self, seed: int, epoch: int) -> None:
        """Seed torch's generators for an epoch, otherwise in each process; a single process draws on."""
        if self.count > 1:
            torch.manual_seed(int(np.random.SeedSequence([seed, epoch, self.number]).generate_state(1)[0]))


ALONE = Ranks()


def _together(collective: Callable[..., object], *arguments: object) -> None:
    """Call something of `torch.distributed`; that another process is gone is a `DistError`, also with Gloo."""
    try:
        collective(*arguments)
    except (distributed.DistError, torch.cuda.OutOfMemoryError):
        raise
    except RuntimeError as error:
        raise distributed.DistError(str(error)) from error


def started_for(processes: int) -> bool:
    """Whether this process is one of so many that were started together: the launcher's variables are all there."""
    complete = all(os.environ.get(name) for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"))
    return complete and os.environ.get("WORLD_SIZE") == str(processes)


def join(processes: int, device: torch.device) -> tuple[Ranks, torch.device]:
    """Meet the other processes; the group stays for the life of this one.

    Args:
        processes: how many train together.
        device: of the type to train on.

    Returns:
        Who they are, and the device of this one.

    Raises:
        InputError: so many were not started, or there are not so many devices.
    """
    if processes == 1:
        return ALONE, device
    if not started_for(processes):
        raise InputError(
            f"processes={processes}: this process was started alone; give --workers 1 or more, which starts "
            f"{processes} for each training, or run your script by torchrun --nproc-per-node={processes}"
        )
    if device.type == "cuda":
        local, seen = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if local >= seen:
            raise InputError(
                f"processes={processes}: it sees only {counted(seen, 'CUDA device')}; give --gpus {processes}"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Ranks(distributed.get_rank(), processes), device
