"""The controller: what it may emit, its losses, its advantages, and that it learns."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from symact.expr.tree import Expr
from symact.optimize.reinforcement import Reinforcement
from symact.program.loading import load_grammar
from symact.records import Outcome, Trial


def planted(expression: Expr) -> float:
    """Every `tanh` helps, and `max` at the root."""
    return sum(node.operator.name == "tanh" for node in expression.walk()) + (expression.operator.name == "max")


@pytest.mark.parametrize("algorithm", ["ppo", "reinforce"])
def test_the_controller_moves_to_a_planted_optimum(algorithm):
    space = load_grammar("aquasurf").space("bench")
    optimizer = Reinforcement(space, 0, algorithm=algorithm)

    def average() -> float:
        emitted = map(optimizer.actions.expression, islice(optimizer._rollouts(), 200))
        return float(np.mean([planted(expression) for expression in emitted]))

    before = average()
    for _ in range(25):
        optimizer.tell([Trial(e, (Outcome.finished(planted(e)),)) for e in optimizer.ask(8)])
    assert average() > 2 * before


def test_a_cached_candidate_counts_again():
    space = load_grammar("aquasurf").space("bench")
    asked = Reinforcement(space, 0).ask(8)
    trials = [Trial(e, (Outcome.finished(n),)) for n, e in enumerate(asked)]
    once, twice = Reinforcement(space, 0), Reinforcement(space, 0)
    once.tell(trials)
    twice.tell(trials)
    twice.tell([Trial(asked[7], (Outcome.finished(7),), cached=True)] * 8)
    weights = [next(iter(o.controller.policy.parameters())).detach().clone() for o in (once, twice)]
    assert not torch.equal(*weights)


def test_what_is_not_finite_is_never_asked():
    space = load_grammar("aquasurf").space("bench")
    asked = Reinforcement(space, 0, features=lambda e: {"finite": np.array(["tanh" in str(one) for one in e])}).ask(8)
    assert all("tanh" in str(expression) for expression in asked)
