"""The exponential moving average of a network's weights, which is validated and kept in their place.

Averaged with the weights is what the network keeps in floating point beside them, such as running means and variances
of batch normalization: they belong to the weights that they were measured with. Counters stay the network's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Average:
    """The average of a network that is being trained.

    The decay of a step n is min(decay, (1 + n)/(10 + n)), so that a short training is not left with its initial
    weights (as TensorFlow's `ExponentialMovingAverage` with `num_updates`).

    Attributes:
        tensors: the averages, of parameters first, then of buffers.
        counts: the number of steps so far.

    Args:
        model: the network; its parameters may be moved to other memory meanwhile.
        decay: in (0, 1).
    """

    def __init__(self, model: nn.Module, decay: float):
        self._model, self._decay = model, decay
        self.tensors = [tensor.clone() for tensor in self._own()]
        self.counts = [0]

    def update(self) -> None:
        """Take in the weights after a step."""
        step = self.counts[0] = self.counts[0] + 1
        torch._foreach_lerp_(self.tensors, self._own(), 1 - min(self._decay, (1 + step) / (10 + step)))

    def settle(self) -> None:
        """Put the averages into the network for good."""
        torch._foreach_copy_(self._own(), self.tensors)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The network has the averages meanwhile."""
        kept = [tensor.clone() for tensor in self._own()]
        self.settle()
        try:
            yield
        finally:
            torch._foreach_copy_(self._own(), kept)

    def _own(self) -> list[torch.Tensor]:
        own = [parameter.detach() for parameter in self._model.parameters()]
        return own + [buffer for buffer in self._model.buffers() if buffer.is_floating_point()]
