"""Every back end that runs gates, as functions of one signature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from symact.activation.float32_range import wide
from symact.activation.gate import Gate
from symact.activation.plan import plan
from symact.backends.select import SELECTOR
from symact.expr.operators import Vocabulary
from symact.expr.tree import parse
from symact.program.gradient import backward
from symact.program.pipeline import lower

Outputs = tuple[Tensor, Tensor, Tensor]


def fused(text: str, grammar: Vocabulary | None, x: Tensor, g: Tensor, grad: Tensor) -> Outputs:
    """The values and both gradients as a module computes them: on CPU, by the block interpreter."""
    x, g = x.detach().requires_grad_(), g.detach().requires_grad_()
    values = Gate(text, grammar)(x, g)
    to_x, to_g = torch.autograd.grad(values, (x, g), grad)
    return values.detach(), to_x, to_g


def plain(text: str, grammar: Vocabulary | None, x: Tensor, g: Tensor, grad: Tensor) -> Outputs:
    """The same by plain torch operations."""
    with SELECTOR.only_plain():
        return fused(text, grammar, x, g, grad)


def triton(text: str, grammar: Vocabulary | None, x: Tensor, g: Tensor, grad: Tensor) -> Outputs:
    """The kernels that CUDA tensors get, in Triton's interpreter."""
    pytest.importorskip("triton", reason="triton is not installed: GPU kernels are NOT tested")
    from symact.backends.triton.kernel import TritonKernel

    program = lower(parse(text, grammar), 2)
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setenv("TRITON_INTERPRET", "1")
        found = plan(program, "cuda")
        if found.bound < 0:
            kernel = TritonKernel(wide(program), wide(backward(program)))
            values = kernel.forward(x.double(), (g.double(),))
            slopes = kernel.backward(grad.double(), x.double(), (g.double(),))
            return values.to(x.dtype), slopes[0].to(x.dtype), slopes[1].to(x.dtype)
        kernel = TritonKernel(*found.forms)
        values = kernel.forward(x, (g,))
        to_x, to_g = kernel.backward(grad, x, (g,))
        return values, to_x, to_g


BACKENDS: dict[str, Callable[[str, Vocabulary | None, Tensor, Tensor, Tensor], Outputs]] = {
    "fused": fused,
    "plain": plain,
    "triton": triton,
}
