"""The parts of `cifar10-fast`, on made-up images: whitening, identity at the start, fast biases, rate, flips."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from symact.tasks.airbench import BIAS_SCALE, BiasNorm, CIFAR10Fast, FastBlock, whitening_filters
from symact.tasks.batches import alternate
from symact.tasks.config import TrainConfig, lookahead_weight, rate_factor
from symact.tasks.data import Dataset, Split


def images(count: int, seed: int = 0) -> torch.Tensor:
    """Smooth made-up images, whose neighbours are correlated, ``(count, 3, 16, 16)``."""
    noise = torch.randn(count, 3, 18, 18, generator=torch.Generator().manual_seed(seed))
    mixed = torch.einsum("ncij,cd->ndij", noise, torch.tensor([[2.0, 1, 0], [0, 1, 1], [0, 0, 1]]))
    return functional.avg_pool2d(mixed, 3, stride=1)


class MadeUp(CIFAR10Fast):
    """Two classes that a colour tells apart."""

    def load(self) -> Dataset:
        parts = []
        for seed, count in enumerate((256, 64, 64)):
            y = torch.arange(count) % 2
            parts.append(Split(images(count, seed) + (y - 0.5)[:, None, None, None], y))
        return Dataset("made-up", 2, *parts)


def test_the_first_layer_makes_neighbours_uncorrelated() -> None:
    x = images(400)
    filters = whitening_filters(x)
    outputs = functional.conv2d(x, filters, stride=2).transpose(0, 1).flatten(1)
    assert torch.equal(filters[:12], -filters[12:])
    found = torch.cov(outputs[:12])
    assert (found - found.diag().diag()).abs().max() < 1e-3
    assert 0.8 < found.diag().min() <= found.diag().max() < 1.01, "directions of hardly any variance are not blown up"


def test_a_block_begins_by_passing_its_inputs_on() -> None:
    block, x = FastBlock(nn.Identity, 4, 6).eval(), torch.rand(2, 4, 8, 8)
    assert torch.allclose(block(x)[:, :4], functional.max_pool2d(x, 2), atol=1e-4)


def test_a_bias_moves_64_times_as_fast_as_a_weight_would() -> None:
    norm = BiasNorm(3)
    before = norm.eval()(torch.zeros(1, 3, 2, 2))
    loss = norm(torch.zeros(1, 3, 2, 2)).mean(dim=(0, 2, 3)).sum()
    loss.backward()
    torch.optim.SGD(norm.parameters(), 0.01).step()
    moved = before - norm(torch.zeros(1, 3, 2, 2))
    assert moved.flatten().tolist() == pytest.approx([0.01 * BIAS_SCALE**2] * 12)


@pytest.mark.parametrize("decay", ["constant", "cosine", "linear"])
def test_the_rate_rises_and_falls(decay: str) -> None:
    config = TrainConfig(warmup=0.25, decay=decay)
    factors = [rate_factor(config, step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.2)
    assert factors[:26] == sorted(factors[:26])
    assert factors[25] == 1
    assert factors[25:] == sorted(factors[25:], reverse=True)
    assert factors[99] == pytest.approx({"constant": 1.0, "cosine": 0.0, "linear": 0.07}[decay], abs=0.02)


def test_without_a_warm_up_the_rate_begins_in_full() -> None:
    assert rate_factor(TrainConfig(decay="cosine"), 0, 10) == 1


def test_every_image_is_flipped_in_every_other_epoch_and_half_of_them_at_a_time() -> None:
    rows = torch.arange(10_000)
    first, second, third = (alternate(rows, epoch) for epoch in range(3))
    assert torch.equal(first, ~second)
    assert torch.equal(first, third)
    assert 0.45 < first.float().mean() < 0.55
    neighbours = (first[1:] == first[:-1]).float().mean()
    assert 0.2 < neighbours < 0.8, "neighbours are flipped together, or never"


def test_older_weights_count_more_and_more() -> None:
    weights = [lookahead_weight(step, 100) for step in range(101)]
    assert weights == sorted(weights)
    assert (weights[0], weights[-1]) == (0, pytest.approx(0.95**5))


def test_it_learns_the_same_each_time_and_leaves_its_filters() -> None:
    task = MadeUp()
    task.configure({"width": 0.1, "batch": 32, "epochs": 4.0, "mixed_precision": False})
    first, second = (task.evaluate(nn.GELU, 0) for _ in range(2))
    assert first.metrics["curve"] == second.metrics["curve"]
    assert first.score > 0.8
    model, activations = task.build(nn.GELU, 0)
    assert len(activations) == task.sites
    assert not model[0].weight.requires_grad
    assert torch.equal(model[0].weight.cpu(), task.filters.cpu())


def test_the_rate_grows_with_the_batch() -> None:
    task, scores = MadeUp(), []
    for changes in ({"rate": 1.5, "rate_batch": 1024}, {"rate": 1.5 * 32 / 1024, "rate_batch": 0}):
        task.configure({"width": 0.1, "batch": 32, "epochs": 1.0, **changes})
        scores.append(task.evaluate(nn.GELU, 0).metrics["curve"])
    assert scores[0] == scores[1]


def test_initial_scale_leaves_the_whitening_alone() -> None:
    task = MadeUp()
    plain = task.build(nn.GELU, 0)[0]
    task.configure({"initial_scale": 2.0})
    scaled = task.build(nn.GELU, 0)[0]
    assert torch.equal(plain[0].weight, scaled[0].weight)
    assert torch.allclose(scaled[-1].weight, 2 * plain[-1].weight)
