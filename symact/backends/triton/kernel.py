"""Fused Triton kernels on tensors: a function with its gradients, or any Program over tensors of one shape."""

from __future__ import annotations

import importlib.util
import math
import os
from functools import cache, lru_cache

import torch
from torch import Tensor

from symact.backends.layout import dense, like, reordered
from symact.backends.torch_source import execute
from symact.backends.triton import launch
from symact.backends.triton.launch import Launch
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

    def supports(self, x: Tensor, others: tuple[Tensor, ...]) -> bool:
        """Whether these are CUDA tensors (or any, interpreted) of dtypes that kernels know.

        Variables beside `x` have its shape and dtype; parameters have one value, or one per channel.
        """
        channels = x.shape[min(1, x.dim() - 1)] if x.dim() else -1
        more, parameters = others[: self._more], others[self._more :]
        return (
            (x.is_cuda or interpreted())
            and x.dtype in DTYPES
            and len(parameters) == self._parameters
            and all((t.device, t.dtype, t.shape) == (x.device, x.dtype, x.shape) and not t.is_neg() for t in more)
            and all(p.device == x.device and p.dtype in DTYPES for p in parameters)
            and all(p.dim() == 0 or (p.dim() == 1 and p.shape[0] == channels) for p in parameters)
        )

    def forward(self, x: Tensor, others: tuple[Tensor, ...]) -> Tensor:
        """The values, in the dtype, shape and layout of `x`."""
        if reordered(x, others[self._more :]):
            return torch.empty_like(x).copy_(self.forward(x.contiguous(), others))
        precision, dtype = PRECISIONS[x.dtype], x.dtype
        x, more, parameters = self._readable(x, others)
        result = torch.empty_like(x)
        if x.numel():
            self._launch("forward", precision, [x, *more, result], parameters, [])
        return result.to(dtype)

    def backward(self, grad: Tensor, x: Tensor, others: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The gradients of `x` and further variables, then of each parameter, summed to its shape."""
        if reordered(x, others[self._more :]):
            found = self.backward(grad, x.contiguous(), others)
            slopes = [torch.empty_like(x).copy_(slope) for slope in found[: 1 + self._more]]
            return *slopes, *found[1 + self._more :]
        precision, dtype = PRECISIONS[x.dtype], x.dtype
        x, more, parameters = self._readable(x, others)
        results = [torch.empty_like(x) for _ in range(1 + self._more)]
        if not x.numel():
            return *results, *(torch.zeros_like(p) for p in parameters)
        tensors = [x, *more, like(grad.to(x.dtype), x), *results]
        sums = self._launch("backward", precision, tensors, parameters, list(parameters))
        return *[result.to(dtype) for result in results], *sums

    def _readable(self, x: Tensor, others: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor], tuple[Tensor, ...]]:
        """`x` and further variables as kernels read them, and the parameters."""
        x = _readable(x)
        return x, [like(t.to(x.dtype), x) for t in others[: self._more]], others[self._more :]

    def _launch(
        self, name: str, precision: str, tensors: list[Tensor], parameters: tuple[Tensor, ...], summed: list[Tensor]
    ) -> list[Tensor]:
        """Run a kernel on `x` and what has its shape; the sums of the gradients of `summed`."""
        x = tensors[0]
        launches = self._kernels(precision, x.is_cuda)
        count, wide = x.numel(), int(x.numel() >= launch.WIDE_FROM - 2**16)
        working = torch.float64 if x.dtype == torch.float64 else torch.float32
        if not any(p.dim() for p in parameters):
            size = launch.block(count, x.element_size())
            programs = -(-count // size)
            parts = [torch.empty(programs, dtype=working, device=x.device) for _ in summed]
            arguments = [*tensors, *parameters, *parts]
            launches[f"{name}_kernel"](programs, arguments, (count,), (int(count % size == 0), wide, size))
            return [part.sum().to(p.dtype) for part, p in zip(parts, summed, strict=True)]
        channels = max([p.shape[0] for p in parameters if p.dim()])
        adjacent = x.dim() <= 2 or not x.is_contiguous()
        inner = 1 if adjacent else math.prod(x.shape[2:])
        rows = launch.tiling(x, channels, inner)
        shape = (rows.blocks[1], rows.rows // channels, channels) if rows.by_row else (rows.blocks[0], channels)
        parts = [torch.empty(shape, dtype=working, device=x.device) for _ in summed]
        even = rows.rows % rows.tile[0] == 0 and rows.columns % rows.tile[1] == 0
        sizes = (*[int(p.dim() > 0) for p in parameters], rows.rows, rows.columns, channels)
        launches[f"{name}_channels_kernel"](
            math.prod(rows.blocks),
            [*tensors, *[p.contiguous() for p in parameters], *parts],
            sizes,
            (int(even), wide, int(rows.by_row), *rows.tile),
        )
        axes = (0, 1) if rows.by_row else (0,)
        return [(t.sum(axes) if p.dim() else t.sum()).to(p.dtype) for t, p in zip(parts, summed, strict=True)]

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
            size = launch.block(count, x.element_size())
            constants = int(count % size == 0), int(count >= launch.WIDE_FROM - 2**16), size
            arguments = [x, *[like(t.to(x.dtype), x) for t in tensors[1:]], *results]
            self._kernel(precision, x.is_cuda)(-(-count // size), arguments, (count,), constants)
        return tuple([r.to(dtype) for r in results])

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


def _readable(x: Tensor) -> Tensor:
    """The tensor as kernels read it: with no gaps.

    Triton's interpreter does not round to bfloat16 as a GPU does (ties, carries, subnormal numbers). There such tensors
    go through float32, still by the mathematics of their own precision, and torch rounds.
    """
    if x.dtype == torch.bfloat16 and interpreted():
        x = x.float()
    return dense(x)
