"""Parameters per channel: which dimension counts channels, and what is said where that is not clear."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import symact
from symact.errors import InputError
from symact.execute.job import Job, MakeActivation, perform
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import to_document
from symact.records import Outcome, Status
from symact.tasks.builtin import ImageTask
from symact.tasks.data import digits

PER_CHANNEL = Vocabulary(parameters={"beta": Parameter("beta", 0.7, per="channel")})
PER_LAYER = Vocabulary(parameters={"beta": Parameter("beta", 0.7)})
TEXT = "x*sigmoid(beta*x)"
EQUAL = (4, 7, 7)


@pytest.mark.parametrize("shape", [(4, 5, 7), (4, 7, 5), EQUAL, (1, 1, 3), (2, 3, 1)])
def test_three_dimensions_are_not_read_along_one_of_them_by_chance(shape: tuple[int, ...]) -> None:
    module = symact.Activation(TEXT, PER_CHANNEL)
    with pytest.raises(InputError, match=r"channel_dim=1 .* or channel_dim=-1") as caught:
        module(torch.zeros(shape))
    assert "\n" not in str(caught.value)
    assert module.waiting
    for dim in (1, 2, -1, -2):
        module = symact.Activation(TEXT, PER_CHANNEL, channel_dim=dim)
        assert module(torch.zeros(shape)).shape == shape
        assert module.beta.shape == (shape[dim],)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 7, 7), (4, 5, 2, 3, 4), (5,)])
def test_in_other_tensors_channels_are_second(shape: tuple[int, ...]) -> None:
    module = symact.Activation(TEXT, PER_CHANNEL)
    module(torch.zeros(shape))
    assert module.beta.shape == (5,)
    if len(shape) < 3:
        module(torch.zeros(2, 5, 9))  # Their number is known now, and only one dimension has it.


@pytest.mark.parametrize("channels", [5, 7, 9])
@pytest.mark.parametrize("shape", [(4, 5, 7), EQUAL, (4, 7, 5), (4, 6, 6)])
def test_a_known_number_of_channels_decides_or_is_refused(shape: tuple[int, ...], channels: int) -> None:
    module = symact.Activation(TEXT, PER_CHANNEL, channels=channels)
    if shape[1] == channels != shape[2]:
        assert module(torch.zeros(shape)).shape == shape
    else:
        with pytest.raises(InputError, match="channel_dim="):
            module(torch.zeros(shape))


@pytest.mark.parametrize("vocabulary", [PER_LAYER, None])
def test_one_value_for_all_needs_no_dimension(vocabulary: Vocabulary | None) -> None:
    module = symact.Activation(TEXT if vocabulary else "x*sigmoid(x)", vocabulary)
    assert module(torch.zeros(EQUAL)).shape == EQUAL
    assert symact.Activation(TEXT, PER_LAYER, channels=1)(torch.zeros(EQUAL)).shape == EQUAL


class Block(nn.Module):
    """Channels last after `up`, second after `mix`."""

    def __init__(self, first: nn.Module, second: nn.Module):
        super().__init__()
        self.up, self.first = nn.Linear(6, 8), first
        self.mix, self.second, self.head = nn.Conv1d(5, 5, 1), second, nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(self.up(x))
        return self.head(self.second(self.mix(x)).mean(1))


def test_an_example_settles_the_channels_of_every_site() -> None:
    model = Block(*(symact.Activation(TEXT, PER_CHANNEL) for _ in range(2)))
    settled = model.first
    symact.settle_channels(model, torch.randn(3, 5, 6))
    assert [(m.channel_dim, len(m.beta)) for m in (model.first, model.second)] == [(-1, 8), (1, 5)]
    assert model.first is settled
    model(torch.randn(2, 5, 6)).sum().backward()
    assert all(m.beta.grad is not None for m in (model.first, model.second))


def test_a_site_that_the_example_does_not_tell_is_named() -> None:
    shuffle = nn.Sequential(nn.Flatten(), nn.Unflatten(1, (10, 4)))
    model = nn.Sequential(nn.Linear(6, 8), shuffle, symact.Activation(TEXT, PER_CHANNEL))
    with pytest.raises(InputError, match=r"^2: which dimension .*\(3, 10, 4\).*channel_dim="):
        symact.settle_channels(model, torch.randn(3, 5, 6))
    assert model[2].waiting


class Tokens:
    """A task of a user's own."""

    def __init__(self, channel_dim: int | None):
        self.channel_dim = channel_dim

    def evaluate(self, make_activation, seed, budget=1.0):
        act = make_activation() if self.channel_dim is None else make_activation(channel_dim=self.channel_dim)
        model = nn.Sequential(nn.Linear(6, 8), act)
        optimizer = torch.optim.Adam(model.parameters())
        model(torch.randn(2, 5, 6)).sum().backward()
        optimizer.step()
        return Outcome.finished(len(act.beta))


def test_a_task_says_which_dimension_it_is() -> None:
    grammar = symact.parse_grammar(
        f'name = "g"\n[parameters]\nbeta = {{init = 0.7, per = "channel"}}\n[unary]\nf = "{TEXT}"\n'
    )
    job = Job(1, 0, 0, to_document(symact.parse("f(x)", grammar), grammar))
    assert perform(Tokens(-1), grammar, job).score == 8
    assert perform(Tokens(1), grammar, job).score == 5
    outcome = perform(Tokens(None), grammar, job)
    assert outcome.status is Status.crashed
    assert "channel_dim=-1" in outcome.reason
    assert "\n" not in outcome.reason


class Rows(ImageTask):
    """Digits, row by row: channels come last."""

    name, sites = "rows", 1

    def load(self):
        return digits()

    def network(self, make_activation):
        return nn.Sequential(
            nn.Unflatten(1, (8, 8)), nn.Linear(8, 5), make_activation(), nn.Flatten(), nn.Linear(40, 10)
        )


def test_the_layer_before_decides_in_a_task_of_symact() -> None:
    model, activations = Rows().build(MakeActivation(symact.parse(TEXT, PER_CHANNEL), PER_CHANNEL), 0)
    assert [(a.channel_dim, len(a.beta)) for a in activations] == [(-1, 5)]
    assert model.training
