"""The batches of an epoch: rows in a fresh random order, gathered on the device and augmented there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch

from symact.tasks.augment import MIXING, Labels, augmented, check, cut, draw, mixed
from symact.tasks.config import TrainConfig
from symact.tasks.data import Split
from symact.tasks.ranks import ALONE, Ranks


class Batch(NamedTuple):
    """Inputs and labels of this process, and which fraction they are of the whole batch."""

    x: torch.Tensor
    y: Labels
    share: float


def batches(
    data: Split,
    config: TrainConfig,
    steps: int,
    generator: torch.Generator,
    epoch: int = 0,
    ranks: Ranks = ALONE,
) -> Iterator[Batch]:
    """`steps` batches in a fresh random order; data that is too short is gone through again.

    Tensors are gathered at once for all steps; images in files are read batch by batch, the next ones meanwhile.

    Raises:
        InputError: the settings change images, and this data is none.
    """
    check(data, config)
    rows = torch.empty(0, dtype=torch.int64)
    while math.ceil(len(rows) / config.batch) < steps:
        rows = torch.cat([rows, torch.randperm(len(data), generator=generator)])
    rows = rows[: steps * config.batch]
    draws = draw(len(rows), config, generator)
    if config.augment and config.alternate_flips:
        draws["flip"] = alternate(rows, epoch)
    whole = [len(part) for part in rows.split(config.batch)]
    sizes = whole
    if ranks.count > 1:
        own = [
            torch.arange(len(rows))[start:][ranks.part(size)]
            for start, size in zip(range(0, len(rows), config.batch), whole, strict=True)
        ]
        sizes, chosen = [len(part) for part in own], torch.cat(own)
        rows, draws = rows[chosen], {name: tensor[chosen] for name, tensor in draws.items()}
    fractions = [size / of for size, of in zip(sizes, whole, strict=True)]
    mixing = {name: draws.pop(name) for name in MIXING if name in draws}
    labels = data.y[rows.to(data.y.device)].split(sizes)
    if isinstance(data.x, torch.Tensor):
        x = data.x[rows.to(data.x.device)]
        x = laid_out(augmented(x, draws, config, data) if draws else x, config)
        pairs: Iterator[tuple[torch.Tensor, torch.Tensor]] = zip(x.split(sizes), labels, strict=True)
    else:
        boxes = draws.pop("box").split(sizes) if "box" in draws else [None] * len(sizes)
        images = data.x.ahead(rows.split(sizes), boxes)
        changed = (
            laid_out(augmented(x, part, config, data), config)
            for x, part in zip(images, cut(draws, sizes), strict=True)
        )
        pairs = zip(changed, labels, strict=True)
    if not mixing:
        return (Batch(x, y, part) for (x, y), part in zip(pairs, fractions, strict=True))
    mixes = (mixed(x, y, drawn) for (x, y), drawn in zip(pairs, cut(mixing, sizes), strict=True))
    return (Batch(x, y, part) for (x, y), part in zip(mixes, fractions, strict=True))


def laid_out(x: torch.Tensor, config: TrainConfig) -> torch.Tensor:
    """Images with their channels last in memory, where that is wanted; anything else as it is."""
    return x.contiguous(memory_format=torch.channels_last) if config.channels_last and x.dim() == 4 else x


def alternate(rows: torch.Tensor, epoch: int) -> torch.Tensor:
    """Which rows are flipped in this epoch: half of them by a fixed rule, the others in the next epoch."""
    return (rows * 2654435761 // 65536 + epoch) % 2 == 1
