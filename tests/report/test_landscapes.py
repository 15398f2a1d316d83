"""Landscapes: the numbers behind the pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from symact.report.landscapes import (
    filter_normalized,
    landscape_figure,
    loss_landscape,
    output_landscape,
    site_histogram,
    site_inputs,
)
from symact.tasks.data import Split
from symact.tasks.mlp_step import mean_loss


def test_a_random_linear_network_has_a_flat_slope_and_a_relu_network_folds() -> None:
    plane = output_landscape(nn.Identity, resolution=21)
    second = np.diff(plane, 2, axis=1)
    assert np.abs(second).max() < 1e-3 * np.abs(plane).max()
    assert np.abs(np.diff(output_landscape(nn.ReLU, resolution=21), 2, axis=1)).max() > 1e-2
    assert np.array_equal(plane, output_landscape(nn.Identity, resolution=21))


def test_directions_have_the_norms_of_the_filters() -> None:
    weight = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * torch.arange(4.0).view(4, 1, 1, 1)
    direction = filter_normalized(weight, torch.Generator().manual_seed(1))
    torch.testing.assert_close(direction.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1))


def test_the_middle_of_the_loss_landscape_is_the_model_and_the_model_stays() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    data = Split(torch.randn(50, 4), torch.arange(50) % 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    losses = loss_landscape(model, data, resolution=5, batch=20)
    assert losses.shape == (5, 5)
    assert losses[2, 2] == pytest.approx(mean_loss(model(data.x), data.y).item(), rel=1e-5)
    assert len(np.unique(losses)) == 25
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training


def test_site_inputs_are_what_the_activation_sees() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3), nn.ReLU())
    x = torch.randn(6, 4)
    first, second = site_inputs(model, [model[1], model[3]], x)
    np.testing.assert_allclose(first, model[0](x).detach().flatten(), rtol=1e-6)
    assert second.shape == (18,)
    assert not model[1]._forward_pre_hooks


def test_figures_are_drawn(tmp_path: Path) -> None:
    flat = output_landscape(nn.ReLU, resolution=9)
    flat[0, 0] = np.nan
    landscape_figure({"ReLU": flat, "tanh": flat}, 10.0, "output").savefig(tmp_path / "a.png")
    landscape_figure({"one": np.abs(flat) + 1}, 1.0, "loss", logarithmic=True).savefig(tmp_path / "b.png")
    values = [np.linspace(-9, 9, 50)] * 5
    site_histogram(values, values, [nn.Tanh() for _ in range(5)], "title").savefig(tmp_path / "c.png")
    assert all((tmp_path / name).stat().st_size > 2000 for name in ("a.png", "b.png", "c.png"))
