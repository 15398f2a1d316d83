"""Results are laid out as PyTorch's elementwise operations lay theirs out, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from symact import Activation
from symact.program.loading import parse_grammar

GRAMMAR = parse_grammar(
    '[parameters]\nbeta = {}\nc = { per = "channel" }\n[unary]\nshared = "x*sigmoid(beta*x)"\nown = "x*sigmoid(c*x)"'
)
LAYOUTS = {
    "transposed": lambda: torch.randn(64, 33).t(),
    "permuted": lambda: torch.randn(3, 4, 5).permute(2, 1, 0),
    "channels last": lambda: torch.randn(2, 4, 3, 5).to(memory_format=torch.channels_last),
    "large": lambda: torch.randn(300, 4, 50).permute(2, 1, 0),
    "with gaps": lambda: torch.randn(6, 4, 10)[:, :, ::2],
    "with gaps, permuted": lambda: torch.randn(2, 3, 8, 4)[:, :, 2:6].permute(0, 3, 1, 2),
    "repeated": lambda: torch.randn(3, 1).expand(3, 4),
    "scalar": lambda: torch.randn(()),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("text", ["x*sigmoid(x)", "shared(x)", "own(x)", "exp(x) - 1 - x"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_order_of_dimensions_is_kept(layout: str, text: str, dtype: torch.dtype) -> None:
    x: Tensor = LAYOUTS[layout]().to(dtype)
    if text == "own(x)" and x.dim() < 2:
        return
    module = Activation(text, GRAMMAR, channels=x.shape[1] if text == "own(x)" else None, channel_dim=1).to(dtype)
    x = x.detach().requires_grad_()
    y, plain = module(x), torch.sigmoid(x)
    assert y.stride() == plain.stride()
    # The same numbers as of a contiguous copy, and gradients that come in another order are understood.
    copy = x.detach().contiguous().requires_grad_()
    other = module(copy)
    assert torch.equal(y, other)
    grad = torch.randn(y.shape, dtype=dtype)
    (found,) = torch.autograd.grad(y, x, grad, create_graph=True)
    (wanted,) = torch.autograd.grad(other, copy, grad, create_graph=True)
    assert torch.equal(found, wanted)
    assert found.stride() == plain.stride()
    pairs = zip(torch.autograd.grad(found.sum(), x), torch.autograd.grad(wanted.sum(), copy), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in pairs)
