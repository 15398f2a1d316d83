"""The native step of a multi-layer perceptron: right in every shape, and with every kind of layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from symact.activation.module import Activation
from symact.tasks.first_order import FlatParameters
from symact.tasks.mlp_step import mean_loss
from symact.tasks.networks import mlp
from tests.tasks.test_mlp_step import LEARNED, batch, native, network


@pytest.mark.parametrize("widths", [[1, 3], [16, 32, 33], [47, 5, 96], []])
@pytest.mark.parametrize("rows", [1, 7, 40])
def test_native_products_are_right_in_every_shape(widths: list[int], rows: int) -> None:
    torch.manual_seed(0)
    model = mlp(lambda: Activation("tanh(x)"), 37, widths, 19)
    x, y = torch.randn(rows, 37), torch.randint(0, 19, (rows,))
    flat = FlatParameters(list(model.parameters()))
    step = native(model, flat, 0.0)
    loss, gradient = step(x, y)
    expected = mean_loss(model(x), y)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, flat.gradient(expected), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(step.scores(x), model(x).detach(), rtol=1e-5, atol=1e-5)


def test_native_chain_takes_parameters_per_channel_and_layers_without_bias() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 8, bias=False), Activation("x*sigmoid(beta*x)", LEARNED, channels=8))
    model = nn.Sequential(*model, nn.Linear(8, 5))
    with torch.no_grad():
        model[1].beta.copy_(torch.linspace(-1, 2, 8))
    x, y = batch()
    flat = FlatParameters(list(model.parameters()))
    loss, gradient = native(model, flat, 0.0)(x, y)
    expected = mean_loss(model(x), y)
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(gradient, flat.gradient(expected), rtol=1e-4, atol=1e-6)


def test_native_chain_names_a_label_that_is_no_class() -> None:
    x, y = batch()
    model = network("tanh(x)")
    with pytest.raises(IndexError, match="number of classes, 5"):
        native(model, FlatParameters([]), 0.0)(x, y + 1)
