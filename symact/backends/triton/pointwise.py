"""Program -> Triton source where every input and every output is a tensor: derivatives of derivatives on CUDA."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from symact.backends.torch_source import execute
from symact.backends.triton.source import (
    BLOCK,
    DTYPES,
    ELEMENTS,
    HEADER,
    assembled,
    available,
    device,
    functions_for,
    indented,
    interpreted,
    prepared,
    values_of,
)
from symact.program.program import Program


def pointwise(program: Program) -> TritonPointwise | None:
    """The fused kernel of a Program over tensors of one shape, or None where Triton cannot run."""
    return TritonPointwise(program) if available() and (torch.cuda.is_available() or interpreted()) else None


class TritonPointwise:
    """A Program on the GPU all of whose inputs and outputs are tensors of one shape.

    Args:
        program: the first input is called `x`.
    """

    def __init__(self, program: Program):
        self._program = program

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
        x, _, layout = prepared(tensors[0], ())
        others = [t.contiguous(memory_format=layout.memory_format) for t in tensors[1:]]
        results = [torch.empty_like(x) for _ in self._program.outputs]
        if x.numel():
            launch = _loaded(self._program, interpreted())["pointwise_kernel"][(-(-x.numel() // BLOCK),)]
            settings = {name: layout.settings[name] for name in ("COMPUTE", "WIDE")}
            with device(x):
                launch(x, *others, *results, x.numel(), **settings, BLOCK=BLOCK)
        return tuple(results)


@lru_cache(maxsize=4096)
def _loaded(program: Program, as_python: bool) -> dict[str, Any]:
    """The kernel. `as_python`, for the interpreter, is part of the key: Triton decides by it at definition."""
    return execute(source(program), inspectable=True)


def source(program: Program) -> str:
    """The text of a module with `pointwise_kernel`, all that it calls included."""
    names = ["x", *(f"t{number}" for number in range(1, len(program.inputs)))]
    results = [f"r{number}" for number in range(len(program.outputs))]
    lines = [
        *ELEMENTS,
        *(f"{n} = tl.load({n}_pointer + offset, mask=inside, other=0.0).to(dtype)" for n in names),
        f"{', '.join(results)} = values({', '.join(names)})",
        *(f"tl.store({r}_pointer + offset, {r}, mask=inside)" for r in results),
    ]
    arguments = [f"{n}_pointer" for n in (*names, *results)] + ["count"]
    arguments += [f"{s}: tl.constexpr" for s in ("COMPUTE", "WIDE", "BLOCK")]
    head = ["@triton.jit", "def pointwise_kernel(", *(f"    {argument}," for argument in arguments), "):"]
    texts = [values_of("values", program, names), "\n".join([*head, *indented(lines)])]
    return "\n\n\n".join([HEADER, *functions_for("\n".join(texts)), *texts]) + "\n"


def assemble(program: Program, capability: int = 90, dtype: torch.dtype = torch.float32, block: int = BLOCK) -> str:
    """PTX of the kernel, compiled ahead of time with no GPU."""
    settings = {"COMPUTE": dtype == torch.float64, "WIDE": False, "BLOCK": block}
    return assembled(_loaded(program, False)["pointwise_kernel"], settings, dtype, capability)
