"""Launches: how much of a tensor a program takes, and the compiled kernel found again by what its arguments are.

Triton finds it again, too, but by binding, specializing and hashing every argument; what it asks for is asked here in
one look-up. The first launch of a kind goes through Triton and compiles. All later ones, those that a CUDA graph
captures among them, compile nothing, allocate nothing and wait for nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

# From this many elements on, offsets are 64 bits wide.
WIDE_FROM = 2**31
# From how many bytes of a tensor on a thread takes how many, in vectors of 16; more programs share a small tensor.
BYTES_PER_THREAD = ((2**22, 32), (0, 16))
WARPS = 4
# Columns of a tile where channels are next to each other, at most.
TILE_COLUMNS = 64


class Tiling(NamedTuple):
    """A tensor as rows and columns, and the tile of them that a program takes.

    Attributes:
        rows: how many;
        columns: and how long.
        by_row: whether rows are channels in turn; else columns are.
        tile: rows and columns of it.
        blocks: how many tiles there are of each.
    """

    rows: int
    columns: int
    by_row: bool
    tile: tuple[int, int]
    blocks: tuple[int, int]


def block(count: int, itemsize: int) -> int:
    """Elements that a program takes of a tensor."""
    (least, large), (_, small) = BYTES_PER_THREAD
    share = large if count * itemsize >= least else small
    return 32 * WARPS * share // itemsize


def tiling(x: Tensor, channels: int, inner: int) -> Tiling:
    """A tensor with channels, whose elements are stored as ``(outer, channels, inner)``."""
    size = block(x.numel(), x.element_size())
    by_row = inner > 1
    height, width = (x.numel() // inner, inner) if by_row else (x.numel() // channels, channels)
    columns = min(size if by_row else TILE_COLUMNS, _power_of_two(width))
    tile = size // columns, columns
    return Tiling(height, width, by_row, tile, (-(-height // tile[0]), -(-width // tile[1])))


def _power_of_two(size: int) -> int:
    return 1 << (size - 1).bit_length()


class Launch:
    """A kernel.

    Args:
        function: what `triton.jit` made.
        interpreted: whether Triton interprets it.
    """

    def __init__(self, function: Any, interpreted: bool):
        self._function, self._interpreted = function, interpreted
        self._compiled: dict[Any, Any] = {}

    def __call__(
        self, programs: int, tensors: list[Tensor], sizes: tuple[int, ...], constants: tuple[int, ...]
    ) -> None:
        """Run it on the current stream of the tensors' device.

        Args:
            programs: how many.
            tensors: the first arguments.
            sizes: the next.
            constants: the last, which are part of the kernel.
        """
        x = tensors[0]
        if x.is_cuda and x.get_device() != torch.cuda.current_device():
            with torch.cuda.device(x.device):
                self(programs, tensors, sizes, constants)
            return
        if self._interpreted:
            self._function[(programs,)](*tensors, *sizes, *constants)
            return
        # What Triton compiles a kernel anew for.
        key = (
            x.get_device(),
            constants,
            tuple([t.dtype for t in tensors]),
            tuple([t.data_ptr() & 15 for t in tensors]),
            tuple([(size == 1, size & 15 == 0, size >= WIDE_FROM) for size in sizes]),
        )
        compiled = self._compiled.get(key)
        if compiled is None:
            self._compiled[key] = self._function[(programs,)](*tensors, *sizes, *constants, num_warps=WARPS)
        else:
            compiled[programs, 1, 1](*tensors, *sizes, *constants)
