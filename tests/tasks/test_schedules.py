"""Schedules: who trains when, at which rate, on which data."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from symact.activation.module import Activation
from symact.errors import InputError
from symact.optimize.mixture import Mixture
from symact.program.loading import load_grammar
from symact.tasks.config import TrainConfig
from symact.tasks.data import Split
from symact.tasks.schedules import CYCLE_EPOCHS, MIXTURE_RATE, SCHEDULES, mixture_parameters, plan

GRAMMAR = load_grammar("aquasurf")
CONFIG = TrainConfig(epochs=5, batch=4, rate=1e-3)
DATA = Split(torch.arange(24.0).reshape(8, 3), torch.zeros(8, dtype=torch.long))


@pytest.fixture
def mixed():
    (candidate,) = Mixture(GRAMMAR.space("bench"), 0).ask(1)
    activations = [Activation(candidate, GRAMMAR), Activation(candidate, GRAMMAR), nn.ReLU()]
    return nn.Sequential(nn.Linear(3, 4), activations[0], nn.Linear(4, 4), activations[1], activations[2]), activations


def ids(parameters):
    return {id(parameter) for parameter in parameters}


def test_joint_trains_everything_and_needs_no_mixture():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    (phase,) = plan("joint", model, [model[1]], DATA, CONFIG)
    (turn,) = phase.turns
    assert (phase.epochs, turn.rate, turn.data) == (5, 1e-3, DATA)
    assert ids(turn.parameters) == ids(model.parameters())


def test_three_cycles_take_turns_and_never_train_both(mixed):
    model, activations = mixed
    phases = plan("three-cycle", model, activations, DATA, CONFIG)
    assert [phase.epochs for phase in phases] == [CYCLE_EPOCHS] * 3
    weights, mixture, again = (phase.turns[0] for phase in phases)
    assert ids(mixture.parameters) == ids(mixture_parameters(activations))
    assert ids(weights.parameters) == ids(again.parameters) == ids(model.parameters()) - ids(mixture.parameters)
    assert (weights.rate, mixture.rate) == (1e-3, MIXTURE_RATE)


def test_bilevel_trains_on_halves_that_share_no_row(mixed):
    model, activations = mixed
    (phase,) = plan("bilevel", model, activations, DATA, CONFIG)
    weights, mixture = phase.turns
    assert phase.epochs == 2 * CONFIG.epochs
    rows = [set(map(tuple, turn.data.x.tolist())) for turn in (weights, mixture)]
    assert not rows[0] & rows[1]
    assert rows[0] | rows[1] == set(map(tuple, DATA.x.tolist()))
    assert not ids(weights.parameters) & ids(mixture.parameters)


def test_a_shared_parameter_counts_once(mixed):
    _, activations = mixed
    found = mixture_parameters([activations[0], activations[0], activations[1]])
    assert len(found) == len(ids(found)) == 6


def test_an_unknown_schedule_is_refused():
    with pytest.raises(InputError, match="known: joint, three-cycle, bilevel"):
        plan("weekly", nn.Linear(3, 4), [], DATA, CONFIG)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("learnable", [False, True])
def test_a_reference_trains_everything_for_as_many_epochs_as_the_mixture(mixed, name, learnable):
    activation = Activation("x*sigmoid(beta*x)", load_grammar("ramachandran")) if learnable else nn.ReLU()
    model = nn.Sequential(nn.Linear(3, 4), activation)
    (phase,) = plan(name, model, [activation], DATA, CONFIG)
    (turn,) = phase.turns
    assert phase.epochs == sum(p.epochs for p in plan(name, *mixed, DATA, CONFIG))
    assert ids(turn.parameters) == ids(model.parameters())
    assert turn.data is DATA
