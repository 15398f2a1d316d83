"""Training in one flat function: data on the device, parameters in one buffer, deterministic by seed.

In: a model, its training data as `Turn`s in `Phase`s, a `TrainConfig`. Out: a `Training`. A phase is
a number of epochs in which turns alternate batch by batch; a turn says which parameters are
trained, on which data, at which rate. Ordinary training is one phase of one turn (`schedules.py`
has the others).

All parameters of a turn are views of one flat buffer, so that an optimizer is a few elementwise
operations on one tensor whatever the network; a network of 14 small tensors trains about twice as
fast as with `torch.optim.Adam`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from symact.tasks.checkpoint import Checkpoint, State, buffers, random_state, restore_random
from symact.tasks.data import Split
from symact.tasks.first_order import UPDATE_RULES, FlatParameters, Update, clipped
from symact.tasks.mlp_step import gradient_function, measure_function


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained.

    Attributes:
        epochs: passes over the training split at budget 1.
        batch: batch size; the last batch of an epoch may be smaller.
        optimizer: a row of `first_order.UPDATE_RULES`: sgd, nesterov, adam, adamw, rmsprop.
        rate: learning rate.
        rate_batch: the batch size for which `rate` is meant, with which it grows; 0 takes the rate as it is.
        momentum: for sgd, nesterov and rmsprop.
        weight_decay: decoupled for adamw, added to the gradient otherwise; of weights alone, see `FlatParameters`.
        clip: largest norm of a gradient; 0 for none.
        warmup: fraction of a phase's steps in which the rate rises, from a fifth.
        decay: `"constant"`, `"cosine"` to anneal the rate to zero over the rest of the (shortened) training, or
            `"linear"` down to 7 % of it.
        label_smoothing: of the cross-entropy loss.
        mixed_precision: bfloat16 autocast, on CUDA only.
        augment: random shifts and horizontal flips of images.
        shift: pixels of a shift at most; zeros enter.
        alternate_flips: an image is flipped in every other epoch, in place of at random.
        lookahead: every so many steps the weights are averaged with older ones, ever more slowly towards the end; 0 for
            never.
        evaluation_batch: rows at a time when no gradient is needed.
        checkpoints: folder in which an unfinished training is kept after each epoch; `""` for none. No result depends
            on it.
        subset: train on the first so many images, and validate on as many at most; 0 for all.
        width: factor on the numbers of units or channels of a network that can be made wider.
        initial_scale: factor on the initial weights of all layers.
    """

    epochs: float = 10
    batch: int = 128
    optimizer: str = "adam"
    rate: float = 1e-3
    rate_batch: int = 0
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip: float = 0.0
    warmup: float = 0.0
    decay: str = "constant"
    label_smoothing: float = 0.0
    mixed_precision: bool = False
    augment: bool = False
    shift: int = 4
    alternate_flips: bool = False
    lookahead: int = 0
    evaluation_batch: int = 1000
    checkpoints: str = ""
    subset: int = 0
    width: float = 1.0
    initial_scale: float = 1.0


# Name of a decay -> the factor on the rate, of how much of the decay is over, in [0, 1].
DECAYS: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "linear": lambda done: 1 - 0.93 * done,
}
# What the settings that are names may be.
CHOICES = {"optimizer": tuple(UPDATE_RULES), "decay": tuple(DECAYS)}
WARMUP_FROM = 0.2


def rate_factor(config: TrainConfig, step: int, total: int) -> float:
    """The factor on the rate at a step, from 0, of a phase of `total` steps."""
    rising = config.warmup * total
    if step < rising:
        return WARMUP_FROM + (1 - WARMUP_FROM) * step / rising
    return DECAYS[config.decay]((step - rising) / (total - rising))


def lookahead_weight(step: int, total: int) -> float:
    """How much of the older weights is kept after a step (Jordan 2024, arXiv:2404.00498, section 3.4)."""
    return float(0.95**5 * (step / total) ** 3)


@dataclass(frozen=True)
class Turn:
    """One kind of step: which parameters move, on which data, at which rate."""

    parameters: Sequence[nn.Parameter]
    data: Split
    rate: float


@dataclass(frozen=True)
class Phase:
    """`epochs` passes over the longest of the turns' data; the turns alternate batch by batch."""

    name: str
    epochs: float
    turns: tuple[Turn, ...]


@dataclass
class Training:
    """What a training gave.

    Attributes:
        curve: one row per epoch: epoch, phase, train_loss, and what `measure` reported.
        failed_at: the step with the first non-finite loss (0 is before any update), or None.
        steps: optimizer steps taken.
        seconds: wall time.
    """

    curve: list[dict[str, Any]] = field(default_factory=list)
    failed_at: int | None = None
    steps: int = 0
    seconds: float = 0.0


