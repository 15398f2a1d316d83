"""Fisher features: eigenvalues of the Kronecker factors, without forming the products."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from symact.tasks.fisher import EDGES, FisherProbe, log_spectrum, observe, pairwise_cdf
from symact.tasks.kronecker_factors import LayerRecord, gradient_factor, input_factor


def factors(record: LayerRecord, gradients: list[torch.Tensor]) -> torch.Tensor:
    return torch.kron(gradient_factor(record, gradients), input_factor(record))


def test_linear_block_of_one_example_is_the_outer_product_of_its_gradient() -> None:
    """With one example the Kronecker product is exact: F = vec(g a^T) vec(g a^T)^T, bias included."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x, y = torch.randn(1, 3), torch.tensor([1])
    records, gradients = observe(model, x, y)
    loss = functional.cross_entropy(model(x), y)
    for record, gradient in zip(records, gradients, strict=True):
        weight, bias = torch.autograd.grad(loss, [record.module.weight, record.module.bias], retain_graph=True)
        whole = torch.cat([weight, bias[:, None]], 1).flatten().double()
        torch.testing.assert_close(factors(record, gradient).double(), torch.outer(whole, whole), atol=1e-7, rtol=1e-4)


def test_spectrum_equals_that_of_the_explicitly_built_matrix() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, 2, 1), nn.Tanh(), nn.Conv2d(3, 3, 3, groups=3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 4)
    )
    x, y = torch.randn(40, 2, 8, 8), torch.randint(0, 4, (40,))
    features = FisherProbe(x, y)(model)
    records, gradients = observe(model, x, y)
    assert features.weights.tolist() == [3 * (2 * 9 + 1), 3 * (9 + 1), 4 * 13]
    for row, (record, gradient) in enumerate(zip(records, gradients, strict=True)):
        matrix = factors(record, gradient).double().numpy()
        assert len(matrix) == features.weights[row]
        values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
        # Eigenvalues at rounding error are zeros of the factors; the explicit matrix shows them as noise.
        logs = np.log(np.maximum(values, 1e-300))
        logs[values < 1e-12 * values.max()] = -np.inf
        expected = np.searchsorted(np.sort(logs), EDGES[1:], side="left") / len(logs)
        # A value within rounding of a bin's edge may fall on either side.
        assert np.abs(features.cdf[row] - expected).max() <= 1.01 / len(logs)


def test_pairwise_cdf_is_the_histogram_of_all_sums() -> None:
    generator = np.random.default_rng(0)
    a, b = np.sort(generator.normal(-20, 30, 57)), np.sort(generator.normal(-10, 25, 23))
    a[:3] = -np.inf
    b[0] = -np.inf
    sums = (a[:, None] + b[None, :]).ravel()
    expected = [(sums < edge).mean() for edge in EDGES[1:]]
    np.testing.assert_allclose(pairwise_cdf(a, b), expected, atol=1e-12)
    np.testing.assert_allclose(pairwise_cdf(b, a), expected, atol=1e-12)


def test_zero_eigenvalues_are_below_every_bin() -> None:
    matrix = torch.diag(torch.tensor([0.0, 1e-30, 1.0, 4.0], dtype=torch.float64))
    assert log_spectrum(matrix).tolist() == [-np.inf, -np.inf, 0.0, pytest.approx(np.log(4))]
    assert np.isneginf(log_spectrum(torch.zeros(3, 3))).all()
    assert log_spectrum(torch.full((2, 2), torch.inf)) is None


class Explode(nn.Module):
    """Overflows at once."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(100 * x * x)


def test_overflow_is_reported_as_not_finite() -> None:
    features = FisherProbe(torch.randn(8, 3), torch.zeros(8, dtype=torch.int64))(
        nn.Sequential(nn.Linear(3, 4), Explode(), nn.Linear(4, 4), Explode(), nn.Linear(4, 2))
    )
    assert not features.finite
    assert not features.cdf.any()
    assert features.cdf.shape == (3, 100)


def test_a_dead_activation_gives_zero_gradients_not_an_error() -> None:
    class Dead(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(x)

    features = FisherProbe(torch.randn(8, 3), None)(nn.Sequential(nn.Linear(3, 4), Dead(), nn.Linear(4, 2)))
    assert features.finite
    assert features.cdf[0].min() == 1.0


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8, 2))
    model[3].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    FisherProbe(torch.randn(6, 1, 4, 4), torch.zeros(6, dtype=torch.int64))(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert not model[3].training
    assert model[2].inplace
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
