"""A task that trains nothing: a study of 10,000 functions is made in minutes, with all that a page shows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from symact import Outcome

EPOCHS = 20


class Untrained:
    """The likeness to ReLU on [-3, 3], with noise of the seed, and a made-up training curve of 20 epochs."""

    def evaluate(self, make_activation: Callable[[], nn.Module], seed: int, budget: float = 1.0) -> Outcome:
        """One score, the higher the nearer to ReLU."""
        x = torch.linspace(-3, 3, 64)
        values = make_activation()(x).detach()
        if not values.isfinite().all():
            return Outcome.failed("nonfinite", "not finite on [-3, 3]")
        noise = torch.randn(EPOCHS, generator=torch.Generator().manual_seed(seed)) * 0.01
        away = (values.clamp(-50, 50) - x.relu()).abs().mean()
        curve = (1 - torch.exp(-torch.arange(1, EPOCHS + 1) / 5)) / (1 + away) + noise
        return Outcome.finished(float(curve[-1]), curve=curve.tolist())
