"""The hand-written chain gives autograd's loss and gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from symact.activation.module import Activation
from symact.activation.plan import plan
from symact.backends.select import SELECTOR
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse
from symact.program.pipeline import lower
from symact.tasks import mlp_step
from symact.tasks.config import TrainConfig
from symact.tasks.data import Split
from symact.tasks.first_order import FlatParameters
from symact.tasks.mlp_step import Chain, gradient_function, is_chain, mean_loss, measure_function
from symact.tasks.mlp_step_native import NativeChain
from symact.tasks.networks import mlp
from symact.tasks.train import Phase, Turn, train

# A sigmoid at -95 times a hyperbolic sine of 95 is a half; single precision has neither.
NARROW = "sigmoid(-abs(x))*sinh(x)"
LEARNED = Vocabulary(name="learned", parameters={"beta": Parameter("beta", 0.7)})


def batch(count: int = 17) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 12, generator=generator), torch.randint(0, 5, (count,), generator=generator)


def network(text: str) -> nn.Sequential:
    torch.manual_seed(0)
    return mlp(lambda: Activation(text, LEARNED), 12, [8, 8, 8], 5)


def native(model: nn.Module, flat: FlatParameters, smoothing: float) -> NativeChain:
    made = NativeChain.of(model, flat, smoothing)
    assert made is not None
    return made


@pytest.mark.parametrize("way", [Chain, native])
@pytest.mark.parametrize("text", ["relu(x)", "x*sigmoid(beta*x)", "tanh(x)", "x*erfc(elu(x))", "beta", "1"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_chain_agrees_with_autograd(way: Callable[..., Any], text: str, smoothing: float) -> None:
    x, y = batch()
    model = network(text)
    flat = FlatParameters(list(model.parameters()))
    assert is_chain(model)
    loss, gradient = way(model, flat, smoothing)(x, y)
    expected = mean_loss(model(x), y, smoothing)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, flat.gradient(expected), rtol=1e-4, atol=1e-6)


def test_large_networks_and_plain_torch_are_left_to_torch() -> None:
    wide = mlp(lambda: Activation("tanh(x)"), 600, [600], 5)
    assert is_chain(wide)
    assert NativeChain.of(wide, FlatParameters([]), 0.0) is None
    with SELECTOR.only_plain():
        assert NativeChain.of(network("x*sigmoid(beta*x)"), FlatParameters([]), 0.0) is None
        test_chain_agrees_with_autograd(Chain, "x*sigmoid(beta*x)", 0.0)


@pytest.mark.parametrize("text", ["relu(x)", "x*sigmoid(beta*x)", NARROW, "x/asinh(x)"])
def test_three_ways_train_along_the_same_curve(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(160, 12, generator=generator) * 3, torch.randint(0, 5, (160,), generator=generator)
    config = TrainConfig(epochs=4, batch=32)

    def curve() -> list[float]:
        model = network(text)
        phases = [Phase("joint", 4, (Turn(list(model.parameters()), Split(x, y), config.rate),))]
        return [row["train_loss"] for row in train(model, phases, config, 0).curve]

    found = curve()
    monkeypatch.setattr(NativeChain, "of", lambda *_: None)
    assert curve() == pytest.approx(found, rel=1e-4)
    monkeypatch.setattr(mlp_step, "is_chain", lambda model: False)
    assert curve() == pytest.approx(found, rel=1e-4)


def test_rows_of_sequences_are_left_to_autograd() -> None:
    model = network("tanh(x)")
    flat = FlatParameters(list(model.parameters()))
    x, y = torch.randn(3, 4, 12), torch.randint(0, 5, (3, 4))
    loss, _ = gradient_function(model, flat, TrainConfig())(x, y)
    torch.testing.assert_close(loss, mean_loss(model(x), y).detach())
    assert measure_function(model)(x, y)[1] == (model(x).argmax(-1) == y).sum()


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
    loss, gradient = gradient_function(model, flat, TrainConfig())(x, y)
    gradient = gradient.clone()
    monkeypatch.setattr(mlp_step, "is_chain", lambda model: False)
    slow_loss, slow_gradient = gradient_function(model, flat, TrainConfig())(x, y)
    torch.testing.assert_close(loss, slow_loss)
    torch.testing.assert_close(gradient, slow_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("way", [Chain, native])
@pytest.mark.parametrize("text", ["x*sigmoid(beta*x)", "tanh(x)"])
@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_a_chain_takes_double_precision_when_the_module_does(way: Callable[..., Any], text: str, scale: float) -> None:
    """Another function stands for double precision, so that one sees which was taken."""
    x, y = batch()
    model = network(text)
    runner = model[1]._runner
    other = plan(lower(parse(text.replace("x*sig", "2*x*sig").replace("tanh", "3*tanh"), LEARNED)))
    before = runner.plan("cpu")
    runner._plans["cpu"] = replace(before, bound=0.5, wide=other.narrow, small=None)
    try:
        flat = FlatParameters(list(model.parameters()))
        expected = mean_loss(model(x * scale), y)
        loss, gradient = way(model, flat, 0.0)(x * scale, y)
        torch.testing.assert_close(loss, expected.detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gradient, flat.gradient(expected), rtol=1e-4, atol=1e-6)
        assert measure_function(model)(x * scale, y)[0] == pytest.approx(expected.item(), rel=1e-5)
    finally:
        runner._plans["cpu"] = before
    plain = mean_loss(model(x * scale), y)
    assert bool((plain - expected).abs() < 1e-6) == (scale < 1)


@pytest.mark.parametrize("way", [Chain, native])
def test_a_chain_takes_double_precision_where_a_parameter_asks_for_it(way: Callable[..., Any]) -> None:
    x, y = batch()
    model = network("x*sigmoid(beta*x)")
    runner = model[1]._runner
    before = runner.plan("cpu")
    assert before.seen
    other = plan(lower(parse("3*x*sigmoid(beta*x)", LEARNED)))
    runner._plans["cpu"] = replace(before, wide=other.narrow)
    try:
        flat = FlatParameters(list(model.parameters()))
        step = way(model, flat, 0.0)
        for beta in (0.7, 1e-8, 1e4, 0.0):
            with torch.no_grad():
                model[3].beta.fill_(beta)
            expected = mean_loss(model(x), y)
            loss, gradient = step(x, y)
            torch.testing.assert_close(loss, expected.detach(), rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(gradient, flat.gradient(expected), rtol=1e-4, atol=1e-6)
    finally:
        runner._plans["cpu"] = before


@pytest.mark.parametrize("way", [Chain, native])
def test_what_single_precision_cannot_hold_is_trained_as_by_the_module(way: Callable[..., Any]) -> None:
    x, y = batch()
    model = network(NARROW)
    with torch.no_grad():
        model[0].weight.mul_(150)
        assert model[0](x).abs().max() > 95
    assert torch.isfinite(model(x)).all()
    flat = FlatParameters(list(model.parameters()))
    loss, gradient = way(model, flat, 0.0)(x, y)
    expected = mean_loss(model(x), y)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, flat.gradient(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("text", ["tanh(x)", NARROW])
def test_evaluation_counts_as_the_module_does(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = batch(60)
    model = network(text)
    with torch.no_grad():
        model[0].weight.mul_(150 if text == NARROW else 3)
        expected = mean_loss(model(x), y).item(), int((model(x).argmax(1) == y).sum())
    assert 0 < expected[1] < 60

    def found() -> tuple[float, int]:
        with torch.no_grad():
            loss, right = measure_function(model)(x, y)
        return float(loss), int(right)

    assert found() == (pytest.approx(expected[0], rel=1e-5), expected[1])
    monkeypatch.setattr(NativeChain, "of", lambda *_: None)
    assert found() == (pytest.approx(expected[0], rel=1e-5), expected[1])
    monkeypatch.setattr(mlp_step, "is_chain", lambda _: False)
    assert found() == (pytest.approx(expected[0], rel=1e-5), expected[1])
