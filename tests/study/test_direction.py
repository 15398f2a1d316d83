"""A loss needs no minus sign: whatever ranks a study knows from its task which scores are the better ones."""

from __future__ import annotations

import pytest

from symact.errors import InputError
from symact.optimize import OPTIMIZERS
from symact.records import Direction, Outcome, Status
from symact.report.leaderboard import leaderboard, winner
from symact.study import Study
from tests.execute.stub_tasks import score_of


class Accuracy:
    """Higher is better."""

    metric, sign = "accuracy", 1.0

    def evaluate(self, make_activation, seed, budget=1.0):
        return Outcome.finished(self.sign * score_of(str(make_activation.candidate), seed))


class Loss(Accuracy):
    """The same task; lower is better, and the scores are those of `Accuracy` with the other sign."""

    metric, direction, sign = "loss", "minimize", -1.0


@pytest.mark.parametrize("optimizer", ["random", "evolution", "rl"])
@pytest.mark.parametrize("design", [{}, {"halving": True, "repeats": 2}])
def test_a_loss_leads_to_the_search_of_the_gain_that_is_its_opposite(space, optimizer, design):
    trials = []
    for task in (Accuracy(), Loss()):
        study = Study(space, task, optimizer, seed=3, confirm=3, confirm_best=2, **design)
        trials.append([(str(t.candidate), abs(t.score)) for t in study.run(30)])
        assert study.settings.metric.name == task.metric
        rows = leaderboard(study.trials, study.confirmations)
        trials[-1] += [(row.expression, None) for row in rows]
        trials[-1].append((str(study.best()[0].candidate), None))
        trials[-1].append((winner(rows).expression, None))
    assert trials[0] == trials[1]


def test_stored_scores_are_what_the_task_returned_and_the_lowest_loss_wins(space, tmp_path):
    class Squares:
        direction = "minimize"

        def evaluate(self, make_activation, seed, budget=1.0):
            return Outcome.finished(len(str(make_activation.candidate)))

    with Study(space, Squares(), "random", run=tmp_path / "run", confirm=0) as study:
        trials = study.run(12)
        assert {t.score for t in trials} == {float(len(str(t.candidate))) for t in trials}
        assert study.best()[0].score == min(t.score for t in trials)
        assert study.best()[0].direction is Direction.minimize
    rows = leaderboard(trials)
    assert rows[0].trial.score == min(t.score for t in trials)


def test_a_difference_is_better_where_the_loss_is_lower(space):
    study = Study(space, Loss(), "random", repeats=5, confirm=0)
    rows = leaderboard(study.run(14))
    for row in rows[1:]:
        if (found := row.versus_relu) is not None:
            assert found.better == (found.difference < 0 and found.p < 0.05)
            assert found.worse == (found.difference > 0 and found.p < 0.05)
            assert not found.better or found.high < 0
    assert any(row.versus_relu and row.versus_relu.better for row in rows)


def test_the_optimizer_is_told_the_opposite_of_a_loss(space):
    told = []

    class Listening(OPTIMIZERS["random"]):
        name = "listening"

        def tell(self, trials):
            trials = list(trials)
            told.extend(trials)
            super().tell(trials)

    study = Study(space, Loss(), Listening, confirm=0)
    stored = {t.number: t.score for t in study.run(20)}
    assert told
    assert all(t.score == -stored[t.number] > 0 for t in told if t.score is not None)


def test_a_task_that_now_declares_the_opposite_is_not_gone_on_with(space, tmp_path):
    class Turning(Accuracy):
        direction = "maximize"

    with Study(space, Turning(), "random", run=tmp_path / "run", confirm=0) as study:
        study.run(9)
    Turning.direction = "minimize"
    with pytest.raises(InputError, match="is to maximize its metric, and the task now declares minimize"):
        Study.resume(tmp_path / "run", task=Turning())


def test_a_task_brings_its_own_baselines(space):
    class Own(Accuracy):
        baselines = ("sin(x)", "x*sigmoid(3*x)")

    study = Study(space, Own(), "random", confirm=2)
    trials = study.run(5)
    assert [str(t.candidate) for t in trials if t.origin == "baseline"] == ["sin(x)", "x*sigmoid(3*x)"]
    assert all(t.status is Status.finished for t in study.confirmations)
    rows = leaderboard(trials, study.confirmations)
    assert all(row.versus_relu is None for row in rows)


def test_a_baseline_that_cannot_be_read_is_named(space):
    class Own(Accuracy):
        baselines = ("frob(x)",)

    with pytest.raises(InputError, match=r"task Own: its baseline 'frob\(x\)' cannot be read"):
        Study(space, Own(), "random")
