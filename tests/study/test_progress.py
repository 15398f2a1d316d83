"""What a watcher is told: how far, how fast, and what is best."""

from __future__ import annotations

import os
import random
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from symact.errors import InputError
from symact.records import Outcome, Status
from symact.study import Study, progress
from symact.study.progress import Watch
from tests.execute import stub_tasks


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.seconds)
    return now


def ledger(**changes):
    return SimpleNamespace(**{"counted": 0, "counts": {"finished": 3}, "champion": None, **changes})


def test_the_time_left_follows_from_the_pace_of_this_run_alone(clock):
    told, trials = [], ledger(counted=10)
    watch = Watch(trials, 30, told.append)
    watch.report()
    assert told[-1].remaining is None, "nothing has finished in this run"
    clock.seconds, trials.counted = 108.0, 14
    watch.report("a trial")
    assert (told[-1].evaluations, told[-1].total, told[-1].seconds, told[-1].trial) == (14, 30, 8.0, "a trial")
    assert told[-1].remaining == pytest.approx(2.0 * 16)


def test_the_time_left_of_a_search_has_that_of_its_confirmation(clock):
    told, trials = [], ledger()
    watch = Watch(trials, 12, told.append, after=25.0)
    clock.seconds, trials.counted = 116.0, 8
    watch.report()
    assert told[-1].remaining == pytest.approx(2.0 * (4 + 25))
    watch.begin("confirmation", 25)
    clock.seconds = 120.0
    watch.step()
    assert told[-1].remaining == pytest.approx(4.0 * 24)


def test_the_confirmation_is_counted_from_its_own_beginning(clock):
    told = []
    watch = Watch(ledger(counted=30), 30, told.append)
    clock.seconds = 200.0
    watch.begin("confirmation", 6)
    clock.seconds = 203.0
    watch.step()
    assert (told[-1].phase, told[-1].evaluations, told[-1].total) == ("confirmation", 1, 6)
    assert told[-1].remaining == pytest.approx(3.0 * 5)


def test_counts_are_a_copy_and_nobody_need_watch(clock):
    told, trials = [], ledger()
    Watch(trials, 1, told.append).report()
    trials.counts["finished"] = 99
    assert told[0].counts == {"finished": 3}
    Watch(trials, 1, None).step()


class Drawing:
    """Its score depends on all random numbers and on the state of PyTorch; reports before each of four steps."""

    def evaluate(self, make_activation, seed, budget=1.0, report=None):
        score = 0.0
        for step in range(4):
            with torch.set_grad_enabled(step % 2 == 0):
                report(step, score)
                score += random.random() + np.random.rand() + torch.rand(1).item()
                score += torch.is_grad_enabled() + torch.get_num_threads() + (torch.zeros(1).dtype is torch.float32)
        return Outcome.finished(score, cwd=os.getcwd())


class Deaf(Drawing):
    """Goes on whatever `report` raises."""

    def evaluate(self, make_activation, seed, budget=1.0, report=None):
        def swallowing(step, score):
            try:
                report(step, score)
            except BaseException:
                return

        return super().evaluate(make_activation, seed, budget, swallowing)


@pytest.fixture
def every_report(monkeypatch):
    monkeypatch.setattr(progress, "PER_SECOND", 1e12)


MEDDLING = {
    "python": random.random,
    "numpy": np.random.rand,
    "torch": lambda: torch.rand(1),
    "seeds": lambda: (random.seed(0), np.random.seed(0), torch.manual_seed(0)),
    "grad mode": lambda: torch.set_grad_enabled(False),
    "dtype": lambda: torch.set_default_dtype(torch.float64),
    "threads": lambda: torch.set_num_threads(2),
    "folder": lambda: os.chdir("/"),
}


@pytest.mark.parametrize("meddle", MEDDLING.values(), ids=MEDDLING)
@pytest.mark.usefixtures("every_report")
def test_nothing_that_a_listener_does_reaches_a_training_here(space, meddle):
    def outcomes(listener):
        with Study(space, Drawing(), "random", confirm=2) as study:
            study.run(11, listener)
            return [t.outcomes for t in (*study.trials, *study.confirmations)]

    told = []

    def listener(now):
        told.append(now.running)
        if now.running:
            meddle()

    expected = outcomes(None)
    assert outcomes(listener) == expected
    assert sum(map(bool, told)) > 40, "listeners are to be told while a candidate trains"


@pytest.mark.usefixtures("every_report")
def test_a_listener_draws_the_random_numbers_of_its_own_process(space):
    random.seed(7)
    expected = [random.random() for _ in range(100)]
    random.seed(7)
    drawn = []
    with Study(space, Drawing(), "random", confirm=0) as study:
        study.run(10, lambda now: drawn.append(random.random()))
    drawn.append(random.random())
    assert len(drawn) > 40
    assert drawn == expected[: len(drawn)]


@pytest.mark.parametrize(
    ("task", "error"),
    [
        *(
            (Drawing(), e)
            for e in (ZeroDivisionError, torch.OutOfMemoryError, InputError, KeyboardInterrupt, SystemExit)
        ),
        *((Deaf(), e) for e in (ZeroDivisionError, KeyboardInterrupt)),
        *(("SlowReporting", e) for e in (ValueError, KeyboardInterrupt)),
    ],
)
@pytest.mark.usefixtures("every_report")
def test_what_a_listener_raises_during_a_training_ends_the_run(space, task, error):
    calls = []

    def listener(now):
        calls.append(now)
        if now.running and now.evaluations == 3:
            raise error("the listener")

    here = not isinstance(task, str)
    with Study(space, task if here else stub_tasks.named(task), "random", workers=int(not here), confirm=0) as study:
        with pytest.raises(error, match="the listener"):
            study.run(11, listener)
        assert calls[-1].running, "it was told again after it had raised"
        assert len(study.trials) == 3
        study.run(11)
        assert len(study.trials) == 11
        assert {trial.status for trial in study.trials} == {Status.finished}


@pytest.mark.usefixtures("every_report")
def test_listeners_are_called_in_the_thread_of_the_study_alone(space):
    class Threaded:
        def evaluate(self, make_activation, seed, budget=1.0, report=None):
            thread = threading.Thread(target=report, args=(1, 0.5))
            thread.start()
            thread.join()
            report(2, 0.5)
            return Outcome.finished(0.5)

    threads = set()
    with Study(space, Threaded(), "random", confirm=0) as study:
        study.run(9, lambda now: threads.add(threading.get_ident()))
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize(("settings", "after"), [({"confirm": 0}, 0), ({"confirm": 2, "confirm_best": 3}, 2 * 5 / 2)])
def test_a_study_expects_its_confirmation(space, settings, after):
    told = []
    with Study(space, Drawing(), "random", repeats=2, **settings) as study:
        study.run(10, told.append)
    first = next(one for one in told if one.remaining is not None)
    assert first.remaining == pytest.approx(60 / first.per_minute * (10 - first.evaluations + after))
    assert told[-1].remaining == 0
