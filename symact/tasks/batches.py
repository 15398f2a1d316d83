"""The batches of an epoch: rows in a fresh random order, gathered on the device and augmented there."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch.nn import functional

from symact.tasks.config import TrainConfig
from symact.tasks.data import Split


def batches(
    data: Split, config: TrainConfig, steps: int, generator: torch.Generator, epoch: int = 0
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """`steps` batches in a fresh random order; data that is too short is gone through again.

    Tensors are gathered at once for all steps, other inputs batch by batch.
    """
    rows = torch.empty(0, dtype=torch.int64)
    while math.ceil(len(rows) / config.batch) < steps:
        rows = torch.cat([rows, torch.randperm(len(data), generator=generator)])
    rows = rows[: steps * config.batch].to(data.y.device)
    y = data.y[rows].split(config.batch)
    if not isinstance(data.x, torch.Tensor):
        parts = zip(rows.split(config.batch), y, strict=True)
        return ((laid_out(data.x[part], config), labels) for part, labels in parts)
    x = data.x[rows]
    if config.augment:
        flips = alternate(rows, epoch) if config.alternate_flips else None
        x = shifted(x, generator, config.shift, flips)
    return zip(laid_out(x, config).split(config.batch), y, strict=True)


def laid_out(x: torch.Tensor, config: TrainConfig) -> torch.Tensor:
    """Images with their channels last in memory, where that is wanted; anything else as it is."""
    return x.contiguous(memory_format=torch.channels_last) if config.channels_last and x.dim() == 4 else x


def alternate(rows: torch.Tensor, epoch: int) -> torch.Tensor:
    """Which rows are flipped in this epoch: half of them by a fixed rule, the others in the next epoch."""
    return (rows * 2654435761 // 65536 + epoch) % 2 == 1


def shifted(
    x: torch.Tensor, generator: torch.Generator, most: int = 4, flip: torch.Tensor | None = None
) -> torch.Tensor:
    """Images ``(n, channels, height, width)`` shifted by up to `most` pixels (zeros enter) and flipped, at random."""
    count, _, height, width = x.shape
    shift = torch.randint(0, 2 * most + 1, (2, count), generator=generator).to(x.device)
    if flip is None:
        flip = torch.rand(count, generator=generator).to(x.device) < 0.5
    rows = shift[0, :, None] + torch.arange(height, device=x.device)
    columns = shift[1, :, None] + torch.arange(width, device=x.device)
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    padded = functional.pad(x, (most,) * 4).permute(0, 2, 3, 1)
    index = torch.arange(count, device=x.device)[:, None, None]
    return padded[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
