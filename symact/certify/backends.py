"""What a certificate runs: a compiled function as a user calls it, on every back end that a device has.

In: an expression and a device. Out: functions from a tensor to values and slopes, by the name of the back end; the
first is what a call takes. Triton's kernels run on a GPU; with TRITON_INTERPRET=1 its interpreter runs the same kernels
on CPU tensors, and they are measured beside those of the CPU. The interpreter cuts bfloat16 off where a GPU rounds it,
so it computes in float32, as the kernels do inside, and PyTorch rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

import numpy as np
import torch

from symact.activation.module import compile as compile_expression
from symact.activation.plan import plan
from symact.backends.select import SELECTOR
from symact.backends.triton.kernel import available, interpreted
from symact.errors import InputError
from symact.expr.tree import Expr
from symact.program.pipeline import lower

# Values and slopes, as tensors of the type of the input on the CPU.
Results: TypeAlias = tuple[torch.Tensor, torch.Tensor]
Backend: TypeAlias = Callable[[torch.Tensor], Results]

INTERPRETED = "triton (interpreter)"


def backends_of(expr: Expr, device: str = "cpu") -> list[str]:
    """The names of the back ends that run an expression on a device, the one that a call takes first.

    Raises:
        InputError: the device is not there.
    """
    if device not in ("cpu", "cuda"):
        raise InputError(f"--device {device}: cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "--device cuda: PyTorch sees no CUDA device here; Triton's interpreter runs its kernels on CPU "
            "tensors with TRITON_INTERPRET=1 in the environment"
        )
    fused = {"cpu": "cpu", "cuda": "triton"}[device]
    found = [fused, "torch"] if plan(lower(expr), device).narrow is not None else ["torch"]
    seen = device == "cpu" and available() and interpreted()
    return [*found, INTERPRETED] if seen else found


def backend(expr: Expr, name: str, device: str = "cpu") -> Backend:
    """A back end by its name."""
    if name == INTERPRETED:
        return _planned(expr)

    def run(x: torch.Tensor) -> Results:
        with plain() if name == "torch" else nullcontext():
            leaf = x.to(device).clone().requires_grad_()
            values = compile_expression(expr)(leaf)
            (slopes,) = torch.autograd.grad(values, leaf, torch.ones_like(values))
        return values.detach().cpu(), slopes.cpu()

    return run


def plain() -> AbstractContextManager[None]:
    """Plain torch operations inside the block."""
    return SELECTOR.only_plain()


def _planned(expr: Expr) -> Backend:
    """The kernels that a GPU would take, in Triton's interpreter."""
    chosen = plan(lower(expr), "cuda")

    def run(x: torch.Tensor) -> Results:
        parameters = tuple(torch.tensor(parameter.init) for parameter in expr.parameters)
        exceeds = chosen.exceeds(x, parameters)
        with np.errstate(all="ignore"):
            values = chosen.values(x, parameters, exceeds)
            slopes = chosen.slopes(torch.ones_like(x), x, parameters, exceeds)[0]
        return values, slopes

    return run
