"""The leaderboard ranks by score, never by luck, and never lets a failure win."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from symact.expr.operators import Parameter, Vocabulary
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


@pytest.mark.parametrize("seed", range(20))
def test_what_was_confirmed_comes_first_by_its_fresh_mean_and_one_winner_is_named(seed, tmp_path):
    generator = np.random.default_rng(seed)
    texts = [f"{n + 1}*tanh(x)" for n in range(8)]
    trials = [trial(text, generator.random(), number=n) for n, text in enumerate(texts)]
    trials += [failed("exp(x)", "diverged", 8)]
    count = int(generator.integers(0, 6))
    chosen = sorted(trials[:8], key=lambda t: -t.score)[:count]
    fresh = [Trial(t.candidate, tuple(map(Outcome.finished, generator.random(3))), "random", t.number) for t in chosen]
    rows = leaderboard(trials, fresh)
    assert sorted(row.trial.number for row in rows) == list(range(9)), "a row was lost"
    means = [row.fresh_score for row in rows[:count]]
    assert means == sorted((t.score for t in fresh), reverse=True)
    scores = [row.trial.score for row in rows[count:8]]
    assert scores == sorted(scores, reverse=True)
    assert winner(rows) is rows[0]


def test_a_confirmation_that_failed_or_is_not_complete_does_not_win():
    trials = [trial("sin(x)", 0.9), trial("tanh(x)", 0.8, number=1), trial("x", 0.7, number=2)]
    broken = Trial(parse("sin(x)"), (Outcome.finished(0.99), Outcome.failed("diverged", "")), "random", 0)
    rows = leaderboard(trials, [broken, trial("tanh(x)", 0.95), trial("x", 0.7, 0.7, 0.7, number=2)])
    assert [row.expression for row in rows] == ["x", "tanh(x)", "sin(x)"]


def test_the_difference_to_the_best_baseline_is_paired_on_the_fresh_seeds():
    trials = [trial("relu(x)", 0.5, origin="baseline"), trial("elu(x)", 0.4, origin="baseline", number=1)]
    trials += [trial("sin(x)", 0.9, number=2), trial("x", 0.1, number=3)]
    fresh = [trial("relu(x)", 0.5, 0.6, 0.7), trial("elu(x)", 0.7, 0.8, 0.9), trial("sin(x)", 0.8, 0.9, 1.0)]
    rows = {row.expression: row for row in leaderboard(trials, fresh)}
    assert rows["sin(x)"].versus_best_baseline.difference == pytest.approx(0.1)
    assert rows["relu(x)"].versus_best_baseline.difference == pytest.approx(-0.2)
    assert rows["elu(x)"].versus_best_baseline is None
    assert rows["x"].versus_best_baseline is None
    assert rows["sin(x)"].document()["versus_best_baseline"]["pairs"] == 3


WEIGHTS = Vocabulary(parameters={f"w{i}": Parameter(f"w{i}", positive=True, mixture=True) for i in (1, 2)})


@pytest.mark.parametrize("confirmed", [False, True])
@pytest.mark.parametrize(
    ("mixture", "reference", "shown"),
    [
        ([30] * 3, [10] * 3, False),
        ([30] * 3, [30] * 3, True),
        ([30] * 3, [30, 30, 10], False),
        ([30] * 3, [None] * 3, False),
        ([None] * 3, [30] * 3, False),
        ([None] * 3, [None] * 3, False),
    ],
)
def test_a_mixture_is_compared_with_what_had_its_epochs_or_not_at_all(mixture, reference, shown, confirmed):
    def made(candidate, origin, number, epochs, base):
        outcomes = [Outcome.finished(base + i / 100, **({"epochs": e} if e else {})) for i, e in enumerate(epochs)]
        return Trial(candidate, tuple(outcomes), origin, number)

    candidate = parse("(w1*relu(x) + w2*tanh(x))/(w1 + w2)", WEIGHTS)
    trials = [
        made(parse("relu(x)"), "baseline", 0, reference, 0.7),
        made(candidate, "mixture", 1, mixture, 0.8),
        made(parse("sin(x)"), "mixture", 2, [11] * 3, 0.75),
    ]
    rows = {row.trial.number: row for row in leaderboard(trials, trials if confirmed else ())}
    assert (rows[1].versus_relu is not None) is shown
    assert (rows[1].versus_best_baseline is not None) is shown
    assert rows[2].versus_relu is not None, "how long a task trains two ordinary functions is its own affair"


@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_better_or_worse_is_corrected_for_all_that_was_tested_on_the_same_seeds(sign):
    relu = [0.80, 0.81, 0.79, 0.80, 0.82]
    gains = {f"tanh({n}*x)": [0.01 + 0.003 * n, 0.014, 0.002, 0.011, 0.02] for n in range(1, 6)}
    base = Trial(parse("relu(x)"), tuple(map(Outcome.finished, relu)), "baseline", 0)
    others = [
        Trial(parse(text), tuple(Outcome.finished(a + sign * b) for a, b in zip(relu, gain, strict=True)), "random", n)
        for n, (text, gain) in enumerate(gains.items(), 1)
    ]
    (alone,) = [row.versus_relu for row in leaderboard([base, others[0]], [base, others[0]]) if row.versus_relu]
    assert alone.low * alone.high > 0
    assert (alone.better, alone.worse) == (sign > 0, sign < 0)
    together = [row.versus_relu for row in leaderboard([base, *others], [base, *others]) if row.versus_relu]
    assert {found.tests for found in together} == {5}
    assert all(found.low * found.high > 0 for found in together)
    (again,) = [found for found in together if found.difference == alone.difference]
    assert again.p > 4 * alone.p
    assert not again.better
    assert not again.worse, "what chance explains is neither"


def test_differences_that_rounding_alone_makes_are_none():
    scores = [0.9, 0.7, 0.8, 0.1 + 0.2]
    same = paired_difference([0.9, 0.7, 0.8, 0.3], scores)
    assert (same.difference, same.low, same.high, same.p, same.better, same.worse) == (0.0, 0.0, 0.0, 1.0, False, False)
    shifted = paired_difference([score - 0.1 for score in scores], scores)
    assert shifted.difference == pytest.approx(-0.1)
    assert shifted.low == shifted.high
    assert shifted.worse
