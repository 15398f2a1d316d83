"""What a watcher is told: how far, how fast, and what is best."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from symact.study import progress
from symact.study.progress import Watch


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
