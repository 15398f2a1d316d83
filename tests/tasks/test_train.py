"""The training loop: determinism, budget, batches."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from symact.tasks.config import TrainConfig
from symact.tasks.data import Split
from symact.tasks.train import Phase, Turn, measure_accuracy, train

CONFIG = TrainConfig(epochs=4, batch=16, rate=1e-2)


def data(count: int = 70) -> Split:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(count, 6, generator=generator)
    return Split(x, (x[:, 0] > 0).long())


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 2))


def phases(model: nn.Module, split: Split, epochs: float = 4) -> list[Phase]:
    return [Phase("joint", epochs, (Turn(list(model.parameters()), split, 1e-2),))]


def test_training_learns_and_the_same_seed_gives_the_same_curve() -> None:
    curves = []
    for seed in (5, 5, 6):
        model, split = network(), data()
        result = train(model, phases(model, split), CONFIG, seed, measure=lambda m: {"n": 1})
        curves.append([row["train_loss"] for row in result.curve])
        assert measure_accuracy(model, split, CONFIG)[1] > 0.8
    assert curves[0] == curves[1] != curves[2]
    assert curves[0][-1] < curves[0][0]


@pytest.mark.parametrize(("budget", "steps", "epochs"), [(1.0, 20, 4), (0.5, 10, 2), (0.3, 6, 2), (0.001, 1, 1)])
def test_budget_shortens_the_training(budget: float, steps: int, epochs: int) -> None:
    model, split = network(), data()
    result = train(model, phases(model, split), CONFIG, 0, budget)
    assert (result.steps, len(result.curve)) == (steps, epochs)


@pytest.mark.parametrize("budget", [0.0, -1.0, 1.5, float("nan")])
def test_a_wrong_budget_is_refused(budget: float) -> None:
    model = network()
    with pytest.raises(ValueError, match="budget"):
        train(model, phases(model, data()), CONFIG, 0, budget)


def test_an_epoch_sees_every_row_once() -> None:
    seen: list[torch.Tensor] = []

    class Watch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(1, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.flatten())
            return self.linear(x)

    model = Watch()
    split = Split(torch.arange(37.0)[:, None], torch.zeros(37, dtype=torch.int64))
    train(model, phases(model, split, epochs=1), CONFIG, 0)
    assert [len(x) for x in seen] == [16, 16, 5]
    assert sorted(torch.cat(seen).tolist()) == list(range(37))


def test_training_stops_at_the_first_nonfinite_loss() -> None:
    class Poison(nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            Poison.calls += 1
            return x * float("nan") if Poison.calls > 7 else x

    model = nn.Sequential(nn.Linear(6, 2), Poison())
    result = train(model, phases(model, data()), CONFIG, 0)
    assert result.failed_at == 7
    assert Poison.calls == 8
    assert len(result.curve) == 1


def test_cosine_ends_near_rate_zero_and_augmentation_keeps_shapes() -> None:
    images = Split(torch.randn(20, 1, 8, 8), torch.zeros(20, dtype=torch.int64))
    model = nn.Sequential(nn.Conv2d(1, 2, 8), nn.Flatten())
    config = replace(CONFIG, decay="cosine", augment=True, label_smoothing=0.1, optimizer="sgd")
    result = train(model, [Phase("joint", 2, (Turn(list(model.parameters()), images, 0.1),))], config, 0)
    assert result.failed_at is None
    assert result.steps == 4


def test_parameters_that_do_not_reach_the_loss_stay() -> None:
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.tensor(2.0))
            self.linear = nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x)

    model = Aside()
    train(model, phases(model, data()), CONFIG, 0)
    assert model.unused.item() == 2.0
