"""How tensors of one shape lie in memory together: as rows that the block interpreter walks in one order.

Halves of one tensor (the packed layout of gated layers), every other element of one, and tensors that are broadcast
are read where they are. Only what two strides cannot say is copied.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class RowLayout(NamedTuple):
    """Element i of a tensor lies `i // inner * row + i % inner * step` elements behind its first.

    Attributes:
        inner: how many elements make a row.
        strides: `(row, step)` of each tensor.
    """

    inner: int
    strides: tuple[tuple[int, int], ...]


def rows(tensors: tuple[Tensor, ...]) -> RowLayout | None:
    """The rows of tensors of one shape, in the order of the first one's memory; None where two strides do not do."""
    sizes = tensors[0].shape
    if all(t.is_contiguous() for t in tensors):
        return RowLayout(max(tensors[0].numel(), 1), ((0, 1),) * len(tensors))
    strides = [t.stride() for t in tensors]
    merged: list[tuple[int, list[int]]] = []
    for d in sorted(range(len(sizes)), key=lambda d: -strides[0][d]):
        if sizes[d] == 1:
            continue
        own = [s[d] for s in strides]
        if merged and all(outer == inner * sizes[d] for outer, inner in zip(merged[-1][1], own, strict=True)):
            merged[-1] = merged[-1][0] * sizes[d], own
        else:
            merged.append((sizes[d], own))
    if len(merged) > 2:
        return None
    inner, steps = merged[-1] if merged else (1, [1] * len(tensors))
    outer = merged[0][1] if len(merged) == 2 else [0] * len(tensors)
    return RowLayout(inner, tuple(zip(outer, steps, strict=True)))


def result_of(tensors: tuple[Tensor, ...]) -> Tensor:
    """A new tensor for values, in the layout of the first input that is not broadcast."""
    for t in tensors:
        if 0 not in t.stride():
            return torch.empty_like(t)
    return torch.empty(tensors[0].shape, dtype=tensors[0].dtype)


def fitting(results: tuple[Tensor, ...], tensors: tuple[Tensor, ...]) -> tuple[RowLayout, tuple[Tensor, ...]]:
    """The common rows of results and inputs, and the inputs, copied where they have none."""
    found = rows((*results, *tensors))
    if found is None:
        copies = [torch.empty_like(results[0]).copy_(t) for t in tensors]
        tensors = tuple(copies)
        found = rows((*results, *tensors))
        assert found is not None, "results of one layout and copies of it have common rows"
    return found, tensors


def inner_of_channels(result: Tensor) -> int:
    """How many elements of one channel, the second dimension, lie beside each other in the order of a result."""
    if result.dim() < 2:
        return 1
    own = result.stride(1)
    return math.prod([n for d, n in enumerate(result.shape) if d != 1 and result.stride(d) < own])
