"""Activations are good citizens of torch: training, transforms, compilation, copies, layouts, dtypes."""

from __future__ import annotations

import copy
import io
import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from symact.activation.module import POSITIVE_FLOOR, Activation, compile_many
from symact.activation.module import compile as compile_expression
from symact.backends.select import SELECTOR
from symact.errors import InputError
from symact.expr.tree import parse
from symact.program.loading import load_grammar, parse_grammar

GRAMMAR = parse_grammar(
    """
name = "test"
[parameters]
beta = { init = 0.5 }
alpha = { init = 1.0, positive = true }
[unary]
identity = "x"
sigmoid = "sigmoid(x)"
scaled = "beta*x"
power = "alpha*abs(x)"
[binary]
mul = "a*b"
[spaces]
one = ["unary(unary(x))"]
"""
)


def swish(channels: int | None = None) -> Activation:
    return Activation("x*sigmoid(beta*x)", GRAMMAR, channels=channels)


def test_a_network_with_it_trains() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), swish(), nn.Linear(16, 1))
    x = torch.randn(128, 4)
    y = (x**2).sum(1, keepdim=True)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        loss = ((net(x) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert net[1].beta.item() != 0.5


@pytest.mark.parametrize("shape", [(7,), (5, 3), (4, 3, 5), (2, 3, 4, 4)])
@pytest.mark.parametrize("channels", [None, 3])
def test_parameter_gradients_are_summed_to_their_shape(shape: tuple[int, ...], channels: int | None) -> None:
    if channels and len(shape) == 1:
        shape = (3,)
    for plain in (True, False):
        module = swish(channels).double()
        x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        per_channel = module.beta if channels is None else module.beta.view(-1, *[1] * max(0, len(shape) - 2))
        wanted = torch.autograd.grad((x * torch.sigmoid(per_channel * x)).square().sum(), [x, module.beta])
        if plain:
            with SELECTOR.only_plain():
                found = torch.autograd.grad(module(x).square().sum(), [x, module.beta])
        else:
            found = torch.autograd.grad(module(x).square().sum(), [x, module.beta])
        assert found[1].shape == module.beta.shape
        assert all(torch.allclose(a, b) for a, b in zip(found, wanted, strict=True))


def test_parameters_have_the_names_of_the_grammar() -> None:
    assert [name for name, _ in swish().named_parameters()] == ["beta"]
    assert swish(4).beta.shape == (4,)


def test_a_positive_parameter_stays_positive() -> None:
    module = Activation("alpha*x", GRAMMAR)
    with torch.no_grad():
        module.alpha.fill_(-0.25)
    assert module.constants() == {"alpha": 0.25}
    with torch.no_grad():
        module.alpha.fill_(0.0)
    assert module.constants()["alpha"] == pytest.approx(POSITIVE_FLOOR)


@pytest.mark.parametrize(
    "text", ["x*sigmoid(beta*x)", "mul(scaled(x),sigmoid(x))", "where(x > 0, beta*x, alpha*x**3)", "max(x, beta)"]
)
def test_the_learned_formula_parses_again_and_is_the_same_function(text: str) -> None:
    module = Activation(text, GRAMMAR)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(-1.37 if parameter is getattr(module, "beta", None) else 0.7)
    x = torch.linspace(-3, 3, 13)
    assert torch.allclose(module(x), compile_expression(module.expression())(x), atol=1e-6)


def test_one_formula_cannot_hold_values_per_channel() -> None:
    with pytest.raises(InputError, match="per channel"):
        swish(3).expression()


def test_it_shows_itself() -> None:
    module = swish()
    assert repr(module) == "Activation(x*sigmoid(beta*x))"
    assert "beta = 0.5" in module._repr_html_()
    assert module._repr_latex_().startswith("$")
    assert "def forward(x, beta):" in module.source()


def test_mixture_parameters_are_those_declared_so() -> None:
    assert swish().mixture_parameters() == []


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("plain", [False, True])
def test_every_floating_dtype_comes_back_computed_in_float32_or_more(dtype: torch.dtype, plain: bool) -> None:
    x = torch.linspace(-4, 4, 65).to(dtype).requires_grad_()
    module = Activation("x*tanh(softplus(x))")
    if plain:
        with SELECTOR.only_plain():
            y = module(x)
    else:
        y = module(x)
    y.sum().backward()
    assert y.dtype == dtype == x.grad.dtype
    exact = nn.functional.mish(x.detach().double())
    assert torch.allclose(y.double(), exact.to(dtype).double(), rtol=2 * torch.finfo(dtype).eps, atol=1e-6)


@pytest.mark.parametrize(
    "x",
    [
        torch.empty(0, 3),
        torch.linspace(-3, 3, 24).view(4, 6)[:, ::2],
        torch.linspace(-3, 3, 12).view(3, 4).t(),
        torch.linspace(-3, 3, 96).view(2, 3, 4, 4).to(memory_format=torch.channels_last),
        torch.tensor(0.7),
        torch.tensor([[-2.0, 0.3, 4.0]]).expand(5, 3),
    ],
    ids=["empty", "strided", "transposed", "channels_last", "scalar", "expanded"],
)
def test_every_layout(x: torch.Tensor) -> None:
    # Not random: beside its root at -1.278 no two ways of computing the slope in float32 agree to so many digits.
    x = x.detach().requires_grad_()
    y = Activation("x*sigmoid(x)")(x)
    assert torch.allclose(y, nn.functional.silu(x))
    assert torch.allclose(*torch.autograd.grad(y.sum(), x), *torch.autograd.grad(nn.functional.silu(x).sum(), x))
    if x.dim() == 4:
        assert y.is_contiguous(memory_format=torch.channels_last)


def test_integers_become_floats_and_other_things_are_refused() -> None:
    assert Activation("x*x")(torch.arange(3)).tolist() == [0.0, 1.0, 4.0]
    with pytest.raises(InputError, match="real function"):
        Activation("x")(torch.zeros(2, dtype=torch.complex64))
    with pytest.raises(InputError, match="torch tensor"):
        Activation("x")(np.zeros(2))  # type: ignore[arg-type]


def test_copies_and_state() -> None:
    module = swish(3)
    with torch.no_grad():
        module.beta.copy_(torch.tensor([0.1, 0.2, 0.3]))
    x = torch.randn(5, 3)
    other = swish(3)
    other.load_state_dict(module.state_dict())
    for same in (copy.deepcopy(module), other):
        assert torch.equal(same(x), module(x))
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=True)["beta"], module.beta)


