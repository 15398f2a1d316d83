"""Successive halving: the rule of ASHA, on its own and in studies that end anywhere."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symact.expr.tree import candidate_text
from symact.records import Outcome
from symact.study import Study
from symact.study.halving import Ladder, Rung, rungs
from tests.execute import stub_tasks


@pytest.mark.parametrize(
    ("budgets", "repeats", "expected"),
    [
        ((), 3, [(1.0, 3)]),
        ((0.1, 1.0), 1, [(0.1, 1), (1.0, 1)]),
        ((0.1, 1.0), 3, [(0.1, 1), (1.0, 1), (1.0, 3)]),
        ((1.0,), 5, [(1.0, 1), (1.0, 5)]),
    ],
)
def test_each_budget_is_a_rung_and_the_other_seeds_are_the_last(budgets, repeats, expected):
    assert [(r.budget, r.repeats) for r in rungs(budgets, repeats)] == expected


def ladder():
    return Ladder((Rung(0.1, 1), Rung(0.3, 1), Rung(1.0, 1)), eta=3)


def test_the_best_third_goes_up_best_first_and_each_once():
    steps = ladder()
    for number, score in enumerate([0.1, 0.9, 0.3, 0.8, 0.2, 0.4, 0.5]):
        steps.add(0, number, score)
    promoted = []
    while (found := steps.next()) is not None:
        promoted.append(found)
        steps.promote(found[0] - 1, found[1])
    assert promoted == [(1, 1), (1, 3)]


def test_the_highest_rung_comes_first():
    steps = ladder()
    for number in range(6):
        steps.add(0, number, number / 10)
    for number in (3, 4, 5):
        steps.promote(0, number)
        steps.add(1, number + 10, number / 10)
    assert steps.next() == (2, 15)


def test_what_failed_is_never_promoted_and_makes_no_room():
    steps = ladder()
    steps.add(0, 0, 0.5)
    for number in range(1, 10):
        steps.add(0, number, None)
    assert steps.next() is None


def test_of_equal_scores_the_earlier_goes_up():
    steps = ladder()
    for number in (4, 2, 9):
        steps.add(0, number, 0.5)
    assert steps.next() == (1, 2)


def test_nothing_goes_up_from_the_last_rung():
    steps = Ladder((Rung(1.0, 1),), eta=3)
    for number in range(9):
        steps.add(0, number, 0.5)
    assert steps.next() is None


def test_a_trial_counts_once_on_its_rung():
    steps = ladder()
    assert [steps.add(0, 7, 0.5), steps.add(0, 7, 0.5), steps.add(0, 8, None)] == [True, False, False]
    for number in range(2):
        steps.add(0, number, 0.1)
    steps.promote(0, 7)
    assert steps.is_promoted(0, 7)
    assert not steps.is_promoted(1, 7)
    assert steps.next() is None


# In a study: whatever the goal, the batch and the rungs.

BUDGETS = st.sampled_from([(1 / 9, 1 / 3, 1.0), (0.5, 1.0), (1.0,), (0.1, 0.2, 0.5, 1.0)])


class Sparse(stub_tasks.Quick):
    """Some candidates fail, some only when they are promoted."""

    def evaluate(self, make_activation, seed, budget=1.0):
        outcome = super().evaluate(make_activation, seed, budget)
        chance = stub_tasks.score_of(candidate_text(make_activation.candidate), 0)
        if chance < 0.1 or (budget > 0.15 and chance > 0.97):
            return Outcome.failed("diverged", "as planned")
        return outcome


def due(study, eta):
    """Trials that are among the best of their rung, and have no trial on a higher one."""
    steps = rungs(study.settings.budgets, study.settings.repeats)
    on = {step: [] for step in steps}
    for trial in study.trials:
        step = Rung(trial.budget, len(trial.outcomes))
        step = step if step in on else next(s for s in steps if s.budget == trial.budget and s.repeats >= step.repeats)
        on[step].append(trial)
    left = []
    for place, step in enumerate(steps[:-1]):
        higher = {trial.candidate for later in steps[place + 1 :] for trial in on[later]}
        finished = sorted((t for t in on[step] if t.score is not None), key=lambda t: -t.score)
        wanted = finished[: len(finished) // eta]
        if place == 0:
            wanted += [t for t in finished if t.origin == "baseline"]
        left += [t for t in wanted if t.candidate not in higher]
    return left


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    goals=st.lists(st.integers(1, 45), min_size=1, max_size=3, unique=True).map(sorted),
    batch=st.integers(1, 11),
    budgets=BUDGETS,
    repeats=st.integers(1, 3),
    eta=st.integers(2, 4),
    seed=st.integers(0, 3),
)
def test_no_promotion_that_is_due_is_lost_whatever_the_goal(wide, goals, batch, budgets, repeats, eta, seed):
    options = {"batch": batch, "budgets": budgets, "repeats": repeats, "eta": eta, "seed": seed, "confirm": 0}
    study = Study(wide, Sparse(), "random", **options)
    for goal in goals:
        study.run(goal)
        assert study.evaluations == goal
        assert due(study, eta) == []
        asked = len(study._ledger.rows)
        study.run(goal)
        assert len(study._ledger.rows) == asked, "the same total again has nothing left to do"
    if len(goals) == 1:
        return  # it went in one go
    whole = Study(wide, Sparse(), "random", **options)
    whole.run(goals[-1])
    first = [[t.candidate for t in s.trials if s._ledger.rows[t.number].promoted is None] for s in (study, whole)]
    assert first[0] == first[1], "a study in steps asks for the functions of one in one go"


@pytest.mark.parametrize("goal", [3, 9, 24, 37])
@pytest.mark.parametrize("repeats", [1, 2])
def test_nor_without_batches(wide, stub, goal, repeats):
    study = Study(wide, Sparse(), "random", asynchronous=True, halving=True, repeats=repeats, confirm=0)
    study.run(goal)
    assert study.evaluations == goal
    assert due(study, 3) == []


@pytest.mark.parametrize("batch", [8, 5, 7, 3])
def test_twenty_four_evaluations_train_somebody_in_full_besides_the_baselines(wide, stub, tmp_path, batch):
    options = {"halving": True, "batch": batch, "confirm": 2, "confirm_best": 1, "run": tmp_path / "run"}
    with Study(wide, stub("Quick"), "random", **options) as study:
        study.run(24)
        full = [t for t in study.trials if t.budget == 1.0]
        assert {t.origin for t in full} == {"baseline", "random"}
        numbers, confirmed = [t.number for t in study.trials], len(study.confirmations)
    with Study.resume(tmp_path / "run", 24, task=stub("Quick")) as again:
        assert [t.number for t in again.trials] == numbers
        assert len(again.confirmations) == confirmed


STOPPED = {"halving": True, "batch": 5, "repeats": 2, "confirm": 0}


@pytest.fixture(scope="module")
def undisturbed(wide):
    """What every stopped study ends with."""
    whole = Study(wide, stub_tasks.named("Quick"), "random", **STOPPED)
    whole.run(22)
    return [(t.number, t.candidate, t.budget, t.scores) for t in whole.trials]


@pytest.mark.parametrize("stop", range(1, 40, 4))
def test_a_study_that_is_stopped_anywhere_ends_with_the_same_trials(wide, stub, undisturbed, tmp_path, stop):
    """Also in the promotions that follow a batch which the goal cuts short."""

    class Stopped(BaseException):
        pass

    seen = 0

    def progress(report):
        nonlocal seen
        seen += report.trial is not None
        if seen == stop:
            raise Stopped

    with contextlib.suppress(Stopped), Study(wide, stub("Quick"), "random", run=tmp_path / "run", **STOPPED) as study:
        study.run(22, progress)
    with Study.resume(tmp_path / "run", 22, task=stub("Quick")) as study:
        found = [(t.number, t.candidate, t.budget, t.scores) for t in study.trials]
    assert found == undisturbed
