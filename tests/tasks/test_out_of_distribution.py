"""Tasks out of distribution: the regions do not overlap, the test has other targets, the right structure pays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from symact.activation.module import Activation
from symact.tasks.out_of_distribution import (
    TARGETS,
    OODFeynman,
    OODHarmonic,
    OODPolynomial,
    OutOfDistribution,
    harmonics,
)

TASKS = (OODPolynomial, OODHarmonic, OODFeynman)


@pytest.mark.parametrize("kind", TASKS)
def test_no_point_of_the_measure_lies_where_the_examples_lie(kind: type[OutOfDistribution]) -> None:
    task, generator = kind(), np.random.default_rng(3)
    inside, outside = (task.points(generator, 2048, part) for part in (False, True))
    assert inside.shape == outside.shape == (3, 2048)
    if kind is OODHarmonic:
        assert np.allclose(np.linalg.norm(outside, axis=0), 1)
        assert inside[2].max() < 0 <= outside[2].min()
    else:
        assert not ((outside >= inside.min(1, keepdims=True)) & (outside <= inside.max(1, keepdims=True))).all(0).any()


@pytest.mark.parametrize("kind", TASKS)
def test_targets_are_finite_and_those_of_the_test_are_others(kind: type[OutOfDistribution]) -> None:
    task, generator = kind(), np.random.default_rng(4)
    points = np.concatenate([task.points(generator, 500, part) for part in (False, True)], 1)
    search, test = (np.stack([target(points) for target in task.targets(part)]) for part in (False, True))
    assert search.shape == test.shape == (TARGETS, 1000)
    assert np.isfinite(search).all()
    assert np.isfinite(test).all()
    assert min(search.std(1).min(), test.std(1).min()) > 1e-2
    for target in search:
        assert all(not np.allclose(target, other) for other in test)


def test_harmonics_have_no_laplacian_inside_the_ball() -> None:
    """r^l Y_l is harmonic: its mean over a small sphere is its value at the centre."""
    (_, quadratic, *_) = harmonics(np.random.default_rng(5))
    directions = np.random.default_rng(6).standard_normal((3, 4000))
    directions = np.concatenate([directions, -directions], 1)
    near = np.array([[0.3], [0.2], [-0.1]]) + 0.05 * directions / np.linalg.norm(directions, axis=0)
    radius = np.linalg.norm(near, axis=0)
    centre = np.array([[0.3], [0.2], [-0.1]])
    size = float(np.linalg.norm(centre))
    assert (radius**2 * quadratic(near / radius)).mean() == pytest.approx(
        size**2 * float(quadratic(centre / size)[0]), abs=2e-3
    )


def test_predicting_the_mean_of_the_examples_has_an_error_of_one_where_they_lie() -> None:
    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(x), TARGETS)

    measured = OODPolynomial().problem(False).measure(Mean())
    assert list(measured.values()) == pytest.approx([0, 0], abs=1e-9)


def test_a_network_of_squares_goes_on_as_a_polynomial_does_where_tanh_does_not() -> None:
    task = OODPolynomial()
    square, tanh = (task.evaluate(lambda text=text: Activation(text), 0, 0.5).score for text in ("x**2", "tanh(x)"))
    assert square < tanh - 0.4
