"""The two Kronecker factors of a layer's Fisher block: second moments of its inputs and of its output gradients.

In: what a layer saw (`LayerRecord`) and the gradients at its outputs. Out: `input_factor` A and
`gradient_factor` G as defined in `fisher.py`.

The rows of A of a convolution are input patches; in general they are written out. For wide layers of stride 1 they
are never formed: two taps `a` and `b` of the kernel see

    A[a, b] = sum over positions p of  x[p + a] x[p + b]^T
            = autocorrelation of x at the shift b - a,  less what the window of a leaves out,

so that the 45 distinct pairs of taps of a 3x3 kernel cost 13 products instead of 45, and thin strips at the borders.
Both ways give the same matrix up to rounding.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.linalg import blas
from torch import nn
from torch.nn import functional

# Factors up to this size are accumulated in double precision, larger ones in single: their cost is
# in the products, and half of that buys more than digits that the bins cannot show.
DOUBLE_LIMIT = 512
# Channels from which the autocorrelations of a convolution's input are quicker than its patches.
WIDE = 32
# Numbers of a piece of a batch whose patches are, or are not, written out; columns that are added up at a time.
PATCHES, PIECE, COLUMNS = 2**22, 2**26, 4096


@dataclass
class LayerRecord:
    """What one layer saw: inputs and outputs of its calls, in order."""

    name: str
    module: nn.Linear | nn.Conv2d
    inputs: list[torch.Tensor] = field(default_factory=list)
    outputs: list[torch.Tensor] = field(default_factory=list)

    @property
    def weights(self) -> int:
        """Number of weights, biases included."""
        return sum(parameter.numel() for parameter in self.module.parameters())


def input_factor(record: LayerRecord) -> torch.Tensor:
    """A, ``(d, d)``: second moment of the layer's inputs (patches), with a column of ones for a bias."""
    module, bias = record.module, record.module.bias is not None
    count = sum(len(x) for x in record.inputs)
    if isinstance(module, nn.Conv2d) and all(_dense(module, x) for x in record.inputs):
        shifted = ShiftedMoment(module)
        for x in record.inputs:
            shifted.add(x.detach())
        return shifted.total(bias) / count
    moment = SecondMoment(bias)
    for x in record.inputs:
        for columns in _input_columns(module, x.detach()):
            moment.add(columns)
    groups = module.groups if isinstance(module, nn.Conv2d) else 1
    return moment.total() / (count * groups)


def gradient_factor(record: LayerRecord, gradients: list[torch.Tensor]) -> torch.Tensor:
    """G, ``(outputs, outputs)``: second moment of the loss gradient over examples and positions."""
    moment, count = SecondMoment(False), 0
    for gradient in gradients:
        linear = isinstance(record.module, nn.Linear)
        columns = gradient.flatten(0, -2).t() if linear else gradient.transpose(0, 1).flatten(1)
        moment.add(columns)
        count += columns.shape[1]
    return moment.total() / count


