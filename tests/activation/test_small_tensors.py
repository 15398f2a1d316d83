"""Small tensors run by a path of their own, and are not to be told from others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from symact.activation import small_tensors
from symact.activation.module import Activation
from symact.activation.module import compile as compile_expression
from symact.backends.cpu import library as cpu_library

pytestmark = pytest.mark.skipif(cpu_library.load() is None, reason="no C++ compiler here")
TEXT = "x*tanh(softplus(x))"


def ready(text: str = TEXT) -> Activation:
    """An activation whose plans are made: the first call takes the general path."""
    module = Activation(text)
    assert all(module._runner.plan("cpu", double).small is not None for double in (False, True))
    return module


def node_of(y: Tensor) -> str:
    return type(y.grad_fn).__name__


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(), (1,), (7, 31), (16, 1024)])
def test_it_gives_what_the_general_path_gives(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    module = ready()
    x, g = torch.randn(shape).to(dtype).requires_grad_(), torch.randn(shape).to(dtype)
    y = module(x)
    assert node_of(y) == "_SmallBackward"
    (found,) = torch.autograd.grad(y, x, g)
    kernel = module._runner.plan("cpu", dtype == torch.float64).small
    assert torch.equal(y, kernel.forward(x.detach()))
    assert torch.equal(found, kernel.backward(g, x.detach())[0])
    with torch.no_grad():
        assert torch.equal(module(x), y)


def test_large_tensors_strides_and_parameters_take_the_general_path() -> None:
    module = ready()
    for x in (torch.randn(small_tensors.SMALL + 1), torch.randn(8, 6)[:, ::2], torch.randn(0)):
        assert node_of(module(x.requires_grad_())) == "_FusedBackward"


@pytest.mark.parametrize("gradient", ["expanded", "transposed", "negative view"])
def test_gradients_of_any_layout(gradient: str) -> None:
    x = torch.randn(4, 4, requires_grad=True)
    g = {
        "expanded": torch.ones(()).expand(4, 4),
        "transposed": torch.randn(4, 4).t(),
        "negative view": torch.imag(torch.randn(4, 4, dtype=torch.complex64).conj()),
    }[gradient]
    (found,) = torch.autograd.grad(ready()(x), x, g)
    torch.testing.assert_close(found, torch.autograd.grad(nn.functional.mish(x), x, g)[0])


def test_an_input_that_was_changed_in_place_is_an_error() -> None:
    x = torch.randn(5, requires_grad=True)
    between = x * 1
    y = ready()(between)
    between.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_who_watches_what_is_saved_sees_the_input_alone() -> None:
    seen: list[Tensor] = []
    x = torch.randn(5, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: seen.append(t) or t, lambda t: t):
        y = ready()(x)
    assert [t.data_ptr() for t in seen] == [x.data_ptr()]
    y.sum().backward()
    assert x.grad is not None


def test_derivatives_of_higher_order_and_a_kept_graph() -> None:
    module = ready("x*sigmoid(x)")
    x = torch.randn(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, x)
    assert torch.autograd.gradgradcheck(module, x)
    y = module(x).square().sum()
    first = torch.autograd.grad(y, x, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(y, x)[0])
    (slope,) = torch.autograd.grad(module(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    wanted = torch.func.grad(torch.func.grad(torch.func.grad(nn.functional.silu)))
    torch.testing.assert_close(third, torch.stack([wanted(value) for value in x.detach()]))


def test_batched_gradients() -> None:
    module = ready()
    for size in (6, small_tensors.SMALL + 1):
        x = torch.randn(size, requires_grad=True)
        g = torch.randn(3, size)
        (found,) = torch.autograd.grad(module(x), x, g, is_grads_batched=True)
        wanted = torch.stack([torch.autograd.grad(nn.functional.mish(x), x, row)[0] for row in g])
        torch.testing.assert_close(found, wanted)


def test_hooks_anomaly_mode_and_checkpoints() -> None:
    module = ready()
    x = torch.randn(5, requires_grad=True)
    seen: list[Tensor] = []
    with torch.autograd.detect_anomaly(check_nan=True):
        y = module(x)
        y.register_hook(seen.append)
        y.retain_grad()
        y.sum().backward()
    assert len(seen) == 1
    wanted = x.grad.clone()
    x.grad = None
    torch.utils.checkpoint.checkpoint(module, x, use_reentrant=False).sum().backward()
    assert torch.equal(x.grad, wanted)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_tracers_see_operations() -> None:
    module, x = ready(), torch.randn(5)
    for traced in (torch.jit.trace(module, (x,)), make_fx(module)(x), make_fx(module, tracing_mode="fake")(x)):
        torch.testing.assert_close(traced(2 * x), module(2 * x))


def test_functions_and_modules_alike() -> None:
    x = torch.randn(9, requires_grad=True)
    function = compile_expression(TEXT)
    function(x)
    assert node_of(function(x)) == node_of(ready()(x)) == "_SmallBackward"


@pytest.mark.parametrize("size", [5, 50_000])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_second_backward_needs_the_graph_to_be_retained(dtype: torch.dtype, size: int) -> None:
    x = torch.randn(size).to(dtype).requires_grad_()
    y = ready()(x)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.sum().backward()
