"""`compile` and `channels_last`: the same training, compiled whole or with another layout in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from symact.activation.module import Activation
from symact.execute.job import Job, perform
from symact.execute.task_loading import configured
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse, to_document
from symact.tasks import TASKS, Dataset, ImageTask, Split, TrainConfig
from symact.tasks.first_order import FlatParameters
from symact.tasks.networks import MakeActivation

GRAMMAR = Vocabulary(parameters={"beta": Parameter("beta")})


class Small(ImageTask):
    """A network with convolutions and normalization on a few made-up images, the last batch smaller."""

    name, sites = "small", 2
    config = TrainConfig(epochs=1, batch=32, optimizer="sgd", rate=0.05, weight_decay=1e-3, augment=True, shift=1)

    def load(self) -> Dataset:
        generator = torch.Generator().manual_seed(0)
        y = torch.arange(136) % 2
        x = torch.randn(136, 3, 8, 8, generator=generator) + (y - 0.5)[:, None, None, None]
        return Dataset(
            "made up", 2, *(Split(x[part], y[part]) for part in (slice(80), slice(80, 108), slice(108, 136)))
        )

    def network(self, make_activation: MakeActivation) -> nn.Module:
        first = [nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), make_activation()]
        return nn.Sequential(*first, nn.Conv2d(8, 8, 3, 2), make_activation(), nn.Flatten(), nn.Linear(32, 2))


def losses(make: Callable[[], nn.Module], **settings: bool) -> list[float]:
    task = Small()
    task.configure(settings)
    outcome = task.evaluate(make, 1)
    return [row[key] for row in outcome.metrics["curve"] for key in ("train_loss", "loss")]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler without its last stage, which writes C++ or Triton."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))


def test_a_compiled_training_is_the_plain_one_and_our_activations_break_no_graph(quick: None) -> None:
    make = partial(Activation, "x*sigmoid(beta*x)", GRAMMAR)
    torch._dynamo.utils.counters.clear()
    assert losses(make, compile=True, channels_last=True) == pytest.approx(losses(make), rel=2e-3)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    assert not torch._dynamo.utils.counters["graph_break"]


def test_one_process_compiles_as_many_trainings_as_there_are_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    task = configured(Small(), {"compile": True, "subset": 32})
    with torch._dynamo.config.patch(recompile_limit=1):
        assert [task.evaluate(nn.Tanh, 0).status for _ in range(3)] == ["finished"] * 3


def test_what_cannot_be_compiled_is_the_outcome(quick: None) -> None:
    class Breaking(Small):
        def network(self, make_activation: MakeActivation) -> nn.Module:
            class Break(nn.Module):
                def forward(self, x: torch.Tensor) -> torch.Tensor:
                    torch._dynamo.graph_break()
                    return x

            return nn.Sequential(super().network(make_activation), Break())

    task = configured(Breaking(), {"compile": True})
    outcome = perform(task, Vocabulary(), Job(0, 0, 0, to_document(parse("tanh(x)"), Vocabulary())))
    assert outcome.status == "crashed"
    assert "Unsupported" in outcome.reason, outcome.reason


@pytest.mark.slow
def test_the_compiler_is_given_the_training_of_a_perceptron_too() -> None:
    plain, compiled = TASKS["digits-deep"](), TASKS["digits-deep"]()
    for task, compile in ((plain, False), (compiled, True)):
        task.configure({"subset": 128, "epochs": 2.0, "compile": compile})
    make = partial(Activation, "x*sigmoid(x)")
    rows = [task.evaluate(make, 0).metrics["curve"] for task in (plain, compiled)]
    assert [row["train_loss"] for row in rows[1]] == pytest.approx([row["train_loss"] for row in rows[0]], rel=1e-4)


def test_weights_keep_their_channels_last_in_the_flat_buffer_and_so_do_images_and_activations() -> None:
    seen = []

    class Watch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.dim() != 4 or x.is_contiguous(memory_format=torch.channels_last))
            return x.relu()

    assert losses(Watch, channels_last=True) == pytest.approx(losses(nn.ReLU), rel=2e-3)
    assert all(seen)
    layer = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    before, x = layer.weight.detach().clone(), torch.randn(2, 3, 5, 5)
    flat = FlatParameters(list(layer.parameters()))
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(layer.weight, before)
    gradient = flat.gradient(layer(x).square().sum())
    expected = torch.autograd.grad(layer(x).square().sum(), layer.weight)[0]
    flat.buffer.add_(gradient)
    torch.testing.assert_close(layer.weight.detach(), before + expected)