def train(
    model: nn.Module,
    phases: Sequence[Phase],
    config: TrainConfig,
    seed: int,
    budget: float = 1.0,
    measure: Callable[[nn.Module], dict[str, Any]] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Training:
    """Train `model` in place; stop at the first non-finite loss.

    Args:
        model: any network that gives class scores of shape ``(batch, classes)``, or
            ``(batch, ..., classes)`` with labels ``(batch, ...)``.
        phases: what is trained when.
        config: the settings that hold for all phases.
        seed: of the order of the data (and of augmentation); the same for every function.
        budget: fraction of the steps to take, in (0, 1]; at least one step per phase.
        measure: called on the model after every epoch; its numbers go into the curve.
        checkpoint: keeps the state after every epoch; the training goes on from what it holds.

    Raises:
        ValueError: `budget` is not in (0, 1].
    """
    if not 0 < budget <= 1:
        raise ValueError(f"budget must be in (0, 1], not {budget}")
    start, result = time.perf_counter(), Training()
    device = phases[0].turns[0].data.y.device
    generator = torch.Generator().manual_seed(seed)
    on_cpu = device.type == "cpu"
    kept = checkpoint.load(device) if checkpoint is not None else None
    for number, phase in enumerate(phases):
        flats = [FlatParameters(turn.parameters) for turn in phase.turns]
        computes = [gradient_function(model, flat, config.label_smoothing, config.mixed_precision) for flat in flats]
        updates = [UPDATE_RULES[config.optimizer](flat, config) for flat in flats]
        per_epoch = max(math.ceil(len(turn.data) / config.batch) for turn in phase.turns)
        total = max(1, round(phase.epochs * per_epoch * budget))
        per_batch = config.batch / config.rate_batch if config.rate_batch else 1.0
        older = [flat.buffer.clone() for flat in flats] if config.lookahead else []
        begin = 0
        moving = [flat.buffer for flat in flats] + older + [tensor for update in updates for tensor in update.tensors]
        if kept is not None and number < kept["phase"]:
            continue
        if kept is not None and number == kept["phase"]:
            begin = kept["begin"]
            result.curve, result.steps = kept["curve"], kept["steps"]
            _restore(kept, model, moving, updates, generator, device)
        for first in range(begin, total, per_epoch):
            steps = min(per_epoch, total - first)
            streams = [_batches(turn.data, config, steps, generator, len(result.curve)) for turn in phase.turns]
            losses: list[torch.Tensor] = []
            model.train()
            for step in range(steps):
                scale = rate_factor(config, first + step, total) * per_batch
                for turn, compute, update, stream in zip(phase.turns, computes, updates, streams, strict=True):
                    loss, gradient = compute(*next(stream))
                    losses.append(loss)
                    # On a CPU a look at the loss costs nothing; elsewhere it would wait for the device.
                    if on_cpu and not math.isfinite(loss.item()):
                        break
                    update(clipped(gradient, config.clip), turn.rate * scale)
                else:
                    if older and (first + step + 1) % config.lookahead == 0:
                        for slow, flat in zip(older, flats, strict=True):
                            flat.buffer.copy_(slow.lerp_(flat.buffer, 1 - lookahead_weight(first + step + 1, total)))
                    continue
                break
            epoch_losses = torch.stack(losses)
            finite = torch.isfinite(epoch_losses)
            if not finite.all():
                result.failed_at = result.steps + int((~finite).int().argmax()) // len(phase.turns)
                result.seconds = time.perf_counter() - start
                return result
            result.steps += steps
            row = {"epoch": len(result.curve) + 1, "phase": phase.name, "train_loss": epoch_losses.mean().item()}
            result.curve.append(row | (measure(model) if measure else {}))
            if checkpoint is not None:
                checkpoint.save(
                    {"phase": number, "begin": first + per_epoch, "curve": result.curve, "steps": result.steps}
                    | {"moving": moving, "counts": [update.counts for update in updates], "buffers": buffers(model)}
                    | {"parameters": [p.detach() for p in model.parameters()], "generator": generator.get_state()}
                    | {"random": random_state(device)}
                )
    result.seconds = time.perf_counter() - start
    return result


def _restore(
    kept: State,
    model: nn.Module,
    moving: Sequence[torch.Tensor],
    updates: Sequence[Update],
    generator: torch.Generator,
    device: torch.device,
) -> None:
    """Put a training back to where it was saved."""
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), kept["parameters"], strict=True):
            parameter.copy_(value)
        for tensor, value in zip(moving, kept["moving"], strict=True):
            tensor.copy_(value)
        for name, tensor in buffers(model).items():
            tensor.copy_(kept["buffers"][name])
    for update, counts in zip(updates, kept["counts"], strict=True):
        update.counts[:] = counts
    generator.set_state(kept["generator"].cpu())
    restore_random(kept["random"], device)


def measure_accuracy(model: nn.Module, data: Split, config: TrainConfig) -> tuple[float, float]:
    """Mean cross-entropy loss (without smoothing) and accuracy of `model` on `data`, in evaluation mode."""
    model.eval()
    loss: torch.Tensor | float = 0.0
    right: torch.Tensor | int = 0
    on_gpu = data.y.device.type == "cuda"
    autocast = torch.autocast(data.y.device.type, torch.bfloat16, enabled=config.mixed_precision and on_gpu)
    with torch.inference_mode(), autocast:  # as in training
        measure = measure_function(model)
        for x, y in zip(data.x.split(config.evaluation_batch), data.y.split(config.evaluation_batch), strict=True):
            mean, count = measure(x, y)
            loss, right = loss + mean * len(y), right + count
    return float(loss) / len(data), float(right) / data.y.numel()


def _batches(
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
        return ((data.x[part], labels) for part, labels in zip(rows.split(config.batch), y, strict=True))
    x = data.x[rows]
    if config.augment:
        flips = _alternate(rows, epoch) if config.alternate_flips else None
        x = _augmented(x, generator, config.shift, flips)
    return zip(x.split(config.batch), y, strict=True)


def _alternate(rows: torch.Tensor, epoch: int) -> torch.Tensor:
    """Which rows are flipped in this epoch: half of them by a fixed rule, the others in the next epoch."""
    return (rows * 2654435761 // 65536 + epoch) % 2 == 1


def _augmented(
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
