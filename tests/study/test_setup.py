"""What a study refuses before it begins, each in one line with a remedy."""

from __future__ import annotations

import numpy as np
import pytest

from symact.errors import InputError
from symact.execute.executor import ExecutorSettings
from symact.expr.tree import parse
from symact.optimize import OPTIMIZERS
from symact.program.loading import load_grammar
from symact.store import Settings, TaskSettings
from symact.study import Study, setup
from tests.execute import stub_tasks


class Mine:
    """An optimizer of a user; it knows no features."""

    def __init__(self, space, seed, *, colour="red"):
        self.space, self.seed, self.colour = space, seed, colour


class Bilevel(Mine):
    schedule = "bilevel"


def settings(kind="name", **changes):
    task = TaskSettings(kind=kind, name="digits-deep")
    return Settings.build(**{"grammar": "g", "space": "s", "task": task, "optimizer": "mine", "seed": 7, **changes})


def test_a_name_and_a_class_are_optimizers():
    assert setup.optimizer_class("random") is OPTIMIZERS["random"]
    assert setup.optimizer_class(Mine) is Mine
    assert (setup.optimizer_name("rl"), setup.optimizer_name(Mine)) == ("rl", "Mine")
    with pytest.raises(InputError, match="unknown optimizer 'mine'"):
        setup.optimizer_class("mine")
    with pytest.raises(InputError, match="resume it from Python"):
        setup.optimizer_class("mine", resumed=True)


def test_an_optimizer_gets_the_seed_its_settings_and_features_where_it_knows_them(space):
    made = setup.make_optimizer(Mine, space, settings(optimizer_settings={"colour": "blue"}), None, stub_tasks.Quick())
    assert (made.space, made.seed, made.colour) == (space, 7, "blue")
    with pytest.raises(InputError):
        setup.make_optimizer(Mine, space, settings(optimizer_settings={"shape": "round"}), None, stub_tasks.Quick())


def test_an_optimizer_with_a_schedule_needs_a_task_that_takes_one(space):
    with pytest.raises(InputError, match="needs a task whose `evaluate` has a `schedule` argument"):
        setup.make_optimizer(Bilevel, space, settings(), None, stub_tasks.Quick())
    assert setup.make_optimizer(Bilevel, space, settings(), None, stub_tasks.Scheduled()).schedule == "bilevel"


class Labelled(stub_tasks.Quick):
    """Takes labels, and shows which it was given."""

    def features(self, make_activation, labels="data"):
        return {"finite": np.array(True), "fisher": np.full((1, 2), float(labels == "model"))}


@pytest.mark.parametrize(("fisher", "expected"), [(True, 1.0), ("true", 1.0), ("labels", 0.0)])
def test_the_setting_fisher_reaches_the_features_of_the_task(fisher, expected):
    space = load_grammar("aquasurf").space()
    with Study(space, Labelled(), "surrogate", fisher=fisher, confirm=0) as study:
        assert study._measured([parse("tanh(x)", space.grammar)])["fisher"].tolist() == [[[expected, expected]]]


def test_the_setting_fisher_needs_a_task_that_takes_labels():
    space = load_grammar("aquasurf").space()
    with pytest.raises(InputError, match=r"fisher=true needs .* `labels` argument"):
        Study(space, stub_tasks.Quick(), "surrogate", fisher=True)
    with pytest.raises(InputError, match="fisher is true or labels"):
        Study(space, Labelled(), "surrogate", fisher="model")


@pytest.mark.parametrize(("gigabytes", "expected"), [(None, None), (1.0, 2**30), (0.5, 2**29)])
def test_memory_is_given_in_gib(gigabytes, expected):
    assert setup.memory_bytes(gigabytes) == expected


@pytest.mark.parametrize("gigabytes", [0, -1.0, float("nan"), float("inf")])
def test_what_is_no_amount_of_memory_is_refused(gigabytes):
    with pytest.raises(InputError, match="no amount of memory"):
        setup.memory_bytes(gigabytes)


@pytest.mark.parametrize("evaluations", [0, -3, 2**63])
def test_a_goal_that_cannot_be_kept_is_refused(evaluations):
    with pytest.raises(InputError, match="is not between"):
        setup.check_goal(evaluations)
    setup.check_goal(1)


def test_an_object_lives_here_and_limits_need_workers():
    here, there = ExecutorSettings(), ExecutorSettings(workers=2)
    setup.check_executor(settings("object"), here)
    with pytest.raises(InputError, match="workers=0"):
        setup.check_executor(settings("object"), there)
    setup.check_executor(settings(timeout=3.0), there)
    for limit in ({"timeout": 3.0}, {"memory": 2**30}):
        with pytest.raises(InputError, match="--workers 1"):
            setup.check_executor(settings(**limit), here)
