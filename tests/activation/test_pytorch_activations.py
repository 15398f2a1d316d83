"""PyTorch's own activations, written as formulas, equal PyTorch's to a few units in the last place."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from symact.activation.module import Activation
from symact.backends.select import SELECTOR

SQRT_2_PI = "0.7978845608028654"
CASES: dict[str, tuple[str, nn.Module]] = {
    "ReLU": ("max(x, 0)", nn.ReLU()),
    "ReLU6": ("min(max(x, 0), 6)", nn.ReLU6()),
    "LeakyReLU": ("where(x > 0, x, 0.01*x)", nn.LeakyReLU()),
    "ELU": ("where(x > 0, x, exp(x) - 1)", nn.ELU()),
    "CELU": ("max(x, 0) + min(0, 2*(exp(x/2) - 1))", nn.CELU(2.0)),
    "SELU": ("selu(x)", nn.SELU()),
    "GELU": ("x*erfc(-x/sqrt(2))/2", nn.GELU()),
    "GELU tanh": (f"0.5*x*(1 + tanh({SQRT_2_PI}*(x + 0.044715*x**3)))", nn.GELU("tanh")),
    "SiLU": ("x/(1 + exp(-x))", nn.SiLU()),
    "Mish": ("x*tanh(log(1 + exp(x)))", nn.Mish()),
    "Softplus": ("log(1 + exp(x))", nn.Softplus()),
    "Softsign": ("x/(1 + abs(x))", nn.Softsign()),
    "Softshrink": ("where(x > 0.5, x - 0.5, where(x < -0.5, x + 0.5, 0))", nn.Softshrink()),
    "Hardshrink": ("where(abs(x) > 0.5, x, 0)", nn.Hardshrink()),
    "Hardsigmoid": ("max(0, min(1, x/6 + 1/2))", nn.Hardsigmoid()),
    "Hardswish": ("x*max(0, min(1, x/6 + 1/2))", nn.Hardswish()),
    "Hardtanh": ("max(-1, min(1, x))", nn.Hardtanh()),
    "LogSigmoid": ("-log(1 + exp(-x))", nn.LogSigmoid()),
    "Tanhshrink": ("x - tanh(x)", nn.Tanhshrink()),
    "Threshold": ("where(x > 0.1, x, 20)", nn.Threshold(0.1, 20.0)),
    "Sigmoid": ("1/(1 + exp(-x))", nn.Sigmoid()),
    "Tanh": ("(exp(x) - exp(-x))/(exp(x) + exp(-x))", nn.Tanh()),
}
# Where PyTorch itself cancels, its values are compared on the scale of what cancelled.
SCALES = {"Tanhshrink": 1.0, "GELU": 1.0, "GELU tanh": 1.0, "Softplus": 1.0}


def points() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    kinks = torch.tensor([0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, 0.1, 2.5, -2.5])
    return torch.cat([kinks, 4 * torch.randn(2000, generator=generator), torch.linspace(-12, 12, 501)])


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
@pytest.mark.parametrize("name", CASES)
def test_formula_equals_pytorch(name: str, fused: bool) -> None:
    formula, theirs = CASES[name]
    results = []
    for module in (Activation(formula), theirs.double()):
        x = points().to(torch.float32 if isinstance(module, Activation) else torch.float64).requires_grad_()
        if isinstance(module, Activation) and not fused:
            with SELECTOR.only_plain():
                y = module(x)
        else:
            y = module(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
        results.append((y.detach().double(), slope.double()))
    (ours, our_slope), (wanted, wanted_slope) = results
    # Four units in the last place of float32, values and gradients.
    ulp = 4 * 2.0**-23
    scale = SCALES.get(name, 0.0)
    assert ((ours - wanted).abs() <= ulp * wanted.abs().clamp_min(scale) + 1e-7).all()
    assert ((our_slope - wanted_slope).abs() <= ulp * wanted_slope.abs().clamp_min(1.0)).all(), points()[
        (our_slope - wanted_slope).abs() > ulp
    ]
