"""First-order optimizers on one flat buffer of parameters.

Each row of `UPDATE_RULES` makes, from a flat buffer and the settings, a function that takes the flat
gradient and the rate and moves the buffer in place. The rules are those of torch.optim (which the
tests compare them with): SGD with momentum, Adam (arXiv:1412.6980), AdamW (arXiv:1711.05101) and
RMSprop (Hinton's lecture 6e).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Protocol

import torch
from torch import nn


@dataclass(frozen=True)
class Update:
    """Takes the flat gradient and the rate, and moves the buffer in place.

    Attributes:
        step: does it.
        tensors: what it remembers from step to step.
        counts: likewise, numbers of steps.
    """

    step: Callable[[torch.Tensor, float], None]
    tensors: tuple[torch.Tensor, ...] = ()
    counts: list[int] = field(default_factory=list)

    def __call__(self, gradient: torch.Tensor, rate: float) -> None:
        """One step."""
        self.step(gradient, rate)


class UpdateSettings(Protocol):
    """What an optimizer reads of a training's settings."""

    @property
    def momentum(self) -> float:
        """Of SGD and RMSprop, in [0, 1)."""

    @property
    def weight_decay(self) -> float:
        """Times the weight, added to its gradient; decoupled with AdamW."""


class FlatParameters:
    """The given parameters as views of one flat buffer; they stay ordinary parameters of their model.

    A weight whose channels are last in memory keeps that layout.

    Weight decay is for the weights of layers, parameters of two dimensions or more: biases, and the parameters of
    normalizations and activations, are not drawn to 0, where a function may mean something else.

    Attributes:
        parameters: the parameters that need a gradient, each once, in order.
        buffer: ``(n,)``, all their numbers.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]):
        unique = {id(p): p for p in parameters if p.requires_grad}
        self.parameters = list(unique.values())
        self._last = [_has_channels_last(p) for p in self.parameters]
        pieces = self._pieces([p.detach() for p in self.parameters])
        self.buffer = torch.cat(pieces) if pieces else torch.empty(0)
        offset = 0
        for parameter, last in zip(self.parameters, self._last, strict=True):
            end = offset + parameter.numel()
            parameter.data = _view(self.buffer[offset:end], parameter.shape, last)
            offset = end

    def decay(self, amount: float) -> torch.Tensor | None:
        """That amount for every weight and 0 for other parameters, ``(n,)``; None where nothing decays."""
        return self._weights * amount if amount and len(self.buffer) else None

    @cached_property
    def _weights(self) -> torch.Tensor:
        return torch.cat([self.buffer.new_full((p.numel(),), float(p.dim() > 1)) for p in self.parameters])

    def gradient(self, loss: torch.Tensor) -> torch.Tensor:
        """The gradient of `loss`, ``(n,)``; zero where the loss does not depend on a parameter."""
        gradients = torch.autograd.grad(loss, self.parameters, materialize_grads=True)
        return torch.cat(self._pieces(gradients))

    def _pieces(self, tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
        """Tensors of the parameters' shapes, flat, in the order in which the parameters lie in memory."""
        if not any(self._last):
            return [tensor.reshape(-1) for tensor in tensors]
        pairs = zip(tensors, self._last, strict=True)
        return [(tensor.permute(0, 2, 3, 1) if last else tensor).reshape(-1) for tensor, last in pairs]


def _has_channels_last(tensor: torch.Tensor) -> bool:
    """Whether its channels are last in memory, and would not be in the usual layout."""
    return not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def _view(flat: torch.Tensor, shape: torch.Size, last: bool) -> torch.Tensor:
    """A piece of the buffer as a tensor of that shape, with its channels last in memory where `last`."""
    if not last:
        return flat.view(shape)
    outputs, inputs, height, width = shape
    return flat.view(outputs, height, width, inputs).permute(0, 3, 1, 2)


def clipped(gradient: torch.Tensor, limit: float) -> torch.Tensor:
    """A gradient, made no longer than `limit`; 0 for no limit."""
    return gradient * (limit / gradient.norm().clamp(min=limit)) if limit else gradient


def sgd(flat: FlatParameters, settings: UpdateSettings, ahead: bool = False) -> Update:
    """SGD: v = momentum v + g; p -= rate v, or by Nesterov's rule (`ahead`) p -= rate (g + momentum v)."""
    parameters, velocity = flat.buffer, torch.zeros_like(flat.buffer)
    decay = flat.decay(settings.weight_decay)

    def update(gradient: torch.Tensor, rate: float) -> None:
        if decay is not None:
            gradient = torch.addcmul(gradient, parameters, decay)
        velocity.mul_(settings.momentum).add_(gradient)
        if ahead:
            parameters.add_(gradient, alpha=-rate).add_(velocity, alpha=-rate * settings.momentum)
        else:
            parameters.add_(velocity, alpha=-rate)

    return Update(update, (velocity,))


def adam(flat: FlatParameters, settings: UpdateSettings, decoupled: bool = False) -> Update:
    """Adam with beta = (0.9, 0.999), epsilon = 1e-8; `decoupled` weight decay makes it AdamW."""
    parameters = flat.buffer
    first, second = torch.zeros_like(parameters), torch.zeros_like(parameters)
    decay, steps = flat.decay(settings.weight_decay), [0]

    def update(gradient: torch.Tensor, rate: float) -> None:
        step = steps[0] = steps[0] + 1
        if decay is not None and decoupled:
            parameters.addcmul_(parameters, decay, value=-rate)
        elif decay is not None:
            gradient = torch.addcmul(gradient, parameters, decay)
        first.lerp_(gradient, 0.1)
        second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        root = math.sqrt(1 - 0.999**step)
        parameters.addcdiv_(first, second.sqrt().add_(1e-8 * root), value=-rate * root / (1 - 0.9**step))

    return Update(update, (first, second), steps)


def adamw(flat: FlatParameters, settings: UpdateSettings) -> Update:
    """Adam with decoupled weight decay."""
    return adam(flat, settings, decoupled=True)


def rmsprop(flat: FlatParameters, settings: UpdateSettings) -> Update:
    """RMSprop: s = 0.99 s + 0.01 g^2; v = momentum v + g/(sqrt(s) + 1e-8); p -= rate v."""
    parameters = flat.buffer
    square, velocity = torch.zeros_like(parameters), torch.zeros_like(parameters)
    decay = flat.decay(settings.weight_decay)

    def update(gradient: torch.Tensor, rate: float) -> None:
        if decay is not None:
            gradient = torch.addcmul(gradient, parameters, decay)
        square.mul_(0.99).addcmul_(gradient, gradient, value=0.01)
        velocity.mul_(settings.momentum).addcdiv_(gradient, square.sqrt().add_(1e-8))
        parameters.add_(velocity, alpha=-rate)

    return Update(update, (square, velocity))


UPDATE_RULES: dict[str, Callable[[FlatParameters, UpdateSettings], Update]] = {
    "sgd": sgd,
    "nesterov": partial(sgd, ahead=True),
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
}