def test_transforms_of_torch_func() -> None:
    function = compile_expression("x*sigmoid(x)")
    x = torch.randn(6, 3)
    slope = torch.sigmoid(x) * (1 + x * (1 - torch.sigmoid(x)))
    assert torch.allclose(torch.func.grad(lambda t: function(t).sum())(x), slope, atol=1e-6)
    assert torch.allclose(torch.func.vmap(function)(x), nn.functional.silu(x), atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, tangent = torch.func.jvp(function, (x,), (torch.full_like(x, 2.0),))
    assert torch.allclose(tangent, 2 * slope, atol=1e-6)
    hessian = torch.func.hessian(lambda t: function(t).sum())(x[0].double())
    assert torch.allclose(
        hessian, torch.autograd.functional.hessian(lambda t: nn.functional.silu(t).sum(), x[0].double())
    )


def test_functional_call_and_per_sample_gradients() -> None:
    module = swish()
    x = torch.randn(5, 3)

    def loss(parameters: dict[str, torch.Tensor], row: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(module, parameters, (row,)).sum()

    found = torch.func.vmap(torch.func.grad(loss), (None, 0))(dict(module.named_parameters()), x)["beta"]
    wanted = torch.stack([torch.autograd.grad(module(row).sum(), module.beta)[0] for row in x])
    assert torch.allclose(found, wanted, atol=1e-6)


def test_double_backward_with_parameters() -> None:
    module = swish().double()
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(
        lambda t, b: torch.func.functional_call(module, {"beta": b}, (t,)), (x, module.beta)
    )


def test_autocast_keeps_the_dtype_of_what_comes_in() -> None:
    net = nn.Sequential(nn.Linear(3, 3), swish())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = net(torch.randn(2, 3))
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert net[1].beta.grad is not None


@pytest.mark.slow
def test_torch_compile_finds_one_graph() -> None:
    net = nn.Sequential(nn.Linear(3, 4), swish(4), Activation("x**2/(1 + x**2)"), nn.Linear(4, 1))
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    x = torch.randn(5, 3)
    compiled(x).sum().backward()
    found = net[1].beta.grad.clone()
    net.zero_grad()
    net(x).sum().backward()
    assert torch.allclose(compiled(x), net(x), atol=1e-6)
    assert torch.allclose(found, net[1].beta.grad, atol=1e-5)


@pytest.mark.slow
def test_torch_export() -> None:
    net = nn.Sequential(nn.Linear(3, 4), swish(), nn.Linear(4, 1)).eval()
    x = torch.randn(5, 3)
    exported = torch.export.export(net, (x,))
    assert torch.allclose(exported.module()(x), net(x), atol=1e-6)


def test_replicas_share_what_is_compiled() -> None:
    module = swish()
    replica = module._replicate_for_data_parallel()
    replica.beta = module.beta.detach() * 2
    x = torch.randn(3)
    assert torch.allclose(replica(x), x * torch.sigmoid(x), atol=1e-6)


def test_many_expressions_at_once() -> None:
    space = load_grammar("aquasurf").space()
    generator = np.random.default_rng(1)
    expressions = [space.sample(generator) for _ in range(40)]
    functions = compile_many(expressions)
    assert [str(f.expr) for f in functions] == [str(e) for e in expressions]
    x = torch.tensor([0.5], requires_grad=True)
    assert all(f(x).shape == x.shape for f in functions)


def test_parameters_of_a_function_are_given_by_name() -> None:
    function = compile_expression(parse("x*beta", GRAMMAR))
    x = torch.ones(2)
    assert function(x).tolist() == [0.5, 0.5]
    assert function(x, beta=3.0).tolist() == [3.0, 3.0]
    with pytest.raises(InputError, match="no parameter 'gamma'"):
        function(x, gamma=1.0)


def test_where_float32_is_not_enough_float64_runs() -> None:
    module = Activation("x**3/(1 + x**2)")
    x = torch.tensor([1e25, -3.0], requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert y[0].item() == pytest.approx(1e25, rel=1e-6)
    assert x.grad[0].item() == pytest.approx(1.0)


def test_a_parameter_per_channel_takes_its_shape_at_the_first_call():
    expr = parse("mul(scale(tanh(x)),scale(x))", load_grammar("pangaea"))
    module = Activation(expr, channel_dim=1)
    assert module.constants() == {"alpha_1": 1.0, "alpha_2": 1.0}
    fresh = copy.deepcopy(module)
    module(torch.randn(2, 5, 3)).sum().backward()
    assert module.alpha_1.shape == module.alpha_1.grad.shape == (5,)
    with torch.no_grad():
        module.alpha_2.fill_(3.0)
    fresh.load_state_dict(module.state_dict())
    assert fresh.constants() == module.constants()


def test_what_float32_cannot_tell_apart_is_computed_in_float64_element_by_element() -> None:
    activation = Activation("min(cosh(x), i0e(x))")
    plan = activation._runner.plan("cpu")
    assert plan.narrow.mended
    assert plan.bound == math.inf
    x = torch.tensor([1e-9, -1e-12, 0.0, 0.5], requires_grad=True)
    (slope,) = torch.autograd.grad(activation(x).sum(), x)
    assert slope[:3].tolist() == pytest.approx([-1.0, 1.0, 0.0], abs=1e-6)
