"""Launches: how much of a tensor a program takes, and the compiled kernel found again by what its arguments are.

Triton finds it again, too, but by binding, specializing and hashing every argument; what it asks for is asked here in
one look-up, where size and layout are those of a `LaunchSetting`. The first launch of a setting goes through Triton,
which compiles if it has to. All later ones, those that a CUDA graph captures among them, compile nothing, allocate
nothing and wait for nothing.
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


class LaunchSetting:
    """How a kernel is launched on tensors of one size and layout.

    Args:
        programs: how many.
        sizes: arguments behind the tensors.
        constants: the last arguments, which are part of the kernel.
    """

    __slots__ = ("compiled", "constants", "programs", "sizes")

    def __init__(self, programs: int, sizes: tuple[int, ...], constants: tuple[int, ...]):
        self.programs, self.sizes, self.constants = programs, sizes, constants
        # By what else Triton compiles a kernel anew for: device, dtypes, and what pointers are multiples of.
        self.compiled: dict[Any, Any] = {}


class Launch:
    """A kernel.

    Args:
        function: what `triton.jit` made.
        interpreted: whether Triton interprets it.
    """

    def __init__(self, function: Any, interpreted: bool):
        self._function, self._interpreted = function, interpreted

    def __call__(self, setting: LaunchSetting, tensors: list[Tensor]) -> None:
        """Run it on the current stream of the tensors' device; they are the first arguments."""
        device = tensors[0].get_device()
        if device >= 0 and device != torch.cuda.current_device():
            with torch.cuda.device(device):
                self(setting, tensors)
            return
        sizes, constants = setting.sizes, setting.constants
        if self._interpreted:
            self._function[(setting.programs,)](*tensors, *sizes, *constants)
            return
        together = 0
        for t in tensors:
            together |= t.data_ptr()
        # Mostly all are aligned, and nobody asks which is not.
        unaligned = tuple([t.data_ptr() & 15 for t in tensors]) if together & 15 else None
        key = device, tuple([t.dtype for t in tensors]), unaligned
        compiled = setting.compiled.get(key)
        if compiled is None:
            found = self._function[(setting.programs,)](*tensors, *sizes, *constants, num_warps=WARPS)
            setting.compiled[key] = found
        else:
            compiled[setting.programs, 1, 1](*tensors, *sizes, *constants)
