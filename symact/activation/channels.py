"""Which dimension of a tensor counts channels, and how parameters of one value per channel lie along it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symact.errors import InputError


def place_of_channels(x: Tensor, channel_dim: int) -> int:
    """The dimension of `x` that counts channels, from 0; that of a vector is 0.

    Raises:
        InputError: `x` has no such dimension.
    """
    place = channel_dim if channel_dim >= 0 else x.dim() + channel_dim
    if x.dim() < 2:
        return 0
    if not 0 <= place < x.dim():
        raise InputError(f"a tensor of {x.dim()} dimensions has no channel_dim={channel_dim}")
    return place


def channel_dimension(x: Tensor, channels: int) -> int:
    """The dimension that counts channels where nobody said: the second, if the sizes of a tensor of three fit no other.

    Such a tensor is `[batch, channels, length]` after `nn.Conv1d` and `[batch, length, channels]` after `nn.Linear`.

    Args:
        x: what comes.
        channels: their number, 1 for one value for all, 0 where it is not known yet.

    Raises:
        InputError: the sizes do not tell.
    """
    if x.dim() != 3 or channels == 1:
        return 1
    if x.is_nested or not channels or x.shape[2] == channels:
        shape = "nested" if x.is_nested else f"of shape {tuple(x.shape)}"
        raise InputError(
            f"which dimension of a tensor {shape} counts channels is not clear: give channel_dim=1 (as after nn.Conv1d)"
            " or channel_dim=-1 (as after nn.Linear)"
        )
    return 1


def channels_second(x: Tensor, channel_dim: int) -> Tensor:
    """A tensor of two or three dimensions, the second of which counts channels."""
    place = place_of_channels(x, channel_dim)
    before, count, behind = x.shape[:place], x.shape[place], x.shape[place + 1 :]
    return x.reshape(math.prod(before), count, math.prod(behind)) if behind else x.reshape(math.prod(before), count)


def channelwise(parameter: Tensor, x: Tensor, channel_dim: int = 1) -> Tensor:
    """A parameter of shape `(C,)` viewed so that it broadcasts along the channels of `x`.

    Raises:
        InputError: `x` has another number of channels, or none.
    """
    if parameter.dim() == 0:
        return parameter
    if parameter.numel() == 1:
        return parameter.reshape(())
    place = place_of_channels(x, channel_dim)
    # While TorchScript traces, sizes are tensors, and to compare them would be a warning.
    if (torch.compiler.is_compiling() or not torch._C._is_tracing()) and (
        parameter.dim() > 1 or not x.dim() or x.shape[place] != parameter.shape[0]
    ):
        raise InputError(
            f"parameters of shape {tuple(parameter.shape)} do not fit a tensor of shape {tuple(x.shape)}, whose "
            f"channels are dimension {place}: give channels= and channel_dim= that fit"
        )
    return parameter.view(-1, *[1] * (x.dim() - 1 - place))
