"""The leaderboard ranks by score, never by luck, and never lets a failure win."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from symact.expr.tree import parse
from symact.records import Outcome, Status, Trial
from symact.report.leaderboard import leaderboard, paired_difference, winner


def trial(text: str, *scores: float, origin: str = "random", number: int = 0, **more) -> Trial:
    outcomes = tuple(Outcome.finished(score) for score in scores)
    return Trial(parse(text), outcomes, origin, number, **more)


def failed(text: str, status: str, number: int = 0) -> Trial:
    return Trial(parse(text), (Outcome.failed(status, "because"),), "random", number)


def test_the_interval_is_the_paired_t_interval_of_scipy():
    a, b = np.array([0.9, 0.95, 0.93, 0.91]), np.array([0.88, 0.9, 0.92, 0.9])
    got = paired_difference(a, b)
    low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert got is not None
    assert got.difference == pytest.approx((a - b).mean())
    assert (got.low, got.high) == (pytest.approx(low), pytest.approx(high))


def test_fewer_than_three_pairs_give_no_difference():
    assert paired_difference([0.9, 0.8], [0.1, 0.2]) is None


def test_best_first_then_failures_in_ask_order():
    rows = leaderboard(
        [
            failed("exp(x)", "diverged", 0),
            trial("tanh(x)", 0.5, number=1),
            trial("sin(x)", 0.7, number=2),
            failed("1/x", "crashed", 3),
        ]
    )
    assert [row.expression for row in rows] == ["sin(x)", "tanh(x)", "exp(x)", "1/x"]


def test_a_score_that_is_not_finite_never_ranks():
    outcome = Outcome.finished(math.nan)
    assert outcome.status is Status.nonfinite
    rows = leaderboard([Trial(parse("x"), (outcome,), "random", 0), trial("sin(x)", -5.0, number=1)])
    assert rows[0].expression == "sin(x)"


def test_fresh_seeds_decide_the_difference_where_there_are_any():
    trials = [trial("relu(x)", 0.5, 0.5, 0.5, origin="baseline"), trial("sin(x)", 0.9, 0.9, 0.9, number=1)]
    lucky = leaderboard(trials)[0]
    assert lucky.versus_relu.difference == pytest.approx(0.4)
    fresh = [trial("relu(x)", 0.5, 0.6, 0.7, origin="baseline"), trial("sin(x)", 0.5, 0.6, 0.7)]
    honest = leaderboard(trials, fresh)[0]
    assert honest.versus_relu.difference == pytest.approx(0.0)
    assert honest.document()["confirmed"]["scores"] == [0.5, 0.6, 0.7]


def test_relu_is_not_compared_with_itself_and_a_smaller_budget_ranks_below():
    trials = [
        trial("relu(x)", 0.5, origin="baseline"),
        trial("sin(x)", 0.99, number=1, budget=0.25),
        trial("tanh(x)", 0.1, number=2),
    ]
    rows = leaderboard(trials)
    assert [row.expression for row in rows] == ["relu(x)", "tanh(x)", "sin(x)"]
    assert rows[0].versus_relu is None


def test_one_lucky_seed_ranks_below_whatever_was_measured_on_all_of_them():
    trials = [
        trial("relu(x)", 0.5, 0.5, 0.5, origin="baseline"),
        trial("sin(x)", 0.99, number=1),
        trial("tanh(x)", 0.1, 0.1, 0.1, number=2),
        trial("exp(x)", 0.999, number=3, budget=1 / 9),
    ]
    rows = leaderboard(trials)
    assert [row.expression for row in rows] == ["relu(x)", "tanh(x)", "sin(x)", "exp(x)"]
    assert winner(rows).expression == "relu(x)"
    assert rows[3].document()["budget"] == 1 / 9


def test_a_repeated_candidate_is_one_row():
    first = trial("sin(x)", 0.7)
    again = trial("sin(x)", 0.7, number=5, cached=True)
    assert [row.trial.number for row in leaderboard([first, again])] == [0]


def test_the_winner_is_the_best_on_fresh_seeds():
    trials = [trial("sin(x)", 0.9), trial("tanh(x)", 0.8, number=1), trial("x", 0.7, number=2)]
    assert winner(leaderboard(trials)).expression == "sin(x)"
    fresh = [trial("sin(x)", 0.6, 0.6, 0.6), trial("tanh(x)", 0.7, 0.7, 0.7)]
    assert winner(leaderboard(trials, fresh)).expression == "tanh(x)"
    assert winner([]) is None
