"""MobileViTv2 (Mehta & Rastegari 2022, arXiv:2206.02680) round any activation.

Inverted residual blocks, and in the last three stages blocks whose attention is linear in the number of pixels: one
score a pixel weighs the keys into a single context, which multiplies the rectified values. Sites, in the order of the
forward pass: after every normalized convolution that has one, the rectifier of each attention, and the hidden layer
of each feed-forward block; 34 in all.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from symact.tasks.networks import MakeActivation

# The paper's Table 7 at width 1: channels of the stem and of the five stages.
CHANNELS = (32, 64, 128, 256, 384, 512)
# Of the last three stages: channels of attention, and how many blocks of it.
ATTENTION = ((128, 2), (192, 4), (256, 3))
EXPANSION = 2  # of inverted residuals and of feed-forward blocks
PATCH = 2  # pixels a side; attention is among pixels of the same place in their patches


def convolution(inputs: int, outputs: int, size: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution without bias, and its normalization."""
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(outputs)]


class InvertedResidual(nn.Module):
    """Wider, depthwise, narrower again (MobileNetV2, arXiv:1801.04381), with a shortcut where the shape stays."""

    def __init__(self, make_activation: MakeActivation, inputs: int, outputs: int, stride: int):
        super().__init__()
        wide = EXPANSION * inputs
        self.layers = nn.Sequential(
            *(*convolution(inputs, wide), make_activation()),
            *(*convolution(wide, wide, 3, stride, wide), make_activation()),
            *convolution(wide, outputs),
        )
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output."""
        y: torch.Tensor = self.layers(x)
        return x + y if self.has_shortcut else y


class SeparableAttention(nn.Module):
    """Separable self-attention, section 3.2 of the paper, of ``(n, channels, places, patches)``."""

    def __init__(self, make_activation: MakeActivation, channels: int):
        super().__init__()
        self.channels = channels
        self.project = nn.Conv2d(channels, 1 + 2 * channels, 1)
        self.act = make_activation()
        self.output = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The values, rectified, times the context of their place; projected."""
        score, key, value = self.project(x).split([1, self.channels, self.channels], 1)
        context = (key * functional.softmax(score, -1)).sum(-1, keepdim=True)
        output: torch.Tensor = self.output(self.act(value) * context)
        return output


class AttentionBlock(nn.Module):
    """Attention and a feed-forward block, each normalized before and added."""

    def __init__(self, make_activation: MakeActivation, channels: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(1, channels)
        self.attention = SeparableAttention(make_activation, channels)
        self.norm2 = nn.GroupNorm(1, channels)
        wide = EXPANSION * channels
        self.feed_forward = nn.Sequential(nn.Conv2d(channels, wide, 1), make_activation(), nn.Conv2d(wide, channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output, of the shape of its input."""
        x = x + self.attention(self.norm1(x))
        output: torch.Tensor = x + self.feed_forward(self.norm2(x))
        return output


class MobileViTBlock(nn.Module):
    """What is near by a depthwise convolution, what is far by attention among patches."""

    def __init__(self, make_activation: MakeActivation, outputs: int, channels: int, blocks: int):
        super().__init__()
        self.near = nn.Sequential(
            *(*convolution(outputs, outputs, 3, groups=outputs), make_activation()),
            nn.Conv2d(outputs, channels, 1, bias=False),
        )
        self.far = nn.Sequential(*(AttentionBlock(make_activation, channels) for _ in range(blocks)))
        self.norm = nn.GroupNorm(1, channels)
        self.output = nn.Sequential(*convolution(channels, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's output. Images whose sides are no whole number of patches are scaled up for it."""
        height, width = x.shape[2:]
        rows, columns = -(-height // PATCH), -(-width // PATCH)
        if (rows * PATCH, columns * PATCH) != (height, width):
            x = functional.interpolate(x, (rows * PATCH, columns * PATCH), mode="bilinear", align_corners=True)
        x = self.near(x)
        count, channels = x.shape[:2]
        x = x.reshape(count, channels, rows, PATCH, columns, PATCH).permute(0, 1, 3, 5, 2, 4)
        x = self.norm(self.far(x.reshape(count, channels, PATCH**2, rows * columns)))
        x = x.reshape(count, channels, PATCH, PATCH, rows, columns).permute(0, 1, 4, 2, 5, 3)
        output: torch.Tensor = self.output(x.reshape(count, channels, rows * PATCH, columns * PATCH))
        return output


def mobilevit_v2(make_activation: MakeActivation, classes: int = 1000, width: float = 0.5) -> nn.Sequential:
    """MobileViTv2; 34 sites.

    Args:
        make_activation: gives a fresh activation.
        classes: number of classes.
        width: factor on all numbers of channels; 0.5 has 1.37 million parameters with 1,000 classes.
    """
    channels = [round(width * count) for count in CHANNELS]
    layers = [*convolution(3, channels[0], 3, 2), make_activation()]
    for stage, (inputs, outputs) in enumerate(pairwise(channels)):
        layers.append(InvertedResidual(make_activation, inputs, outputs, 1 if stage == 0 else 2))
        if stage == 1:
            layers.append(InvertedResidual(make_activation, outputs, outputs, 1))
        if stage >= 2:
            inner, blocks = ATTENTION[stage - 2]
            layers.append(MobileViTBlock(make_activation, outputs, round(width * inner), blocks))
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], classes))
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
        elif isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return model
