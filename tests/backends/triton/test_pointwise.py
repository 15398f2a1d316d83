"""Derivatives of derivatives in Triton: in its interpreter against float64, and as PTX without a GPU."""

from __future__ import annotations

import re

import pytest
import torch

from symact.backends.torch_source import function
from symact.expr.tree import parse
from symact.program.higher import DerivativeChain, chained, derivatives, gradient, joined, partial
from symact.program.pipeline import lower
from symact.program.program import Program

pytest.importorskip("triton", reason="triton is not installed: GPU kernels are NOT tested")
from symact.backends.triton.assembly import assemble_pointwise
from symact.backends.triton.kernel import pointwise

TEXTS = ("tanh(x)", "sin(x)", "x*sigmoid(x)", "gelu(x)", "x*erfc(elu(x))")


def passes() -> list[DerivativeChain]:
    """The second and third pass of reverse mode, and a jet."""
    second = gradient().pulled_back((True,), (True, True))
    return [second, second.pulled_back((True, True), (True,) * 3), derivatives(3)]


def program_of(text: str, chain: DerivativeChain) -> Program:
    program = lower(parse(text))
    return chained(chain, joined(partial(program, by) for by in chain.partials))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("text", TEXTS)
def test_chains_in_the_interpreter_are_those_of_float64(text: str, dtype: torch.dtype, monkeypatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    generator = torch.Generator().manual_seed(0)
    for chain in passes():
        program = program_of(text, chain)
        kernel = pointwise(program)
        assert kernel is not None
        tensors = tuple(torch.randn(3, 5, 7, generator=generator).to(dtype) for _ in range(chain.inputs))
        assert kernel.supports(tensors)
        assert not kernel.supports((tensors[0], *tensors, tensors[0][:1]))
        rtol, atol = {torch.float32: (1e-5, 2e-6), torch.float64: (1e-10, 1e-12)}.get(dtype, (1e-2, 1e-2))
        for found, exact in zip(kernel(*tensors), function(program)(*[t.double() for t in tensors]), strict=True):
            assert found.dtype == dtype
            torch.testing.assert_close(found.double(), exact, rtol=rtol, atol=atol)


def test_an_empty_tensor_needs_no_launch(monkeypatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    kernel = pointwise(program_of("tanh(x)", derivatives(1)))
    assert [t.shape for t in kernel(torch.ones(0, 3))] == [(0, 3)] * 2


@pytest.mark.parametrize("text", ["tanh(x)", "x*sigmoid(x)"])
def test_chains_compile_to_ptx_without_float64(text: str) -> None:
    for chain in passes():
        ptx = assemble_pointwise(program_of(text, chain))
        assert ".target sm_90" in ptx
        assert not re.findall(r"\S*\.f64\S*", ptx)
