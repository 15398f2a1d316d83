"""Kernels of bfloat16 and float16 on all their numbers, the GPU's approximations as wrong as they may be."""

from __future__ import annotations

import pytest
import torch

from symact.activation.float32_range import wide
from symact.backends import torch_source
from symact.expr.tree import parse
from symact.program.gradient import backward
from symact.program.pipeline import lower

pytest.importorskip("triton", reason="triton is not installed: GPU kernels are NOT tested")
from symact.backends.triton import launch
from symact.backends.triton.kernel import TritonKernel

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

# Bits of the significand, and the exponent of the smallest normal number as `torch.frexp` gives it.
FORMATS = {torch.bfloat16: (8, -125), torch.float16: (11, -13)}
# A slope crosses 0 where its terms cancel; there float32 itself has only this.
OF_TERMS = 4e-7


def finite_numbers(dtype: torch.dtype) -> torch.Tensor:
    numbers = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    return numbers[numbers.isfinite()]


def error_in_ulp(found: torch.Tensor, exact: torch.Tensor, absolute: float) -> torch.Tensor:
    """How far from the truth, in ulp of the truth; what is too large for the format does not count."""
    bits, smallest = FORMATS[found.dtype]
    ulp = torch.ldexp(torch.ones_like(exact), torch.clamp(torch.frexp(exact).exponent, min=smallest) - bits)
    error = torch.clamp((found.double() - exact).abs() - absolute, min=0.0) / ulp
    counted = exact.isfinite() & (exact.abs() < torch.finfo(found.dtype).max)
    return torch.where(counted, error, 0.0).nan_to_num(torch.inf)


@pytest.mark.parametrize("dtype", FORMATS, ids=["bfloat16", "float16"])
@pytest.mark.parametrize("text", ["x*sigmoid(x)", "gelu(x)", "x*tanh(softplus(x))", "tanh(x)", "elu(x)", "softplus(x)"])
def test_every_number_gets_its_value_within_51_hundredths_of_an_ulp(text, dtype, disturbed, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(launch, "block", lambda count, itemsize: 2**16)
    forward = lower(parse(text))
    x = finite_numbers(dtype)
    exact = torch_source.function(wide(forward))(x.double())
    slopes = torch_source.function(wide(backward(forward)))(x.double(), torch.ones_like(x.double()))
    for sign in (1, -1):
        disturbed(sign)
        kernel = TritonKernel(forward, backward(forward))
        for found, wanted, absolute in (
            (kernel.forward(x, ()), exact, 0.0),
            (kernel.backward(torch.ones_like(x), x, ())[0], slopes, OF_TERMS),
        ):
            error = error_in_ulp(found, wanted, absolute)
            assert error.max() <= 0.51, f"{error.max():.3f} at {x[error.argmax()]}"
