"""Fused Triton kernels on tensors: a function with its gradients, or any Program over tensors of one shape."""

from __future__ import annotations

import importlib.util
import math
import os
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from symact.backends.layout import dense, like, reordered
from symact.backends.torch_source import execute
from symact.backends.triton import launch
from symact.backends.triton.launch import Launch, LaunchSetting
from symact.backends.triton.library import DTYPES, PRECISIONS
from symact.backends.triton.source import elementwise, module, source
from symact.program.program import Program


def kernel(forward: Program, backward: Program) -> TritonKernel | None:
    """The fused kernel of a function, or None where Triton cannot run."""
    return TritonKernel(forward, backward) if _runs() else None


def pointwise(program: Program) -> TritonPointwise | None:
    """The fused kernel of a Program over tensors of one shape, or None where Triton cannot run."""
    return TritonPointwise(program) if _runs() else None


def _runs() -> bool:
    return available() and (torch.cuda.is_available() or interpreted())


@cache
def available() -> bool:
    """Whether Triton is installed."""
    return importlib.util.find_spec("triton") is not None


def interpreted() -> bool:
    """Whether Triton's interpreter runs kernels, on tensors of any device."""
    return os.environ.get("TRITON_INTERPRET", "0") not in ("", "0")


class _Prepared(NamedTuple):
    """What is settled of a launch once device, dtype, size and layout are.

    Attributes:
        launch: the kernel.
        setting: how it is launched.
        parts: the shape of the sums of a parameter's gradient that its programs leave,
        axes: and over which of their axes they are summed for one per channel.
    """

    launch: Launch
    setting: LaunchSetting
    parts: tuple[int, ...]
    axes: tuple[int, ...] = ()


# How many launches a kernel keeps ready; a program whose tensors have ever new sizes starts afresh.
_KEPT = 1024


