"""Functions that people know by name are what PyTorch calls so: values and slopes, also far out."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

import symact
from symact.errors import FormulaError

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
    "gelu_tanh(x)": lambda x: functional.gelu(x, approximate="tanh"),
    "GELUTanh(x)": lambda x: functional.gelu(x, approximate="tanh"),
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
FINITE = [0.0, 1e-30, 1e-8, 1e-4, 0.25, 0.3, 0.49, 0.5, 0.75, 0.9, 1.0, 1.6, 2.0, 2.2, 3.7, 5.9, 6.0, 6.3, 20.5, 60.0]
POINTS = [x * sign for x in [*FINITE, 88.0, 95.0, 1e4, 1e15, 1e30, math.inf] for sign in (1, -1)]


def value_and_slope(function: Callable, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = points.clone().requires_grad_()
    y = function(x)
    return y.detach(), torch.autograd.grad(y.sum(), x)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("text", KNOWN)
def test_a_known_name_is_the_known_function(text: str, dtype: torch.dtype) -> None:
    x = torch.tensor(POINTS, dtype=dtype)
    if "logaddexp" in text:
        x = x[x.isfinite()]  # The difference of its arguments decides: inf - inf.
    found = value_and_slope(symact.compile(text), x)
    wanted = value_and_slope(KNOWN[text], x.double())
    for got, other in zip(found, wanted, strict=True):
        truth = other.to(dtype)
        # Here PyTorch gives up: NaN, or 0 from a difference with 1 (gelu's tanh, the slope of the sigmoid).
        known = ~truth.isnan() & (truth != 0)
        # Differences of numbers of size 1 are as exact as those numbers, there and here.
        small = 2e-7 if dtype == torch.float32 else 1e-14
        torch.testing.assert_close(got[known], truth[known], rtol=2e-6 if dtype == torch.float32 else 1e-7, atol=small)
        assert (got[(truth == 0) & x.isfinite()].abs() < small).all()


@pytest.mark.parametrize("text", KNOWN)
def test_nan_stays_nan(text: str) -> None:
    assert symact.compile(text)(torch.full((1,), math.nan)).isnan().all()


def test_the_slope_of_i0_is_i1_also_near_zero() -> None:
    x = torch.tensor([1e-30, 1e-20, 1e-8, 1e-4, -1e-3, 0.5], dtype=torch.float64)
    slope = value_and_slope(symact.compile("i0(x)"), x)[1]
    torch.testing.assert_close(slope, torch.special.i1(x), rtol=1e-14, atol=0)


@pytest.mark.parametrize("text", ["threshold(x)", "clip(x, 1)", "hypot(x)", "relu6(x, 1)", "logaddexp(x)"])
def test_arguments_are_counted(text: str) -> None:
    with pytest.raises(FormulaError, match=r"takes [123] argument"):
        symact.parse(text)


def test_a_letter_may_still_be_a_parameter_or_an_operator() -> None:
    grammar = symact.parse_grammar('name = "g"\n[parameters]\nsigma = {init = 2.0}\n[unary]\nf = "x/sigma"\n')
    assert symact.compile("x\u00b7\u03c3", grammar)(torch.ones(1)).item() == 2.0
    own = symact.parse_grammar('name = "g"\n[unary]\nsigma = "x**3"\n')
    assert symact.compile("\u03c3(x)", own)(torch.full((1,), 2.0)).item() == 8.0
