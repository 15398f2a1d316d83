"""Orders of elements in memory, which elementwise kernels keep as PyTorch's own operations do.

A kernel walks over memory from the first element to the last. So a tensor may have its dimensions in any order, if it
has no gaps; what goes with it must have the same order. Where parameters are per channel, the kernel also has to know
the channel of an element by its place.
"""

from __future__ import annotations

import torch
from torch import Tensor

_empty_like = torch.empty_like
_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def dense(x: Tensor) -> Tensor:
    """Without gaps and repetitions; copied, dimensions in the same order, where it has some."""
    if x.is_contiguous():
        return x
    y = _empty_like(x)
    return x if y.stride() == x.stride() else y.copy_(x)


def like(tensor: Tensor, x: Tensor) -> Tensor:
    """A tensor with its elements in the order of those of a dense `x` of its shape."""
    if (tensor.is_contiguous() and x.is_contiguous()) or tensor.stride() == x.stride():
        return tensor
    return _empty_like(x).copy_(tensor)


def counts_channels(x: Tensor) -> bool:
    """Whether the place of an element tells its channel: contiguous or channels_last."""
    if x.is_contiguous():
        return True
    last = _LAST.get(x.dim())
    return last is not None and x.is_contiguous(memory_format=last)


def reordered(x: Tensor, parameters: tuple[Tensor, ...]) -> bool:
    """Whether parameters are per channel and no place tells the channel, so that `x` must be copied."""
    return any(p.dim() for p in parameters) and not counts_channels(x)
