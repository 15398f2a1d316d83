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
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from symact.tasks.average import Average
from symact.tasks.batches import batches, laid_out
from symact.tasks.checkpoint import Checkpoint, State, buffers, random_state, restore_random
from symact.tasks.config import TrainConfig, lookahead_weight, rate_factor
from symact.tasks.data import Split
from symact.tasks.first_order import UPDATE_RULES, FlatParameters, clipped
from symact.tasks.mlp_step import gradient_function, measure_function
from symact.tasks.ranks import ALONE, Ranks


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
    ranks: Ranks = ALONE,
    kept: State | None = None,
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
        checkpoint: keeps the state after every epoch.
        ranks: the processes that train together.
        kept: what the checkpoint held, to go on from.

    Raises:
        ValueError: `budget` is not in (0, 1].
    """
    if not 0 < budget <= 1:
        raise ValueError(f"budget must be in (0, 1], not {budget}")
    start, result = time.perf_counter(), Training()
    device = phases[0].turns[0].data.y.device
    generator = torch.Generator().manual_seed(seed)
    if config.channels_last:
        model.to(memory_format=torch.channels_last)
    ranks.agree([tensor.detach() for tensor in (*model.parameters(), *model.buffers())])
    average = Average(model, config.ema) if config.ema else None
    for number, phase in enumerate(phases):
        steps = _Steps(model, phase, config, budget, average, ranks)
        begin = 0
        if kept is not None and number < kept["phase"]:
            continue
        if kept is not None and number == kept["phase"]:
            begin = kept["begin"]
            result.curve, result.steps = kept["curve"], kept["steps"]
            _restore(kept, model, steps, generator, device)
        for first in range(begin, steps.total, steps.per_epoch):
            ranks.seed(seed, len(result.curve))
            losses = steps.epoch(first, generator, len(result.curve))
            finite = torch.isfinite(losses)
            if not finite.all():
                result.failed_at = result.steps + int((~finite).int().argmax()) // len(phase.turns)
                result.seconds = time.perf_counter() - start
                return result
            result.steps += len(losses) // len(phase.turns)
            row = {"epoch": len(result.curve) + 1, "phase": phase.name, "train_loss": losses.mean().item()}
            with average.inside() if average is not None else nullcontext():
                result.curve.append(row | (measure(model) if measure else {}))
            if checkpoint is not None:
                checkpoint.save(
                    {"phase": number, "begin": first + steps.per_epoch, "curve": result.curve, "steps": result.steps}
                    | {"moving": steps.moving, "counts": steps.counts, "buffers": buffers(model)}
                    | {"parameters": [p.detach() for p in model.parameters()], "generator": generator.get_state()}
                    | {"random": random_state(device)}
                )
    if average is not None:
        average.settle()
    result.seconds = time.perf_counter() - start
    return result


def epochs_in_all(phases: Sequence[Phase], config: TrainConfig, budget: float) -> int:
    """How many epochs a training has, the last of a phase perhaps a shorter one."""
    lengths = [_lengths(phase, config, budget) for phase in phases]
    return sum(math.ceil(total / per_epoch) for per_epoch, total in lengths)


def _lengths(phase: Phase, config: TrainConfig, budget: float) -> tuple[int, int]:
    """How many steps make an epoch, and how many there are."""
    per_epoch = max(math.ceil(len(turn.data) / config.batch) for turn in phase.turns)
    return per_epoch, max(1, round(phase.epochs * per_epoch * budget))


class _Steps:
    """The steps of one phase.

    Attributes:
        total: how many there are.
        per_epoch: how many make an epoch.
        moving: the tensors that steps change, beside the network's own.
        counts: likewise, numbers of steps.
    """

    def __init__(
        self,
        model: nn.Module,
        phase: Phase,
        config: TrainConfig,
        budget: float,
        average: Average | None,
        ranks: Ranks,
    ):
        self._model, self._turns, self._config, self._average, self._ranks = model, phase.turns, config, average, ranks
        self._flats = [FlatParameters(turn.parameters) for turn in phase.turns]
        self._computes = [gradient_function(model, flat, config) for flat in self._flats]
        self._updates = [UPDATE_RULES[config.optimizer](flat, config) for flat in self._flats]
        self._older = [flat.buffer.clone() for flat in self._flats] if config.lookahead else []
        self.per_epoch, self.total = _lengths(phase, config, budget)
        self.moving = [flat.buffer for flat in self._flats] + self._older
        self.moving += [tensor for update in self._updates for tensor in update.tensors]
        self.counts = [update.counts for update in self._updates]
        if average is not None:
            self.moving, self.counts = self.moving + average.tensors, [*self.counts, average.counts]

    def epoch(self, first: int, generator: torch.Generator, number: int) -> torch.Tensor:
        """The losses of an epoch from step `first`; on a CPU it ends with the first that is not finite."""
        config, losses = self._config, list[torch.Tensor]()
        per_batch = config.batch / config.rate_batch if config.rate_batch else 1.0
        count = min(self.per_epoch, self.total - first)
        streams = [batches(turn.data, config, count, generator, number, self._ranks) for turn in self._turns]
        parts = tuple(zip(self._turns, self._flats, self._computes, self._updates, streams, strict=True))
        self._model.train()
        for step in range(first, first + count):
            scale = rate_factor(config, step, self.total) * per_batch
            for turn, flat, compute, update, stream in parts:
                x, y, share = next(stream)
                if self._ranks.count == 1:
                    loss, gradient = compute(x, y)
                else:
                    nothing = x.new_zeros(()), torch.zeros_like(flat.buffer)
                    loss, gradient = self._ranks.mean(*(compute(x, y) if share else nothing), share)
                losses.append(loss)
                # On a CPU a look at the loss costs nothing; elsewhere it would wait for the device.
                if loss.is_cpu and not math.isfinite(loss.item()):
                    return torch.stack(losses)
                update(clipped(gradient, config.clip), turn.rate * scale)
            if self._older and (step + 1) % config.lookahead == 0:
                for slow, flat in zip(self._older, self._flats, strict=True):
                    flat.buffer.copy_(slow.lerp_(flat.buffer, 1 - lookahead_weight(step + 1, self.total)))
            if self._average is not None:
                self._average.update()
        own = [buffer for buffer in self._model.buffers() if buffer.is_floating_point()]
        self._ranks.average(own + (self._average.tensors if self._average is not None else []))
        return torch.stack(losses)


def _restore(kept: State, model: nn.Module, steps: _Steps, generator: torch.Generator, device: torch.device) -> None:
    """Put a training back to where it was saved."""
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), kept["parameters"], strict=True):
            parameter.copy_(value)
        for tensor, value in zip(steps.moving, kept["moving"], strict=True):
            tensor.copy_(value)
        for name, tensor in buffers(model).items():
            tensor.copy_(kept["buffers"][name])
    for counts, value in zip(steps.counts, kept["counts"], strict=True):
        counts[:] = value
    generator.set_state(kept["generator"].cpu())
    restore_random(kept["random"], device)


def measure_accuracy(model: nn.Module, data: Split, config: TrainConfig, ranks: Ranks = ALONE) -> tuple[float, float]:
    """Mean cross-entropy loss (without smoothing) and accuracy of `model` on `data`, in evaluation mode.

    Of several processes each measures its part.
    """
    model.eval()
    rows, labels = len(data), data.y.numel()
    if ranks.count > 1:
        part = ranks.part(rows)
        data = data.part(part.start, part.stop)
    loss: torch.Tensor | float = 0.0
    right: torch.Tensor | int = 0
    on_gpu = data.y.device.type == "cuda"
    autocast = torch.autocast(data.y.device.type, torch.bfloat16, enabled=config.mixed_precision and on_gpu)
    with torch.inference_mode(), autocast:  # as in training
        measure = measure_function(model)
        for x, y in zip(data.x.split(config.evaluation_batch), data.y.split(config.evaluation_batch), strict=True):
            if len(y):
                mean, count = measure(laid_out(x, config), y)
                loss, right = loss + mean * len(y), right + count
    if ranks.count > 1:
        loss, right = ranks.sum(torch.tensor([loss, right], dtype=torch.float64, device=data.y.device)).unbind()
    return float(loss) / rows, float(right) / labels
