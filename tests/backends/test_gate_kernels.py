"""What every back end of gates has to keep: values and both gradients in each precision, shapes, empty tensors."""

from __future__ import annotations

import pytest
import torch

from symact import load_grammar
from tests.backends.gate_kernels import BACKENDS

GATES = load_grammar("gates")
PUBLISHED = [str(expr) for expr in GATES.space("published")]
OTHERS = ["radial(tanh(x),sin(g))", "div(gauss(x),softplus(g))", "tanh(x)", "mul(softsign(g),mish(g))"]
TOLERANCES = {torch.float32: 4e-6, torch.float64: 1e-13, torch.bfloat16: 2**-8, torch.float16: 2**-10}


def drawn(*shape: int, dtype: torch.dtype) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [(2 * torch.randn(shape)).to(dtype) for _ in range(3)]


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_values_and_both_gradients_are_those_of_float64(dtype: torch.dtype, name: str) -> None:
    x, g, grad = drawn(300, dtype=dtype)
    common = dtype in (torch.float32, torch.bfloat16)
    for text in (*PUBLISHED, *OTHERS)[:: 1 if common else 3]:
        found = BACKENDS[name](text, GATES, x, g, grad)
        exact = BACKENDS["plain"](text, GATES, x.double(), g.double(), grad.double())
        for own, wanted in zip(found, exact, strict=True):
            assert own.dtype == dtype
            tolerance = TOLERANCES[dtype]
            torch.testing.assert_close(
                own.double(), wanted, rtol=tolerance, atol=tolerance, msg=f"{text}: {own - wanted}"
            )


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (5, 0), (17,), (3, 1, 65)], ids=str)
def test_any_shape_is_kept(shape: tuple[int, ...], name: str) -> None:
    x, g, grad = drawn(*shape, dtype=torch.float32)
    for found in BACKENDS[name]("swiglu(x,g)", GATES, x, g, grad):
        assert found.shape == x.shape
        assert found.dtype == x.dtype


@pytest.mark.parametrize("name", BACKENDS)
def test_what_is_not_a_number_stays_so_and_touches_nothing_else(name: str) -> None:
    x, g, grad = drawn(40, dtype=torch.float32)
    clean = BACKENDS[name]("geglu(x,g)", GATES, x, g, grad)
    x[3], g[5] = torch.nan, torch.nan
    for own, before in zip(BACKENDS[name]("geglu(x,g)", GATES, x, g, grad), clean, strict=True):
        touched = own.isnan().nonzero().flatten().tolist()
        assert set(touched) <= {3, 5}
        assert touched
        others = [i for i in range(40) if i not in (3, 5)]
        assert torch.equal(own[others], before[others])
