"""Derivatives of derivatives: one fused kernel a pass, right to 1e-5, which keeps x and what came in."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mpmath
import pytest
import torch
from mpmath import mp
from torch import Tensor, nn
from torch.func import hessian, jacfwd, jacrev, vmap

import symact
from symact.activation import higher
from symact.activation.module import Activation
from symact.activation.module import compile as compile_expression
from symact.backends.cpu.kernel import PointwiseKernel
from symact.backends.select import SELECTOR
from symact.backends.torch_source import function as torch_function
from symact.errors import InputError
from symact.expr.operators import Parameter, Vocabulary
from symact.program.gradient import backward
from symact.program.higher import chained, derivatives, gradient, joined, partial
from symact.program.pipeline import lower


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def _softplus(x: Any) -> Any:
    return mpmath.log(1 + mpmath.exp(x))


SMOOTH: dict[str, Callable[[Any], Any]] = {
    "tanh(x)": mpmath.tanh,
    "sin(x)": mpmath.sin,
    "x*sigmoid(x)": lambda x: x * _sigmoid(x),
    "gelu(x)": lambda x: x * mpmath.ncdf(x),
    "x*tanh(softplus(x))": lambda x: x * mpmath.tanh(_softplus(x)),
    "softplus(x)": _softplus,
    "exp(-x**2)": lambda x: mpmath.exp(-x * x),
    "x**2/(1 + x**2)": lambda x: x**2 / (1 + x**2),
    "sinc(x)": lambda x: mpmath.sin(x) / x,
    "x*erfc(x)": lambda x: x * mpmath.erfc(x),
    "atan(x)*sigmoid(x)": lambda x: mpmath.atan(x) * _sigmoid(x),
    "log(cosh(x))": lambda x: mpmath.log(mpmath.cosh(x)),
}
POINTS = (-30.0, -7.3, -1.9, -0.6, -0.011, 0.003, 0.4, 1.1, 2.7, 6.0, 21.0)


def wanted(text: str, order: int) -> list[float]:
    with mp.workdps(60):
        exact = [mpmath.taylor(SMOOTH[text], torch.tensor(x).item(), order)[order] for x in POINTS]
        return [float(value * mpmath.factorial(order)) for value in exact]


def close(found: Tensor, values: list[float]) -> bool:
    exact = torch.tensor(values, dtype=torch.float64)
    return bool(((found.double() - exact).abs() <= 1e-5 * exact.abs() + 1e-6).all())


def repeated(function: Callable[[Tensor], Tensor], x: Tensor, order: int) -> Tensor:
    x = x.clone().requires_grad_()
    y = function(x)
    for _ in range(order):
        y = torch.autograd.grad(y.sum(), x, create_graph=True)[0]
    return y.detach()


@pytest.mark.parametrize("text", SMOOTH)
def test_derivatives_to_the_fourth_are_right_to_one_in_a_hundred_thousand(text: str) -> None:
    x = torch.tensor(POINTS)
    jet = symact.jet(text, x, 4)
    for order in range(5):
        assert close(jet[order], wanted(text, order)), order
        assert close(repeated(compile_expression(text), x, order), wanted(text, order)), order


@pytest.mark.parametrize("text", ["tanh(x)", "gelu(x)", "x*sigmoid(x)", "max(x, 0.1*x)"])
def test_chains_are_the_backward_of_the_backward(text: str) -> None:
    """The same numbers as `gradient.backward` applied again, in float64, for every gradient that may be missing."""
    program, chain = lower(symact.parse(text)), gradient()
    repeated = backward(program)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        tensors = [torch.randn(50, generator=generator, dtype=torch.float64) for _ in range(chain.inputs)]
        found = torch_function(chained(chain, joined(partial(program, by) for by in chain.partials)))(*tensors)
        expected = torch_function(repeated)(*tensors)
        for a, b in zip(_tuple(found), _tuple(expected), strict=True):
            assert torch.allclose(a, b)
        chain = chain.pulled_back((True,) * len(chain.outputs), (True,) * chain.inputs)
        repeated = backward(repeated)


def _tuple(found: Any) -> tuple[Tensor, ...]:
    return found if isinstance(found, tuple) else (found,)


def test_a_chain_leaves_out_what_nobody_gives_or_asks_for() -> None:
    second = gradient().pulled_back((True,), (True, True))
    assert len(second.pulled_back((True, False), (True, False, True)).outputs) == 2
    assert second.pulled_back((False, True), (True,) * 3).inputs == second.inputs + 1
    assert second.pulled_back((True, True), (True,) * 3) is second.pulled_back((True, True), (True,) * 3)


def physics_loss(model: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """Burgers' equation: u_t + u*u_x = 0.01*u_xx."""
    points = points.clone().requires_grad_()
    u = model(points)
    first = torch.autograd.grad(u.sum(), points, create_graph=True)[0]
    second = torch.autograd.grad(first[:, 1].sum(), points, create_graph=True)[0]
    return ((first[:, 0] + u[:, 0] * first[:, 1] - 0.01 * second[:, 1]) ** 2).mean()


