"""The activations of KernelBench, level 1: PyTorch's functions in our words, values and gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from symact.activation.module import Activation

# Problem -> PyTorch's function, and ours. KernelBench/level1, problems 19 to 32 and 88.
PROBLEMS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "19 ReLU": (torch.relu, "relu(x)"),
    "20 LeakyReLU": (lambda x: F.leaky_relu(x, 0.01), "where(x > 0, x, 0.01*x)"),
    "21 Sigmoid": (torch.sigmoid, "sigmoid(x)"),
    "22 Tanh": (torch.tanh, "tanh(x)"),
    "25 Swish": (lambda x: x * torch.sigmoid(x), "x*sigmoid(x)"),
    "26 GELU": (F.gelu, "gelu(x)"),
    "27 SELU": (torch.selu, "selu(x)"),
    "28 HardSigmoid": (F.hardsigmoid, "hardsigmoid(x)"),
    "29 Softplus": (F.softplus, "softplus(x)"),
    "30 Softsign": (lambda x: x / (1 + torch.abs(x)), "x/(1 + abs(x))"),
    "31 ELU": (F.elu, "elu(x)"),
    "32 HardTanh": (F.hardtanh, "min(max(x, -1), 1)"),
    "88 MinGPTNewGelu": (lambda x: F.gelu(x, approximate="tanh"), "0.5*x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))"),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_an_activation_of_kernelbench_is_as_exact_as_promised(problem: str, dtype: torch.dtype) -> None:
    theirs, ours = PROBLEMS[problem]
    torch.manual_seed(0)
    x = torch.cat([torch.rand(16, 2048), torch.randn(16, 2048)], 1).to(dtype).requires_grad_()
    wide = x.detach().double().requires_grad_()
    found, exact = Activation(ours)(x), theirs(wide)
    (slopes,) = torch.autograd.grad(found.sum(), x)
    (true,) = torch.autograd.grad(exact.sum(), wide)
    unit = {torch.float32: 2e-6, torch.bfloat16: 2.0**-8, torch.float16: 2.0**-10}[dtype]
    for ours_, theirs_ in ((found, exact), (slopes, true)):
        assert ((ours_.double() - theirs_).abs() <= unit * theirs_.abs().clamp(min=0.1)).all()
