"""Scores: what is one, and which way is better."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

from symact.expr.tree import parse
from symact.records import Direction, Outcome, Status, Trial
from symact.store.outcomes import storable


@pytest.mark.parametrize("score", [1, 0.5, np.float32(0.5), np.int64(3), torch.tensor(0.5), torch.tensor([0.5])])
def test_any_number_is_a_score(score):
    outcome = Outcome.finished(score)
    assert outcome.status is Status.finished
    assert outcome.score == float(score)


@pytest.mark.filterwarnings("error")
def test_a_loss_with_its_gradient_is_a_score_without_a_warning():
    assert Outcome.finished(torch.tensor(0.5, requires_grad=True)).score == 0.5


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (None, "returned None as its score"),
        ("0.5", "str '0.5'"),
        (True, "bool True"),
        (1j, "complex 1j"),
        ([0.5], r"list \[0.5\]"),
        ({"accuracy": 1}, "dict {'accuracy': 1}"),
        (torch.zeros(3), r"Tensor of shape \(3,\)"),
        (np.zeros((2, 2)), r"ndarray of shape \(2, 2\)"),
        (10**400, "a whole number beyond float64"),
        (Outcome.finished(1.0), "Outcome Outcome"),
    ],
)
def test_a_score_of_the_wrong_type_is_a_failure_that_says_what_was_returned(score, said):
    for outcome in (Outcome.finished(score), storable(Outcome(Status.finished, score))):
        assert outcome.status is Status.crashed
        assert re.search(said, outcome.reason), outcome.reason


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 1e101, torch.tensor(math.nan)])
def test_a_score_that_is_not_finite_says_which_it_was(score):
    for outcome in (Outcome.finished(score, loss=2.0), storable(Outcome(Status.finished, score, "", {"loss": 2.0}))):
        assert outcome.status is Status.nonfinite
        assert outcome.reason == f"the task returned the score {float(score)}"
        assert outcome.metrics == {"loss": 2.0}


@pytest.mark.parametrize(("direction", "merit"), [(Direction.maximize, 0.25), (Direction.minimize, -0.25)])
def test_an_optimizer_is_told_scores_of_which_higher_ones_are_better(direction, merit):
    trial = Trial(parse("sin(x)"), (Outcome.finished(0.25),), direction=direction)
    assert trial.score == 0.25
    assert trial.merit == trial.maximized().score == trial.maximized().merit == merit
