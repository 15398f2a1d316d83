"""Functions that people know by name are what PyTorch calls so: values and slopes, also far out."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

import symact
from symact.errors import FormulaError


def gelu_tanh(x: torch.Tensor) -> torch.Tensor:
    """As PyTorch's, which cancels in float64 as well, written without tanh."""
    y = x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))
    torch.testing.assert_close(y, functional.gelu(x, approximate="tanh"), rtol=1e-6, atol=1e-15)
    return y


KNOWN = {
    "relu6(x)": functional.relu6,
    "ReLU6(x)": functional.relu6,
    "celu(x)": functional.celu,
    "CELU(x)": functional.celu,
    "hardtanh(x)": functional.hardtanh,
    "Hardtanh(x)": functional.hardtanh,
    "HardTanh(x)": functional.hardtanh,
    "softshrink(x)": functional.softshrink,
    "SoftShrink(x)": functional.softshrink,
    "hardshrink(x)": functional.hardshrink,
    "tanhshrink(x)": functional.tanhshrink,
    "threshold(x, 0.25, -2)": lambda x: functional.threshold(x, 0.25, -2.0),
    "clip(x, -0.75, 2)": lambda x: x.clip(-0.75, 2),
    "clamp(x, -0.75, 2)": lambda x: x.clamp(-0.75, 2),
    "squareplus(x)": lambda x: torch.where(x > 0, (x + (x * x + 4).sqrt()) / 2, 2 / ((x * x + 4).sqrt() - x)),
    "quick_gelu(x)": lambda x: x * torch.sigmoid(1.702 * x),
    "QuickGELU(x)": lambda x: x * torch.sigmoid(1.702 * x),
    "gelu_tanh(x)": gelu_tanh,
    "GELUTanh(x)": gelu_tanh,
    "ELiSH(x)": lambda x: functional.elu(x) * torch.sigmoid(x),
    "HardELiSH(x)": lambda x: functional.elu(x) * ((x + 1) / 2).clamp(0, 1),
    "logaddexp(x, 0.5*x + 1)": lambda x: torch.logaddexp(x, 0.5 * x + 1),
    "hypot(x, 1)": lambda x: torch.hypot(x, torch.ones_like(x)),
    "i0(x)": torch.special.i0,
    "i1(x)": torch.special.i1,
    "bessel_i0(x)": torch.special.i0,
    "\u03c3(x)": lambda x: 1 / (1 + torch.exp(-x)),
    "x\u03a6(x)": functional.gelu,
    "x*sigma(x)": functional.silu,
}
POINTS = [-88.0, -30.5, -6.25, -3.7, -1.3, -0.76, -0.49, -1e-4, 1e-4, 0.3, 0.51, 0.9, 1.6, 2.2, 5.9, 6.3, 20.5, 60.0]


@pytest.mark.parametrize("text", KNOWN)
def test_a_known_name_is_the_known_function(text: str) -> None:
    found = torch.tensor(POINTS, requires_grad=True)
    wanted = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    value, truth = symact.compile(text)(found), KNOWN[text](wanted)
    # x - tanh(x) cancels near 0, here as in PyTorch.
    torch.testing.assert_close(value, truth.float(), rtol=2e-6, atol=1e-11 if "shrink" in text else 1e-30)
    value.sum().backward()
    truth.sum().backward()
    # The slopes of i0 and x - tanh(x) are differences of two numbers of size 1 near 0.
    near = 1e-7 if "i0" in text or "tanhshrink" in text else 1e-30
    torch.testing.assert_close(found.grad, wanted.grad.float(), rtol=2e-5, atol=near)


@pytest.mark.parametrize("text", ["threshold(x)", "clip(x, 1)", "hypot(x)", "relu6(x, 1)", "logaddexp(x)"])
def test_arguments_are_counted(text: str) -> None:
    with pytest.raises(FormulaError, match=r"takes [123] argument"):
        symact.parse(text)


def test_a_letter_may_still_be_a_parameter_or_an_operator() -> None:
    grammar = symact.parse_grammar('name = "g"\n[parameters]\nsigma = {init = 2.0}\n[unary]\nf = "x/sigma"\n')
    assert symact.compile("x\u00b7\u03c3", grammar)(torch.ones(1)).item() == 2.0
    own = symact.parse_grammar('name = "g"\n[unary]\nsigma = "x**3"\n')
    assert symact.compile("\u03c3(x)", own)(torch.full((1,), 2.0)).item() == 8.0