@pytest.mark.parametrize("text", ["tanh(x)", "sin(x)", "x*sigmoid(x)", "gelu(x)"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_physics_loss_and_its_gradients_are_those_of_plain_operations(text: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), Activation(text), nn.Linear(16, 16), Activation(text), nn.Linear(16, 1)).to(
        dtype
    )
    points = torch.rand(40, 2, dtype=dtype)
    found = []
    for plain in (False, True):
        model.zero_grad()
        if plain:
            with SELECTOR.only_plain():
                loss = physics_loss(model, points)
                loss.backward()
        else:
            loss = physics_loss(model, points)
            loss.backward()
        found.append((loss.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    assert torch.allclose(found[0][0], found[1][0], rtol=1e-5)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-6)


LEARNED = Vocabulary(parameters={"omega": Parameter("omega", 1.7), "sigma": Parameter("sigma", 0.8)})


@pytest.mark.parametrize("text", ["sin(omega*x)", "tanh(sigma*x)*exp(-(omega*x)**2)", "max(omega*x, x)*x*sigmoid(x)"])
@pytest.mark.parametrize("channels", [None, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_physics_loss_of_learned_functions_is_that_of_plain_operations(
    text: str, channels: int | None, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    layers = [Activation(text, LEARNED, channels=channels) for _ in range(2)]
    model = nn.Sequential(nn.Linear(2, 16), layers[0], nn.Linear(16, 16), layers[1], nn.Linear(16, 1)).to(dtype)
    points = torch.rand(40, 2, dtype=dtype)
    loss = physics_loss(model, points)
    found = torch.autograd.grad(loss, list(model.parameters()))
    with SELECTOR.only_plain():
        exact = physics_loss(model, points)
        wanted = torch.autograd.grad(exact, list(model.parameters()))
    assert torch.allclose(loss, exact, rtol=1e-5)
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5 if dtype == torch.float32 else 1e-12)


def test_every_pass_over_a_learned_function_is_one_fused_kernel() -> None:
    x = torch.randn(100, requires_grad=True)
    module = Activation("sin(omega*x)", LEARNED)
    y = module(x)
    for _ in range(3):
        y = torch.autograd.grad(y.sum(), x, create_graph=True)[0]
        assert type(y.grad_fn).__name__ == "FusedChainBackward"
    y.sum().backward()
    assert module.omega.grad.shape == module.omega.shape


@pytest.mark.parametrize(("text", "step"), [("tanh(x)", "gate_sech_squared_pair"), ("sin(x)", "gate_sin_pair")])
def test_the_pass_over_a_gradient_computes_its_functions_in_one_step(text: str, step: str) -> None:
    chain = gradient().pulled_back((True,), (True, True))
    kernel = higher.kernel(lower(symact.parse(text)), chain, "cpu", False)
    assert isinstance(kernel, PointwiseKernel)
    assert kernel.steps().startswith(f"{step} ")
    assert len(kernel.steps().splitlines()) == 1 + (text == "sin(x)")  # -sin(x), of which the pair has sin(x)


@pytest.mark.parametrize("omega", [1e-9, 3e4])
def test_derivatives_with_parameters_of_unusual_size_are_right(omega: float) -> None:
    """float32 was examined for ordinary ones."""
    x = (torch.linspace(-2, 2, 31) / omega).requires_grad_()
    function = compile_expression("exp(-(omega*x)**2)", LEARNED)
    found = repeated(lambda t: function(t, omega=torch.tensor(omega)), x.detach(), 2)
    exact = repeated(lambda t: function(t, omega=torch.tensor(omega).double()), x.detach().double(), 2)
    assert torch.allclose(found.double(), exact, rtol=1e-5, atol=1e-6 * omega**2)


def test_a_pass_keeps_x_and_the_gradients_that_came_in_and_nothing_else() -> None:
    kept: list[Tensor] = []
    x = torch.randn(100_000, requires_grad=True)
    g = torch.randn(100_000, requires_grad=True)
    y = compile_expression("gelu(x)")(x)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (kept.append(t), t)[1], lambda t: t):
        slope = torch.autograd.grad(y, x, g, create_graph=True)[0]
    assert [t.data_ptr() for t in kept] == [x.data_ptr(), g.data_ptr()]
    assert type(slope.grad_fn).__name__ == "FusedChainBackward"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_computed_in_float32_and_rounded_once(dtype: torch.dtype) -> None:
    x = torch.linspace(-4, 4, 1003).to(dtype)
    exact = symact.jet("x*sigmoid(x)", x.double(), 2)
    for found, value in zip(symact.jet("x*sigmoid(x)", x, 2), exact, strict=True):
        assert found.dtype == dtype
        assert torch.equal(found, value.to(dtype)) or (found.double() - value).abs().max() < 0.02


@pytest.mark.parametrize("size", [1, 15, 16, 17, 127, 129, 1000, 70_003])
def test_every_size_gives_the_same_elements_on_one_thread_and_on_two(size: int) -> None:
    x = torch.linspace(-5, 5, 70_003)[:size].contiguous()
    whole = symact.jet("gelu(x)", torch.linspace(-5, 5, 70_003), 3)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            assert all(torch.equal(a, b[:size]) for a, b in zip(symact.jet("gelu(x)", x, 3), whole, strict=True))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("size", [3, 100_000])
def test_elements_outside_the_range_of_float32_are_computed_in_float64(size: int) -> None:
    """`exp(x) - 1 - x` loses its digits near 0, its derivatives overflow nowhere that it does not."""
    x = torch.full((size,), 1.5)
    x[1] = 3e-5
    found = repeated(compile_expression("(exp(x) - 1 - x)/x**2"), x, 2)
    # 1/2 + x/6 + x**2/24: the second derivative at 0 is 1/12.
    assert abs(found[1].item() - (1 / 12 + 3e-5 / 20)) < 1e-6
    assert torch.equal(found[0], found[2])


def test_layouts_are_kept_and_strided_gradients_are_taken() -> None:
    x = torch.randn(2, 3, 5, 7).contiguous(memory_format=torch.channels_last).requires_grad_()
    g = torch.randn(2, 3, 7, 5).transpose(2, 3).requires_grad_()
    slope = torch.autograd.grad(compile_expression("tanh(x)")(x), x, g, create_graph=True)[0]
    bend, linear = torch.autograd.grad(slope.sum(), (x, g))
    assert slope.is_contiguous(memory_format=torch.channels_last)
    t = torch.tanh(x.detach())
    assert torch.allclose(linear, 1 - t * t, atol=1e-6)
    assert torch.allclose(bend, -2 * t * (1 - t * t) * g.detach(), atol=1e-6)


def test_kinks_have_the_derivatives_of_their_branches() -> None:
    x = torch.tensor([-1.0, 0.0, 2.0])
    assert torch.equal(repeated(compile_expression("relu(x)"), x, 2), torch.zeros(3))
    assert torch.allclose(repeated(compile_expression("elu(x)"), x, 2)[[0, 2]], torch.tensor([0.36787945, 0.0]))
    assert torch.equal(repeated(compile_expression("x*relu(x)"), x, 2)[[0, 2]], torch.tensor([0.0, 2.0]))


@pytest.mark.parametrize("text", ["tanh(x)", "x*erfc(elu(x))", "x*sigmoid(x)"])
def test_gradients_of_gradients_of_gradients_are_checked_by_differences(text: str) -> None:
    function = compile_expression(text)
    x = torch.tensor([-1.3, 0.4, 2.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(function, (x,))
    assert torch.autograd.gradcheck(lambda t: symact.jet(function, t, 2), (x,))
    assert torch.autograd.gradgradcheck(lambda t: symact.jet(function, t, 2)[2], (x,))


def test_transforms_and_batched_gradients_see_through_the_fused_passes() -> None:
    text = "x*sigmoid(x)"
    function, native = compile_expression(text), nn.functional.silu
    x = torch.randn(5, dtype=torch.float64)

    def total(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda t: f(t).sum()

    for outer, inner in itertools.product((jacrev, jacfwd), repeat=2):
        assert torch.allclose(outer(inner(total(function)))(x), outer(inner(total(native)))(x))
    batch = torch.randn(3, 5, dtype=torch.float64)
    assert torch.allclose(vmap(hessian(total(function)))(batch), vmap(hessian(total(native)))(batch))
    assert torch.allclose(
        torch.autograd.functional.hessian(total(function), x, vectorize=True),
        torch.autograd.functional.hessian(total(native), x),
    )
    assert torch.allclose(
        vmap(lambda t: torch.stack(symact.jet(function, t, 2)))(batch)[:, 1], vmap(jacrev(total(native)))(batch)
    )


@pytest.mark.parametrize("channels", [None, 3])
def test_jets_of_learnable_functions_are_differentiable_in_their_parameters(channels: int | None) -> None:
    learned = Vocabulary(parameters={"beta": Parameter("beta", 0.7)})
    module = Activation("x*sigmoid(beta*x)", learned, channels=channels)
    x = torch.randn(4, 3)
    value, slope, bend = symact.jet(module, x, 2)
    assert torch.allclose(value, module(x), atol=1e-6)
    assert torch.allclose(bend, repeated(module, x, 2), atol=1e-5)
    (slope.sum() + bend.sum()).backward()
    assert module.beta.grad.shape == module.beta.shape


def test_a_jet_is_one_fused_pass_and_is_compiled() -> None:
    x = torch.randn(100, requires_grad=True)
    function = compile_expression("gelu(x)")
    compiled = torch.compile(lambda t: symact.jet(function, t, 2), fullgraph=True, backend="aot_eager")
    for found, eager in zip(compiled(x), symact.jet(function, x, 2), strict=True):
        assert torch.allclose(found, eager, atol=1e-6)
    value, slope = symact.jet("tanh(x)", x, 1)
    assert type(value.grad_fn).__name__ == type(slope.grad_fn).__name__ == "FusedChainBackward"
    assert higher.kernel(lower(symact.parse("tanh(x)")), derivatives(2), "cpu", False) is not None


@pytest.mark.parametrize("order", [-1, 9, 1.0, True])
def test_orders_that_make_no_sense_are_refused(order: Any) -> None:
    with pytest.raises(InputError, match="order"):
        symact.jet("tanh(x)", torch.ones(2), order)


def test_gradients_of_gradients_in_parameters_are_checked_by_differences() -> None:
    function = compile_expression("tanh(sigma*x)*sin(omega*x)", LEARNED)
    inputs = [torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in ([-1.3, 0.4], 1.2, 0.7)]
    assert torch.autograd.gradgradcheck(lambda x, o, s: function(x, omega=o, sigma=s), inputs)
    assert torch.autograd.gradgradcheck(lambda x, o, s: function.jet(x, 2, omega=o, sigma=s)[2], inputs)


@pytest.mark.parametrize("x", [1e-10, 3e-8, 1e-5, 1e-3, 0.1])
def test_derivatives_of_quotients_that_cancel_near_zero_are_those_of_the_series(x: float) -> None:
    """(exp(x) - 1 - x)/x**2 is 1/2 + x/6 + x**2/24 + ..."""
    exact = [1 / 2 + x / 6 + x**2 / 24, 1 / 6 + x / 12 + x**2 / 40, 1 / 12 + x / 20 + x**2 / 60]
    for dtype in (torch.float32, torch.float64):
        found = symact.jet("(exp(x) - 1 - x)/x**2", torch.tensor([x], dtype=dtype), 2)
        for value, wanted in zip(found, exact, strict=True):
            assert abs(value.item() - wanted) < 1e-6 + x**3
