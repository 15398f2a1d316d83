"""Seeds that pair all functions, and which candidates a schedule trains apart."""

from __future__ import annotations

import itertools
from dataclasses import replace
from statistics import stdev

import pytest

from symact.execute.job import Job, perform
from symact.expr.operators import NO_GRAMMAR
from symact.expr.tree import is_mixture, parse, to_document
from symact.optimize.mixture import Mixture
from symact.program.loading import load_grammar
from symact.records import Outcome, Status
from symact.report.view import read_view
from symact.study import Study
from symact.study.evaluating import training_seed


def test_a_training_seed_is_fixed_by_study_seed_repeat_and_kind_and_by_nothing_else():
    keys = list(itertools.product((0, 1, 2**63 - 1), (0, 1, 5), (False, True)))
    seeds = [training_seed(*key) for key in keys]
    assert seeds == [training_seed(*key) for key in keys]
    assert len(set(seeds)) == len(keys), "the confirmation has fresh seeds"
    assert all(0 <= seed < 2**31 for seed in seeds), "every library takes it"


def test_a_candidate_with_mixture_weights_is_a_mixture_at_any_site():
    (mixture,) = Mixture(load_grammar("aquasurf").space("bench"), 0).ask(1)
    plain = parse("x*sigmoid(beta*x)", load_grammar("ramachandran"))
    assert is_mixture(mixture)
    assert is_mixture((plain, mixture))
    assert not is_mixture(plain)
    assert not is_mixture((plain, plain))


@pytest.mark.parametrize("method", ["sum", "cell"])
def test_on_fresh_seeds_the_references_train_as_long_as_the_mixture(method):
    seen = []

    class Task:
        name, sites = "scheduled", 1

        def evaluate(self, make_activation, seed, budget=1.0, schedule="joint"):
            candidate = make_activation.candidate
            seen.append((is_mixture(candidate), seed, schedule))
            weights = {p.name: 1.0 for p in candidate.parameters}
            return Outcome.finished(
                len(str(candidate)) % 7 / 7, constants=(weights,), epochs={"joint": 10}.get(schedule, 30)
            )

    space = load_grammar("aquasurf").space("bench")
    study = Study(space, Task(), "mixture", method=method, stages=1, samples=1, confirm=3, confirm_best=2)
    study.run(12)
    fresh = {training_seed(0, repeat, confirmation=True) for repeat in range(3)}
    searched = {(mixture, schedule) for mixture, seed, schedule in seen if seed not in fresh}
    schedule = {"sum": "three-cycle", "cell": "bilevel"}[method]
    assert searched == {(False, "joint"), (True, schedule)}
    assert {schedule for _, seed, schedule in seen if seed in fresh} == {schedule}
    assert {o.metrics["epochs"] for t in study.confirmations for o in t.outcomes} == {30}


class Tested:
    """A score by length, and the opposite on test data."""

    name = "tested"

    def evaluate(self, make_activation, seed, budget=1.0):
        return Outcome.finished(len(str(make_activation.candidate)) % 11 / 11 + seed % 7 / 1000)

    def final_test(self, make_activation, seed, budget=1.0):
        found = self.evaluate(make_activation, seed)
        return Outcome.finished(found.score, test_score=1 - found.score)


def test_finalists_are_tested_once_and_nothing_is_ranked_by_it(space, tmp_path):
    with Study(space, Tested(), "random", run=tmp_path / "run", confirm=3, confirm_best=4) as study:
        study.run(20)
        assert not any(trial.test_scores for trial in study.trials), "the search sees no test data"
        board = study.leaderboard()
    rows = [row for row in board if row.confirmation is not None]
    assert len(rows) >= 4
    for row in rows:
        document = row.document()["test"]
        assert document["scores"] == pytest.approx([1 - score for score in row.confirmation.scores])
        assert (document["n"], document["score"]) == (3, pytest.approx(1 - row.fresh_score))
        assert document["sd"] == pytest.approx(stdev(row.confirmation.scores))
    assert [row.fresh_score for row in rows] == sorted((row.fresh_score for row in rows), reverse=True)
    with Study.resume(tmp_path / "run", task=Tested()) as again:
        assert [row.tested for row in again.leaderboard()] == [row.tested for row in board]


@pytest.mark.parametrize("relu", [True, False])
def test_found_functions_are_confirmed_also_where_baselines_are_better(space, tmp_path, relu):
    class Conservative(Tested):
        baselines = ["relu(x)"] * relu + ["tanh(x)", "sigmoid(x)", "x*sigmoid(x)"]

        def evaluate(self, make_activation, seed, budget=1.0):
            text = str(make_activation.candidate)
            return Outcome.finished(0.5 if text == "relu(x)" else (text in self.baselines) + seed % 7 / 1000)

    with Study(space, Conservative(), "random", run=tmp_path / "run", confirm=3, confirm_best=2) as study:
        study.run(12)
        fresh = [trial.origin == "baseline" for trial in study.confirmations]
    assert fresh.count(False) == 2, "as many as the best that are confirmed, where baselines are as many"
    assert fresh.count(True) == 2 + relu
    facts = dict(read_view(tmp_path / "run").facts)
    known = "3 known (ReLU among them)" if relu else "2 known"
    assert facts["confirmation"] == f"2 found or given and {known} functions on 3 further common seeds"


def test_a_task_without_a_test_and_one_that_fails_there_have_no_test_score(space):
    class Failing(Tested):
        def final_test(self, make_activation, seed, budget=1.0):
            found = self.evaluate(make_activation, seed)
            return Outcome.finished(found.score, test_failure="diverged", test_score=float("nan"))

    class Untested(Tested):
        final_test = None

    for task in (Failing(), Untested()):
        study = Study(space, task, "random", confirm=2, confirm_best=1)
        study.run(10)
        assert all(row.document()["test"] is None for row in study.leaderboard())
        assert any(row.confirmation is not None for row in study.leaderboard())


def test_a_test_without_a_budget_is_of_whole_trainings(space):
    class Whole(Tested):
        def final_test(self, make_activation, seed):
            return super().final_test(make_activation, seed)

    study = Study(space, Whole(), "random", confirm=2, confirm_best=1)
    study.run(10)
    assert {o.status for trial in study.confirmations for o in trial.outcomes} == {Status.finished}
    assert any(row.document()["test"] is not None for row in study.leaderboard())
    job = Job(0, 0, 7, to_document(parse("tanh(x)"), NO_GRAMMAR), kind="confirm")
    whole, half = (perform(Whole(), NO_GRAMMAR, replace(job, budget=budget)) for budget in (1.0, 0.5))
    assert "test_score" in whole.metrics
    assert half.score is not None
    assert "test_score" not in half.metrics


@pytest.mark.parametrize(("task", "train"), [("ood-polynomial", {"steps": 2}), ("digits-deep", {"epochs": 1})])
def test_shipped_tasks_test_their_finalists(task, train):
    study = Study(load_grammar("first").space(), task, "random", train=train, confirm=2, confirm_best=1)
    study.run(10)
    tested = [row.tested for row in study.leaderboard() if row.confirmation is not None]
    assert tested
    assert all(found is not None and len(found.scores) == 2 for found in tested)
    assert not any(trial.test_scores for trial in study.trials)