class TritonKernel:
    """A fused forward and backward on the GPU; the source is made and compiled at the first call.

    Args:
        forward: inputs the variables, `x` first, then parameters.
        backward: inputs of `forward`, then `grad`; one output per input of `forward`.
    """

    def __init__(self, forward: Program, backward: Program):
        self._programs = forward, backward
        self._more, self._parameters = forward.variables - 1, len(forward.parameters)
        self._launches: dict[tuple[str, bool | None], dict[str, Launch]] = {}
        self._prepared: dict[tuple[Any, ...], _Prepared] = {}

    def supports(self, x: Tensor, others: tuple[Tensor, ...]) -> bool:
        """Whether these are CUDA tensors (or any, interpreted) of dtypes that kernels know.

        Variables beside `x` have its shape and dtype; parameters have one value, or one per channel.
        """
        known = (x.is_cuda or interpreted()) and x.dtype in DTYPES
        if not known or len(others) != self._more + self._parameters:
            return False
        if not others:
            return True
        channels, device = (x.shape[min(1, x.dim() - 1)] if x.dim() else -1), x.device
        more, parameters = others[: self._more], others[self._more :]
        return all((t.device, t.dtype, t.shape) == (device, x.dtype, x.shape) and not t.is_neg() for t in more) and all(
            p.device == device and p.dtype in DTYPES and p.dim() <= 1 and (not p.dim() or p.shape[0] == channels)
            for p in parameters
        )

    def forward(self, x: Tensor, others: tuple[Tensor, ...]) -> Tensor:
        """The values, in the dtype, shape and layout of `x`."""
        parameters = others[self._more :]
        if parameters and reordered(x, parameters):
            return torch.empty_like(x).copy_(self.forward(x.contiguous(), others))
        dtype = x.dtype
        x = _readable(x)
        result = torch.empty_like(x)
        if x.numel():
            self._launch("forward", PRECISIONS[dtype], [x, *self._like(x, others), result], parameters, ())
        return _cast(result, dtype)

    def backward(self, grad: Tensor, x: Tensor, others: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The gradients of `x` and further variables, then of each parameter, summed to its shape."""
        parameters = others[self._more :]
        if parameters and reordered(x, parameters):
            found = self.backward(grad, x.contiguous(), others)
            slopes = [torch.empty_like(x).copy_(slope) for slope in found[: 1 + self._more]]
            return *slopes, *found[1 + self._more :]
        dtype = x.dtype
        x = _readable(x)
        results = [torch.empty_like(x) for _ in range(1 + self._more)]
        if not x.numel():
            return *results, *(torch.zeros_like(p) for p in parameters)
        tensors = [x, *self._like(x, others), like(_cast(grad, x.dtype), x), *results]
        sums = self._launch("backward", PRECISIONS[dtype], tensors, parameters, parameters)
        return *[_cast(result, dtype) for result in results], *sums

    def _like(self, x: Tensor, others: tuple[Tensor, ...]) -> list[Tensor]:
        """The further variables as kernels read them."""
        return [like(_cast(t, x.dtype), x) for t in others[: self._more]]

    def _launch(
        self,
        name: str,
        precision: str,
        tensors: list[Tensor],
        parameters: tuple[Tensor, ...],
        summed: tuple[Tensor, ...],
    ) -> list[Tensor]:
        """Run a kernel on `x` and what has its shape; the sums of the gradients of `summed`."""
        x = tensors[0]
        dims = tuple([p.dim() for p in parameters]) if parameters else ()
        by_channel = 1 in dims
        layout = (x.shape, x.is_contiguous(), dims) if by_channel else x.numel()
        key = name, _kind(precision, x.is_cuda), x.dtype, layout
        found = self._prepared.get(key)
        if found is None:
            if len(self._prepared) >= _KEPT:
                self._prepared.clear()
            prepare = self._with_channels if by_channel else self._without_channels
            found = self._prepared[key] = prepare(name, precision, x, parameters)
        if not parameters:
            found.launch(found.setting, tensors)
            return []
        working = torch.float64 if x.dtype is torch.float64 else torch.float32
        parts = [x.new_empty(found.parts, dtype=working) for _ in summed]
        given = [p.contiguous() for p in parameters] if by_channel else parameters
        found.launch(found.setting, [*tensors, *given, *parts])
        sums = [t.sum(found.axes) if p.dim() else t.sum() for t, p in zip(parts, summed, strict=True)]
        return [_cast(t, p.dtype) for t, p in zip(sums, summed, strict=True)]

    def _without_channels(self, name: str, precision: str, x: Tensor, _: tuple[Tensor, ...]) -> _Prepared:
        count, wide = x.numel(), int(x.numel() >= launch.WIDE_FROM - 2**16)
        size = launch.block(count, x.element_size())
        programs = -(-count // size)
        setting = LaunchSetting(programs, (count,), (int(count % size == 0), wide, size))
        return _Prepared(self._kernels(precision, x.is_cuda)[f"{name}_kernel"], setting, (programs,))

    def _with_channels(self, name: str, precision: str, x: Tensor, parameters: tuple[Tensor, ...]) -> _Prepared:
        wide = int(x.numel() >= launch.WIDE_FROM - 2**16)
        channels = max([p.shape[0] for p in parameters if p.dim()])
        adjacent = x.dim() <= 2 or not x.is_contiguous()
        inner = 1 if adjacent else math.prod(x.shape[2:])
        rows = launch.tiling(x, channels, inner)
        parts = (rows.blocks[1], rows.rows // channels, channels) if rows.by_row else (rows.blocks[0], channels)
        even = rows.rows % rows.tile[0] == 0 and rows.columns % rows.tile[1] == 0
        sizes = (*[int(p.dim() > 0) for p in parameters], rows.rows, rows.columns, channels)
        setting = LaunchSetting(math.prod(rows.blocks), sizes, (int(even), wide, int(rows.by_row), *rows.tile))
        kernel = self._kernels(precision, x.is_cuda)[f"{name}_channels_kernel"]
        return _Prepared(kernel, setting, parts, (0, 1) if rows.by_row else (0,))

    def _kernels(self, precision: str, on_gpu: bool) -> dict[str, Launch]:
        key = _kind(precision, on_gpu)
        found = self._launches.get(key)
        if found is None:
            twins = interpreted()
            found = self._launches[key] = loaded(source(*self._programs, precision, twins), twins)
        return found


class TritonPointwise:
    """A Program on the GPU all of whose inputs and outputs are tensors of one shape.

    Args:
        program: the first input is called `x`.
    """

    def __init__(self, program: Program):
        self._program = program
        self._launches: dict[tuple[str, bool | None], Launch] = {}
        self._settings: dict[tuple[int, int], LaunchSetting] = {}

    def supports(self, tensors: tuple[Tensor, ...]) -> bool:
        """Whether these are CUDA tensors (or any, interpreted) of one shape and of a dtype that kernels know."""
        x = tensors[0]
        return (x.is_cuda or interpreted()) and all(
            type(t) in (Tensor, torch.nn.Parameter)
            and t.layout is torch.strided
            and not t.is_neg()
            and (t.device, t.dtype, t.shape) == (x.device, x.dtype, x.shape)
            and t.dtype in DTYPES
            for t in tensors
        )

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """One tensor an output, in the dtype, shape and layout of the first input."""
        precision, dtype = PRECISIONS[tensors[0].dtype], tensors[0].dtype
        x = _readable(tensors[0])
        results = [torch.empty_like(x) for _ in self._program.outputs]
        count = x.numel()
        if count:
            arguments = [x, *[like(_cast(t, x.dtype), x) for t in tensors[1:]], *results]
            self._kernel(precision, x.is_cuda)(self._setting(count, x.element_size()), arguments)
        return tuple([_cast(r, dtype) for r in results])

    def _setting(self, count: int, itemsize: int) -> LaunchSetting:
        found = self._settings.get((count, itemsize))
        if found is None:
            if len(self._settings) >= _KEPT:
                self._settings.clear()
            size = launch.block(count, itemsize)
            constants = int(count % size == 0), int(count >= launch.WIDE_FROM - 2**16), size
            found = self._settings[count, itemsize] = LaunchSetting(-(-count // size), (count,), constants)
        return found

    def _kernel(self, precision: str, on_gpu: bool) -> Launch:
        key = _kind(precision, on_gpu)
        found = self._launches.get(key)
        if found is None:
            twins = interpreted()
            text = module(elementwise("pointwise", self._program, precision), precision, twins)
            found = self._launches[key] = loaded(text, twins)["pointwise_kernel"]
        return found


def _kind(precision: str, on_gpu: bool) -> tuple[str, bool | None]:
    """Under what a kernel is kept. On a GPU the environment is read once: Triton, too, decides at definition."""
    return precision, None if on_gpu else interpreted()


@lru_cache(maxsize=4096)
def loaded(text: str, interpreted: bool) -> dict[str, Launch]:
    """The kernels of a module. `interpreted` is part of the key: Triton decides by it at definition."""
    names = execute(text, inspectable=True)
    return {name: Launch(value, interpreted) for name, value in names.items() if name.endswith("_kernel")}


def _cast(t: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor in a dtype, without a call where it has it."""
    return t if t.dtype is dtype else t.to(dtype)


def _readable(x: Tensor) -> Tensor:
    """The tensor as kernels read it: with no gaps.

    Triton's interpreter does not round to bfloat16 as a GPU does (ties, carries, subnormal numbers). There such tensors
    go through float32, still by the mathematics of their own precision, and torch rounds.
    """
    if x.dtype == torch.bfloat16 and interpreted():
        x = x.float()
    return dense(x)