def _padded(module: nn.Conv2d, x: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
    """The images and the padding still to do: padding given as a word is done here where it is not even."""
    padding = module.padding
    if not isinstance(padding, str):
        return x, (padding[0], padding[1])
    sizes = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
    if padding != "same":
        return x, (0, 0)
    if sizes[0] % 2 == sizes[1] % 2 == 0:
        return x, (sizes[0] // 2, sizes[1] // 2)
    x = functional.pad(x, (sizes[1] // 2, sizes[1] - sizes[1] // 2, sizes[0] // 2, sizes[0] - sizes[0] // 2))
    return x, (0, 0)


def _input_columns(module: nn.Linear | nn.Conv2d, x: torch.Tensor) -> Iterator[torch.Tensor]:
    """Columns ``(d, n)`` of a layer's input, in pieces of bounded memory; a piece is overwritten by the next."""
    if isinstance(module, nn.Linear):
        yield x.flatten(0, -2).t()
        return
    groups, kernel, stride = module.groups, module.kernel_size, module.stride
    x, padding = _padded(module, x)
    x = functional.pad(x, (padding[1], padding[1], padding[0], padding[0])) if max(padding) else x
    reach = [d * (k - 1) for d, k in zip(module.dilation, kernel, strict=True)]
    height, width = ((x.shape[2 + k] - reach[k] - 1) // stride[k] + 1 for k in (0, 1))
    taps, channels = list(itertools.product(*map(range, kernel))), x.shape[1] // groups
    images = max(1, PATCHES // (channels * len(taps) * groups * height * width))
    place = x.new_empty(channels, len(taps), groups, min(images, len(x)), height, width)
    for part in x.split(images):
        patches = place[:, :, :, : len(part)]
        for position, (i, j) in enumerate(taps):
            top, left = i * module.dilation[0], j * module.dilation[1]
            seen = part[:, :, top :: stride[0], left :: stride[1]][:, :, :height, :width]
            patches[:, position] = seen.unflatten(1, (groups, channels)).permute(2, 1, 0, 3, 4)
        yield patches.flatten(2).flatten(0, 1)


class SecondMoment:
    """Sum of ``columns columns^T`` over pieces, with a last row of ones if asked for.

    In double precision where that is cheap; on a CPU by BLAS' symmetric update, which is half the work of a general
    product and adds up in place.
    """

    def __init__(self, ones: bool):
        self.ones = ones
        self.moment: torch.Tensor | None = None
        self.sums = torch.zeros(0)
        self.count = 0

    def add(self, columns: torch.Tensor) -> None:
        """Add a piece ``(d, n)``."""
        size, dtype = len(columns), torch.float64 if len(columns) < DOUBLE_LIMIT else torch.float32
        if self.moment is None:
            # BLAS updates a matrix in Fortran's order: the transpose of this one.
            self.moment = columns.new_zeros(size, size, dtype=dtype)
            self.sums = columns.new_zeros(size, dtype=dtype)
        for part in columns.split(COLUMNS, 1):
            part = part.to(dtype)
            if part.device.type == "cpu":
                symmetric = blas.dsyrk if dtype == torch.float64 else blas.ssyrk
                # Whichever order the numbers lie in is handed over as it is.
                rows = part.numpy().T
                symmetric(
                    1.0,
                    rows if rows.flags.f_contiguous else rows.T,
                    1.0,
                    self.moment.numpy().T,
                    trans=int(rows.flags.f_contiguous),
                    overwrite_c=1,
                )
            else:
                self.moment.addmm_(part, part.t())
            if self.ones:
                self.sums += part.sum(1)
        self.count += columns.shape[1]

    def total(self) -> torch.Tensor:
        """The sum, ``(d, d)`` or ``(d + 1, d + 1)``."""
        assert self.moment is not None
        moment = self.moment
        if moment.device.type == "cpu":
            # The update fills one triangle only; the other is zero.
            half = moment.numpy()
            whole = half + half.T
            np.fill_diagonal(whole, half.diagonal())
            moment = torch.from_numpy(whole)
        return _bordered(moment, self.sums, self.count) if self.ones else moment


def _bordered(moment: torch.Tensor, sums: torch.Tensor, count: int) -> torch.Tensor:
    """The second moment with a last row and column for the constant one."""
    whole = moment.new_empty(len(moment) + 1, len(moment) + 1)
    whole[:-1, :-1] = moment
    whole[-1, :-1] = whole[:-1, -1] = sums
    whole[-1, -1] = count
    return whole


def _dense(module: nn.Conv2d, x: torch.Tensor) -> bool:
    """Whether autocorrelations are less work than patches: many channels, stride 1, and hardly any padding."""
    channels = x.shape[1]
    if module.groups > 1 or max(module.stride) > 1 or module.padding_mode != "zeros" or channels < WIDE:
        return False
    if channels * math.prod(module.kernel_size) < DOUBLE_LIMIT or max(module.kernel_size) == 1:
        return False
    x, padding = _padded(module, x[:1])
    rows, columns = _axes(module, x, padding)
    return rows.positions * columns.positions > 0.6 * rows.length * columns.length


@dataclass(frozen=True)
class _Axis:
    """One spatial axis of a convolution of stride 1: tap `t` reads, at position ``p``, the number ``p + shift[t]``.

    Attributes:
        positions: number of outputs.
        shift: per tap.
        data: the numbers that are pixels; the others are zeros.
        length: of a line, with zeros at its end where a shift would else meet the next line.
    """

    positions: int
    shift: tuple[int, ...]
    data: range
    length: int

    @classmethod
    def of(cls, size: int, kernel: int, padding: int, dilation: int) -> _Axis:
        shift = tuple(dilation * tap for tap in range(kernel))
        length = size + padding + max(padding, shift[-1] - padding)
        return cls(size + 2 * padding - shift[-1], shift, range(padding, padding + size), length)

    def parts(self, a: int, b: int) -> tuple[range, list[int]]:
        """Where ``q`` and ``q + shift[b] - shift[a]`` are pixels: numbers in the window of tap `a`, and others."""
        delta = self.shift[b] - self.shift[a]
        start, stop = self.data.start + max(0, -delta), self.data.stop - max(0, delta)
        both = range(start, max(start, stop))
        start, stop = max(both.start, self.shift[a]), min(both.stop, self.shift[a] + self.positions)
        inside = range(start, max(start, stop))
        return inside, [number for number in both if number not in inside]


def _axes(module: nn.Conv2d, x: torch.Tensor, padding: tuple[int, int]) -> tuple[_Axis, _Axis]:
    rows, columns = (_Axis.of(x.shape[2 + k], module.kernel_size[k], padding[k], module.dilation[k]) for k in (0, 1))
    return rows, columns


class ShiftedMoment:
    """Second moment of the patches of a convolution of stride 1, from the autocorrelations of its input.

    Rows are in the order of the layer's weights: channel, then tap.
    """

    def __init__(self, module: nn.Conv2d):
        self.module = module
        self.taps = [(i, j) for i in range(module.kernel_size[0]) for j in range(module.kernel_size[1])]
        size = module.in_channels
        self.moment = module.weight.new_zeros(size, len(self.taps), size, len(self.taps), dtype=torch.float32)
        self.sums = module.weight.new_zeros(size, len(self.taps), dtype=torch.float32)
        self.count = 0

    def add(self, x: torch.Tensor) -> None:
        """Add the patches of images ``(n, channels, height, width)``."""
        x, padding = _padded(self.module, x)
        rows, columns = _axes(self.module, x, padding)
        for part in x.split(max(1, PIECE // (x.shape[1] * rows.length * columns.length))):
            images = _Images(part, rows, columns)
            known: dict[tuple[int, int], torch.Tensor] = {}
            for b, a in itertools.combinations_with_replacement(range(len(self.taps)), 2):
                shift = images.shift(self.taps[a], self.taps[b])
                if shift not in known:
                    known[shift] = images.correlation(shift)
                block = images.windowed(known[shift], self.taps[a], self.taps[b])
                self.moment[:, a, :, b] += block
                if a != b:
                    self.moment[:, b, :, a] += block.t()
            self.sums += torch.stack([images.window_sum(tap) for tap in self.taps], 1)
            self.count += len(part) * rows.positions * columns.positions

    def total(self, ones: bool) -> torch.Tensor:
        """The sum, ``(d, d)``, or ``(d + 1, d + 1)`` with a last row of ones."""
        moment = self.moment.flatten(2).flatten(0, 1)
        return _bordered(moment, self.sums.flatten(), self.count) if ones else moment


class _Images:
    """A batch as ``(channels, n, rows, columns)`` with zeros round it."""

    def __init__(self, x: torch.Tensor, rows: _Axis, columns: _Axis):
        self.rows, self.columns = rows, columns
        self.pixels = x.new_zeros((x.shape[1], len(x), rows.length, columns.length), dtype=torch.float32)
        down, across = rows.data, columns.data
        self.pixels[:, :, down.start : down.stop, across.start : across.stop] = x.transpose(0, 1)
        self.sum = self.pixels.sum(1)
        self.lines: dict[int, torch.Tensor] = {}

    def shift(self, one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
        rows, columns = self.rows.shift, self.columns.shift
        return rows[other[0]] - rows[one[0]], columns[other[1]] - columns[one[1]]

    def correlation(self, shift: tuple[int, int]) -> torch.Tensor:
        """``(channels, channels)``: sum over all images and pixels ``x[q] x[q + shift]^T``.

        A shift of an image is a shift of its numbers in memory: what runs over the end of a line meets zeros.
        """
        flat, offset = self.pixels.flatten(1), shift[0] * self.columns.length + shift[1]
        before, after = flat[:, max(0, -offset) :], flat[:, max(0, offset) :]
        count = flat.shape[1] - abs(offset)
        return torch.mm(before[:, :count], after[:, :count].t())

    def windowed(self, whole: torch.Tensor, one: tuple[int, int], other: tuple[int, int]) -> torch.Tensor:
        """`whole` without what lies outside the window of the first tap."""
        down, across = self.shift(one, other)
        height, rows = self.rows.parts(one[0], other[0])
        width, columns = self.columns.parts(one[1], other[1])
        start, stop = min([width.start, *columns]), max([width.stop, *(column + 1 for column in columns)])
        for row in rows:
            first = self.pixels[:, :, row, start:stop].flatten(1)
            second = self.pixels[:, :, row + down, start + across : stop + across].flatten(1)
            whole = torch.addmm(whole, first, second.t(), alpha=-1)
        for column in columns:
            # What is outside by its row as well has been taken off.
            first = self._line(column)[:, :, height.start : height.stop].flatten(1)
            second = self._line(column + across)[:, :, height.start + down : height.stop + down].flatten(1)
            whole = torch.addmm(whole, first, second.t(), alpha=-1)
        return whole

    def _line(self, column: int) -> torch.Tensor:
        """One column of all images, ``(channels, n, rows)``, gathered once."""
        if column not in self.lines:
            self.lines[column] = self.pixels[..., column].contiguous()
        return self.lines[column]

    def window_sum(self, tap: tuple[int, int]) -> torch.Tensor:
        """``(channels,)``: sum of what a tap sees."""
        top, left = self.rows.shift[tap[0]], self.columns.shift[tap[1]]
        window = self.sum[:, top : top + self.rows.positions, left : left + self.columns.positions]
        return window.sum((1, 2))
