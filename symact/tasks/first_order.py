"""First-order optimizers on one flat buffer of parameters.

Each row of `UPDATE_RULES` makes, from a flat buffer and the settings, a function that takes the flat
gradient and the rate and moves the buffer in place. The rules are those of torch.optim (which the
tests compare them with): SGD with momentum, Adam (arXiv:1412.6980), AdamW (arXiv:1711.05101) and
RMSprop (Hinton's lecture 6e).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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

    Weight decay is for the weights of layers, parameters of two dimensions or more: biases, and the parameters of
    normalizations and activations, are not drawn to 0, where a function may mean something else.

    Attributes:
        parameters: the parameters that need a gradient, each once, in order.
        buffer: ``(n,)``, all their numbers.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]):
        unique = {id(p): p for p in parameters if p.requires_grad}
        self.parameters = list(unique.values())
        pieces = [p.detach().reshape(-1) for p in self.parameters]
        self.buffer = torch.cat(pieces) if pieces else torch.empty(0)
        offset = 0
        for parameter in self.parameters:
            end = offset + parameter.numel()
            parameter.data = self.buffer[offset:end].view_as(parameter)
            offset = end

    def decay(self, amount: float) -> torch.Tensor | None:
        """That amount for every weight and 0 for other parameters, ``(n,)``; None where nothing decays."""
        return self._weights * amount if amount and len(self.buffer) else None

    @cached_property
    def _weights(self) -> torch.Tensor:
        return torch.cat([torch.full_like(p.detach().reshape(-1), float(p.dim() > 1)) for p in self.parameters])

    def gradient(self, loss: torch.Tensor) -> torch.Tensor:
        """The gradient of `loss`, ``(n,)``; zero where the loss does not depend on a parameter."""
        gradients = torch.autograd.grad(loss, self.parameters, materialize_grads=True)
        return torch.cat([gradient.reshape(-1) for gradient in gradients])


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
