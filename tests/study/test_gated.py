"""Functions of two inputs are searched and compared on a task whose activations are gates, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import symact
from symact.activation.gate import Gate
from symact.errors import InputError
from symact.records import Outcome, Status
from symact.study import Study
from symact.tasks.declaration import GATES

GRAMMAR = symact.load_grammar("gates")


class Products:
    """A gated layer that is to learn a product of two coordinates; the error is minimized."""

    gated, sites, direction = True, 1, "minimize"

    def evaluate(self, make_activation, seed, budget=1.0):
        torch.manual_seed(seed)
        x = torch.randn(128, 4)
        up, gate, down = nn.Linear(4, 16), make_activation(), nn.Linear(8, 1)
        assert isinstance(gate, Gate)
        parameters = [*up.parameters(), *gate.parameters(), *down.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=0.02)
        for _ in range(20):
            loss = (down(gate(*up(x).chunk(2, -1)))[:, 0] - x[:, 0] * x[:, 1]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return Outcome.finished(loss.item())


class Alone:
    sites = 1

    def evaluate(self, make_activation, seed, budget=1.0):
        return Outcome.finished(make_activation()(torch.ones(())).item())


@pytest.mark.parametrize("space", ["published", "large"])
@pytest.mark.parametrize("optimizer", ["random", "evolution", "rl", "surrogate"])
def test_every_optimizer_searches_gates(optimizer, space):
    with Study(GRAMMAR.space(space), Products(), optimizer, batch=3, confirm=0) as study:
        study.run(len(GATES) + 6)
        trials = study.trials
    assert [str(trial.candidate) for trial in trials[:5]] == list(GATES)
    found = [trial for trial in trials if trial.origin == optimizer]
    assert len(found) == 6
    assert all(trial.status is Status.finished for trial in trials)
    assert {len(trial.candidate.inputs) for trial in found} == {2}


def test_a_comparison_of_gates_needs_no_grammar_and_refers_to_swiglu():
    table = symact.compare(["max(x, 0)*g", "x*g"], Products(), seeds=3)
    assert {row.expression for row in table.rows} == {GATES[0], "max(x, 0)*g", "x*g"}
    assert all(row.cost > 0 and row.mean is not None for row in table.rows)


def test_gates_and_activations_of_one_tensor_do_not_meet():
    with pytest.raises(InputError, match=r"activations of x alone.* x and g"):
        Study(GRAMMAR.space("published"), Alone(), "random")
    with pytest.raises(InputError, match=r"has gates.* x alone"):
        Study(symact.load_grammar("ramachandran").space(), Products(), "random")
    with pytest.raises(InputError, match="activations of x alone"):
        symact.compare(["x*g"], Alone(), grammar=GRAMMAR)
    with pytest.raises(InputError, match="mixture: it mixes functions of x alone"):
        Study(GRAMMAR.space("published"), Products(), "mixture")
