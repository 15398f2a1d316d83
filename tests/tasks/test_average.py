"""The moving average of the weights: what is averaged, validated and kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from symact.tasks.average import Average
from symact.tasks.config import TrainConfig
from symact.tasks.data import Split
from symact.tasks.train import Phase, Turn, train
from tests.tasks.test_checkpoint import evaluated


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2))


def test_weights_and_running_statistics_are_averaged_by_the_rule_in_two_phases() -> None:
    model, decay, seen, shown = network(), 0.5, [], []
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(40, 6, generator=generator)
    split = Split(x, (x[:, 0] > 0).long())

    class Spy(Average):
        def update(self) -> None:
            seen.append([tensor.clone() for tensor in self._own()])
            super().update()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("symact.tasks.train.Average", Spy)
        turns = [Turn(list(model.parameters()), split, 0.1), Turn(list(model[3].parameters()), split, 0.1)]
        config = TrainConfig(batch=16, optimizer="sgd", ema=decay)
        phases = [Phase("one", 2, turns[:1]), Phase("two", 1, turns[1:])]  # type: ignore[arg-type]
        train(model, phases, config, 0, measure=lambda m: shown.append(m[0].weight.detach().clone()) or {})
    assert len(seen) == 9
    torch.manual_seed(0)
    expected = [t.detach().clone() for t in (*network().parameters(), *network().buffers()) if t.is_floating_point()]
    for step, tensors in enumerate(seen, 1):
        share = min(decay, (1 + step) / (10 + step))
        expected = [share * old + (1 - share) * new for old, new in zip(expected, tensors, strict=True)]
    found = [t.detach() for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(shown[-1], expected[0])
    assert model[1].num_batches_tracked == 9
    assert not torch.equal(seen[-1][-1], expected[-1])


def test_a_training_that_was_stopped_goes_on_to_the_same_average(tmp_path: Path) -> None:
    def stop(step: int, score: float, of: int | None) -> None:
        if step == 3:
            raise KeyboardInterrupt

    whole, plain = evaluated("", ema=0.9), evaluated("")
    with pytest.raises(KeyboardInterrupt):
        evaluated(tmp_path, report=stop, ema=0.9)
    again = evaluated(tmp_path, ema=0.9)
    assert again.metrics["curve"] == whole.metrics["curve"]
    assert again.metrics["train_loss"] == whole.metrics["train_loss"] != plain.metrics["train_loss"]
