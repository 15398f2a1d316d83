"""A study from Python begins with one training: a task that does not work is told then, and leaves nothing behind."""

from __future__ import annotations

import pytest

import symact
from symact.errors import InputError, SymactError
from symact.program.loading import parse_grammar
from symact.study import Study
from tests.execute import stub_tasks


class Counted:
    """What is trained, with its seed."""

    def __init__(self):
        self.trained = []

    def evaluate(self, make_activation, seed, budget=1.0):
        self.trained.append((str(make_activation.candidate), seed))
        return symact.Outcome.finished(score=float(len(self.trained[-1][0])))


class Raises(Counted):
    def evaluate(self, make_activation, seed, budget=1.0):
        super().evaluate(make_activation, seed)
        raise KeyError("loader")


class Signature(Counted):
    def evaluate(self, make_activation):
        return symact.Outcome.finished(score=1.0)


class Returns(Counted):
    def evaluate(self, make_activation, seed, budget=1.0):
        return 0.5


class NoData(Counted):
    def evaluate(self, make_activation, seed, budget=1.0):
        raise InputError("the data is not there")


class FailsFirst(Counted):
    def evaluate(self, make_activation, seed, budget=1.0):
        outcome = super().evaluate(make_activation, seed)
        if len(self.trained) == 1:
            raise KeyError("a process of it was killed")
        return outcome


BROKEN = [
    (Raises, SymactError, "the task '.*' does not work: .* crashed: KeyError: 'loader'"),
    (Signature, SymactError, "the task '.*' does not work: .* crashed: TypeError: .*unexpected keyword argument"),
    (Returns, SymactError, "evaluate returned float 0.5; it must return a symact.Outcome"),
    (NoData, InputError, "the data is not there"),
]


@pytest.fixture(scope="module")
def space():
    return parse_grammar(stub_tasks.grammar_text()).space("main")


@pytest.mark.parametrize("how", [{}, {"asynchronous": True}, {"halving": True}], ids=str)
@pytest.mark.parametrize(("task", "error", "reason"), BROKEN)
def test_a_task_that_does_not_work_is_told_at_the_first_run_and_leaves_nothing_behind(
    space, tmp_path, task, error, reason, how
):
    broken = task()
    with Study(space, broken, "random", run=tmp_path / "run", **how) as study:
        for _ in range(2):  # asked again, it is tried again
            with pytest.raises(error, match=reason):
                study.run(30)
        assert study.trials == []
    assert len(broken.trained) <= 4, "at most two baselines each time"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [True, False])
def test_what_the_task_was_tried_with_is_not_trained_again(space, tmp_path, kept):
    task = Counted()
    with Study(space, task, "random", run=tmp_path / "run" if kept else None, confirm=0) as study:
        assert task.trained == []
        assert list(tmp_path.iterdir()) == []
        study.prepare()
        assert len(task.trained) == 1
        study.prepare()
        assert (tmp_path / "run").exists() == kept
        trials = study.run(15)
    assert len(task.trained) == len(set(task.trained)) == len(trials) == 15


def test_candidates_asked_for_by_hand_are_kept_without_a_training(space, tmp_path):
    task = Raises()
    with Study(space, task, "random", run=tmp_path / "run") as study:
        asked = study.ask(3)
    with Study.resume(tmp_path / "run", task=task) as again:
        assert list(map(str, again.ask(3))) == list(map(str, asked))
    assert task.trained == []


def test_a_folder_that_was_taken_meanwhile_is_refused_and_left_alone(space, tmp_path):
    first, second = (Study(space, Counted(), "random", run=tmp_path / "run", seed=seed, confirm=0) for seed in (1, 2))
    found = first.run(10)
    with pytest.raises(InputError):
        second.run(10)
    first.close()
    with Study.resume(tmp_path / "run", task=Counted()) as again:
        assert [t.candidate for t in again.trials] == [t.candidate for t in found]


def test_a_failure_of_the_baseline_that_the_task_is_tried_with_is_recorded_and_not_tried_again(space):
    task = FailsFirst()
    with Study(space, task, "random", confirm=0) as study:
        study.run(8)
        found = {str(trial.candidate): trial for trial in study.trials}
    (first, _), *others = task.trained
    assert found[first].status == "crashed"
    assert "a process of it was killed" in found[first].reason
    assert first not in [candidate for candidate, _ in others]
