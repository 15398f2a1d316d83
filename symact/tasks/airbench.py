"""`cifar10-fast`: CIFAR-10 to about 94 % in seconds of a GPU, as airbench does it (Jordan 2024, arXiv:2404.00498).

What makes it fast, as the paper and its code describe it: the first layer is not learned but whitens patches of 2x2
pixels; three blocks of two convolutions that begin as the identity; normalization with a learned bias alone, which
moves 64 times as fast as the weights; Nesterov momentum with a rate that rises and falls; label smoothing; shifts by
two pixels; every image is flipped in every other epoch; the weights are averaged with older ones ever more slowly.
Left out here: test-time augmentation, half-precision weights (bfloat16 autocast is used), freezing the first bias.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from symact.tasks.config import TrainConfig
from symact.tasks.large import CIFAR10AllCNNC
from symact.tasks.networks import MakeActivation

BIAS_SCALE = 8.0  # a bias that counts 8 times moves 64 times as fast under SGD
OUTPUT_SCALE = 1 / 9
WIDTHS = (64, 256, 256)
PATCH = 2
WHITENING_IMAGES = 5000
# airbench94.py, `init_whitening_conv`: added to the variances, so that a direction with none is not divided by zero.
WHITENING_EPSILON = 5e-4
# airbench94.py, `batchnorm_momentum` 0.6 as PyTorch counts it: the weight of the new batch in the running statistics.
STATISTICS_MOMENTUM = 0.4


class BiasNorm(nn.Module):
    """Batch normalization with a bias and no scale."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, momentum=STATISTICS_MOMENTUM, affine=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The input, normalized per channel, and the bias."""
        output: torch.Tensor = self.norm(x) + BIAS_SCALE * self.bias[:, None, None]
        return output


class FastBlock(nn.Module):
    """Convolution, pooling, normalization, activation; convolution, normalization, activation."""

    def __init__(self, make_activation: MakeActivation, inputs: int, outputs: int):
        super().__init__()
        self.conv1, self.conv2 = _identity_like(inputs, outputs), _identity_like(outputs, outputs)
        self.norm1, self.norm2 = BiasNorm(outputs), BiasNorm(outputs)
        self.act1, self.act2 = make_activation(), make_activation()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output, of half the height and width."""
        x = self.act1(self.norm1(functional.max_pool2d(self.conv1(x), 2)))
        output: torch.Tensor = self.act2(self.norm2(self.conv2(x)))
        return output


def _identity_like(inputs: int, outputs: int) -> nn.Conv2d:
    """A convolution without bias whose first outputs are its inputs."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight.data[:inputs])
    return layer


def whitening_filters(x: torch.Tensor) -> torch.Tensor:
    """Filters that make the patches of images uncorrelated, and their negatives.

    Args:
        x: images ``(n, channels, height, width)``.

    Returns:
        ``(2 * channels * PATCH**2, channels, PATCH, PATCH)``: the principal directions, each divided by its deviation.
    """
    channels = x.shape[1]
    patches = functional.unfold(x, PATCH, stride=PATCH).transpose(1, 2).reshape(-1, channels * PATCH**2)
    values, vectors = torch.linalg.eigh(torch.cov(patches.double().T))
    filters = (vectors / (values.clamp(min=0) + WHITENING_EPSILON).sqrt()).T.flip(0)
    # The sign of an eigenvector is anybody's; with its largest entry positive it is the same everywhere.
    largest = filters.abs().argmax(1, keepdim=True)
    filters = filters * filters.gather(1, largest).sign()
    return torch.cat([filters, -filters]).reshape(-1, channels, PATCH, PATCH).to(x.dtype)


class CIFAR10Fast(CIFAR10AllCNNC):
    """CIFAR-10 to about 94 % in seconds of a large GPU, after airbench; `--train subset=... epochs=...` for a CPU."""

    name, sites, has_width = "cifar10-fast", 7, True
    # GELU is the recipe's own.
    baselines = ("gelu(x)", "relu(x)", "elu(x)", "selu(x)", "swish(x)", "mish(x)", "tanh(x)", "leakyrelu(x)")
    number_format = ".4f"
    tunable = {**CIFAR10AllCNNC.tunable, "rate": "0.1:10.0:log", "batch": "128:4096:log"}
    config = TrainConfig(
        epochs=9.9,
        batch=1024,
        optimizer="nesterov",
        rate=1.5,
        rate_batch=1024,
        momentum=0.85,
        weight_decay=1.33e-3,
        warmup=0.23,
        decay="linear",
        label_smoothing=0.2,
        augment=True,
        shift=2,
        alternate_flips=True,
        lookahead=5,
        mixed_precision=True,
        evaluation_batch=2000,
    )

    @cached_property
    def filters(self) -> torch.Tensor:
        """The filters of the first layer: the same for every function and every seed."""
        return whitening_filters(self.dataset.train.x[:WHITENING_IMAGES])

    def network(self, make_activation: MakeActivation) -> nn.Module:
        """A whitening layer, three blocks of airbench's widths times `config.width`, and a linear layer."""
        filters = self.filters
        first = nn.Conv2d(filters.shape[1], len(filters), PATCH)
        first.weight = nn.Parameter(filters.clone(), requires_grad=False)
        nn.init.zeros_(first.bias)  # type: ignore[arg-type]
        widths = [len(filters), *(max(len(filters), self.wide(width)) for width in WIDTHS)]
        layers: list[nn.Module] = [first, make_activation()]
        layers += [FastBlock(make_activation, a, b) for a, b in pairwise(widths)]
        head = nn.Linear(widths[-1], self.dataset.classes, bias=False)
        with torch.no_grad():
            head.weight.mul_(OUTPUT_SCALE)
        return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), head)
