"""Implicit neural representations: a network that maps coordinates to pixels (`image-fit`).

Half of the pixels of a small photograph are trained on, and the score is the PSNR on the others: what a representation
says between the pixels that it was shown. The photographs are those that scikit-learn ships; a search sees `china.jpg`,
`final_test` fits `flower.jpg` as well. Here the choice of the activation decides: the spectral bias of ReLU costs
several dB (Tancik et al. 2020, arXiv:2006.10739; SIREN, arXiv:2006.09661).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from symact.errors import InputError
from symact.tasks.fitting import FitTask, Problem, coordinate_network
from symact.tasks.networks import MakeActivation

SIZE, SHRINK = 64, 4  # pixels a side, each the mean of 4x4 pixels of the photograph
# File -> top and left of the square of 256x256 pixels: a temple's roof and windows; a dahlia.
CROPS = {"china.jpg": (100, 200), "flower.jpg": (80, 192)}
WIDTH, DEPTH = 64, 3
INITIALIZATIONS = ("uniform", "siren")
SIREN_FREQUENCY = 30.0  # arXiv:2006.09661, section 3.2


def photograph(name: str) -> torch.Tensor:
    """A square of one of scikit-learn's photographs, ``(SIZE, SIZE, 3)``, in [0, 1]."""
    from sklearn.datasets import load_sample_image

    top, left = CROPS[name]
    side = SIZE * SHRINK
    pixels = load_sample_image(name)[top : top + side, left : left + side].astype(np.float32) / 255
    return torch.from_numpy(pixels.reshape(SIZE, SHRINK, SIZE, SHRINK, 3).mean((1, 3)))


def pixel_centres(size: int = SIZE) -> torch.Tensor:
    """Coordinates of pixels in [-1, 1], row by row, ``(size**2, 2)``."""
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    return torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)


def trained_pixels() -> torch.Tensor:
    """Which pixels are trained on, ``(SIZE**2,)``: a random half, so that no frequency is hidden by a regular grid."""
    order = np.random.default_rng(0).permutation(SIZE**2)
    chosen = torch.zeros(SIZE**2, dtype=torch.bool)
    chosen[torch.from_numpy(order[: SIZE**2 // 2])] = True
    return chosen


def psnr(predicted: torch.Tensor, wanted: torch.Tensor) -> float:
    """Peak signal-to-noise ratio in dB of colours in [-1, 1], after clipping to what a pixel can be."""
    error = ((predicted.clamp(-1, 1) - wanted) / 2).square().mean().item()
    return -10 * math.log10(error) if error > 0 else 100.0


class ImageFit(FitTask):
    """Coordinates to pixels of a photograph, three hidden layers of 64; PSNR on pixels that were not trained on."""

    name, metric, unit, number_format = "image-fit", "PSNR", "dB", ".2f"
    sites, steps, rate = DEPTH, 300, 5e-3
    baselines: ClassVar[tuple[str, ...] | None] = (
        "relu(2*x)",
        "tanh(12*x)",
        "sin(5*x)",
        "exp(-(6*x)**2)",
        "sin(2.5*(abs(x) + 1)*x)",
        "sinc(10*x)",
        "cos(6*x)*exp(-(2*x)**2)",
    )
    initialization: ClassVar[str] = "uniform"

    def __init__(self, data: str | os.PathLike[str] | None = None, initialization: str | None = None):
        """The task.

        Args:
            data: not read; the photographs ship with scikit-learn.
            initialization: `"uniform"`, PyTorch's, for any activation; `"siren"`, that of arXiv:2006.09661 divided by
                its frequency of 30, so that `sin(30*x)` sees what it sees there. None takes that of the class.

        Raises:
            InputError: there is no such initialization.
        """
        super().__init__(data)
        self.chosen = self.initialization if initialization is None else initialization
        if self.chosen not in INITIALIZATIONS:
            raise InputError(f"image-fit: initialization is one of {', '.join(INITIALIZATIONS)}, not {self.chosen!r}")

    def make_problem(self, test: bool) -> Problem:
        """The pixels of one photograph."""
        colours = photograph("flower.jpg" if test else "china.jpg").reshape(-1, 3) * 2 - 1
        places, shown = pixel_centres(), trained_pixels()
        seen, hidden = (places[shown], colours[shown]), (places[~shown], colours[~shown])

        def loss(model: nn.Module, generator: torch.Generator) -> torch.Tensor:
            return nn.functional.mse_loss(model(seen[0]), seen[1])

        def measure(model: nn.Module) -> Mapping[str, float]:
            with torch.no_grad():
                return {"score": psnr(model(hidden[0]), hidden[1]), "train_psnr": psnr(model(seen[0]), seen[1])}

        return Problem(places, loss, measure)

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """Two coordinates, three hidden layers of 64, three colours."""
        model = coordinate_network(make_activation, 2, WIDTH, DEPTH, 3)
        if self.chosen == "siren":
            layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
            with torch.no_grad():
                for number, layer in enumerate(layers):
                    bound = 1 / layer.in_features if number == 0 else math.sqrt(6 / layer.in_features) / SIREN_FREQUENCY
                    layer.weight.uniform_(-bound, bound)
        return model


class ImageFitSiren(ImageFit):
    """As `image-fit`, with the initial weights of SIREN, for functions of high frequency such as sin(30*x)."""

    name, initialization = "image-fit-siren", "siren"
