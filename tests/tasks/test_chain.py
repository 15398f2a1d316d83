"""The hand-written chain gives autograd's loss and gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from symact.expr.vocabulary import Parameter, Vocabulary
from symact.lower.module import Activation
from symact.tasks import chain
from symact.tasks.chain import Chain, gradient_function, is_chain, mean_loss, scores_function
from symact.tasks.networks import mlp
from symact.tasks.optimizers import FlatParameters

LEARNED = Vocabulary(name="learned", parameters={"beta": Parameter("beta", 0.7)})


def batch(count: int = 17) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 12, generator=generator), torch.randint(0, 5, (count,), generator=generator)


def network(text: str) -> nn.Sequential:
    torch.manual_seed(0)
    return mlp(lambda: Activation(text, LEARNED), 12, [8, 8, 8], 5)


@pytest.mark.parametrize("text", ["relu(x)", "x*sigmoid(beta*x)", "tanh(x)", "x*erfc(elu(x))", "beta", "1"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_chain_agrees_with_autograd(text: str, smoothing: float) -> None:
    x, y = batch()
    model = network(text)
    flat = FlatParameters(list(model.parameters()))
    assert is_chain(model)
    loss, gradient = Chain(model, flat, smoothing)(x, y)
    expected = mean_loss(model(x), y, smoothing)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, flat.gradient(expected), rtol=1e-4, atol=1e-6)


def test_parameters_left_out_get_no_gradient_and_stay_apart() -> None:
    x, y = batch()
    model = network("x*sigmoid(beta*x)")
    only = [parameter for parameter in model.parameters() if parameter.dim() == 0]
    flat = FlatParameters(only)
    _, gradient = Chain(model, flat, 0.0)(x, y)
    assert gradient.shape == (3,)
    torch.testing.assert_close(gradient, flat.gradient(mean_loss(model(x), y)), rtol=1e-4, atol=1e-6)


def test_other_networks_are_left_to_autograd() -> None:
    linear = nn.Linear(4, 4)
    hooked = nn.Sequential(nn.Linear(4, 4))
    hooked[0].register_forward_hook(lambda *_: None)
    for model in (
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)),
        nn.Sequential(linear, Activation("tanh(x)"), linear),
        nn.Sequential(nn.Linear(4, 4), Activation("tanh(x)")),
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
        hooked,
        nn.Linear(4, 2),
    ):
        assert not is_chain(model)


def test_gradient_function_of_any_network_agrees_with_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = batch()
    model = network("tanh(x)")
    flat = FlatParameters(list(model.parameters()))
    loss, gradient = gradient_function(model, flat, 0.0, False)(x, y)
    gradient = gradient.clone()
    monkeypatch.setattr(chain, "is_chain", lambda model: False)
    slow_loss, slow_gradient = gradient_function(model, flat, 0.0, False)(x, y)
    torch.testing.assert_close(loss, slow_loss)
    torch.testing.assert_close(gradient, slow_gradient, rtol=1e-4, atol=1e-6)


def test_a_step_that_single_precision_cannot_hold_is_repeated_in_double() -> None:
    x, y = batch()
    # From 89 on both overflow in single precision; their quotient is tanh.
    model, expected = network("sinh(x)/cosh(x)"), network("tanh(x)")
    for chosen in (model, expected):
        with torch.no_grad():
            chosen[0].weight.mul_(150)
    assert model[0](x).abs().max() > 95
    results = [Chain(m, FlatParameters(list(m.parameters())), 0.0)(x, y) for m in (model, expected)]
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(scores_function(model)(x), expected(x), rtol=1e-4, atol=1e-4)
