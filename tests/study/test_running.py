"""What is in training is told while it trains, at little cost, and no longer when its search has ended, however."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from symact.execute.job import Job
from symact.program.loading import parse_grammar
from symact.store.lock import RUNNING
from symact.store.running import Running, read_running
from symact.study import Study, progress, running
from symact.study.running import AT_ONCE, Trainings
from tests.execute import stub_tasks


def until(found: Callable[[], Any], seconds: float = 120) -> Any:
    """What is found at last."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (value := found()) is not None:
            return value
        time.sleep(0.05)
    raise AssertionError("it did not come")


def all_report(run: Path, count: int) -> list[Running] | None:
    now = read_running(run) or []
    return now if len(now) == count and all(training.curve and training.end == 10_000 for training in now) else None


def search(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "symact", *more, "--quiet", "--workers", "2"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_search_tells_what_it_trains_and_a_killed_one_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = search(
        tmp_path, "search", "random", "--task", stub_tasks.named("Long"), "--evaluations", "10", "--run", "run"
    )
    try:
        now = until(lambda: all_report(run, 2))
        assert len({training.number for training in now}) == 2
        assert all(training.began <= training.heard <= time.time() for training in now)
        assert all(training.curve == tuple((s, s / 10_000) for s, _ in training.curve) for training in now)
        later = until(lambda: next((t for t in read_running(run) or [] if (t.step or 0) > (now[0].step or 0)), None))
        assert later.curve[0] == (1, 0.0001), "the curve is whole, not its last point"
        shown = json.loads(symact("top", str(run), "--json"))
        assert shown["running"][0]["end"] == 10_000
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (run / RUNNING).exists(), "nobody could remove it"
    assert read_running(run) is None
    assert json.loads(symact("top", str(run), "--json"))["running"] is None
    with Study.resume(run, task=stub_tasks.named("Long")) as study:
        assert read_running(run) == [], "the one that resumes has begun nothing yet"
        assert study.evaluations < 10


def symact(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "symact", *arguments], check=True, capture_output=True, text=True, timeout=120
    ).stdout


@pytest.mark.parametrize("workers", [0, 1])
def test_search_and_confirmation_are_told_and_nothing_is_left_at_the_end(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "AT_ONCE", 10**6)
    monkeypatch.setattr(progress, "PER_SECOND", 1e12)
    space, run, seen = parse_grammar(stub_tasks.PAIRS).space(), tmp_path / "run", set()
    task = stub_tasks.named("SlowReporting")

    def listener(_: object) -> None:
        seen.update((training.stage, training.repeat) for training in read_running(run) or [])

    with Study(space, task, "random", run, workers=workers, repeats=2, confirm=1, confirm_best=2) as study:
        study.run(10, listener)
        assert not (run / RUNNING).exists()
    assert {("search", 0), ("search", 1), ("confirmation", 0)} <= seen
    assert sorted(path.name for path in run.iterdir()) == ["lock", "study.db"]


def test_a_training_that_changes_the_folder_writes_into_no_other(tmp_path: Path, monkeypatch: Any) -> None:
    class Wanders(stub_tasks.Reporting):
        def evaluate(self, make_activation: Any, seed: int, budget: float = 1.0, report: Any = None) -> Any:
            os.chdir(tmp_path / "elsewhere")
            return super().evaluate(make_activation, seed, budget, report)

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with Study(parse_grammar(stub_tasks.PAIRS).space(), Wanders(), "random", "run", confirm=0) as study:
        study.run(9)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_thousand_quick_trainings_are_told_a_few_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, clock = [], [0.0]
    monkeypatch.setattr(running, "write_running", lambda run, trainings: written.append(len(trainings)))
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    trainings = Trainings(tmp_path, lambda job: Running("x", number=job.number))
    for number in range(1000):
        job = Job(number, 0, 0, {})
        trainings.begun(job)
        trainings.heard(job, [(1, 0.5, None)])
        trainings.ended(job)
        clock[0] += 0.004
    assert len(written) <= AT_ONCE + 4
    clock[0] += 60
    trainings.flush()
    trainings.flush()
    assert written[-1] == 0, "what ended is told at the next chance"
    assert len(written) <= AT_ONCE + 5, "nothing new is not written again"


def test_a_training_that_begins_again_begins_with_an_empty_curve() -> None:
    trainings, job = Trainings(None, lambda job: Running("x", number=job.number)), Job(4, 0, 0, {})
    trainings.begun(job)
    trainings.heard(job, [(1, 0.5, 9), (2, 0.6, None)])
    assert (trainings.reporting[4].curve, trainings.reporting[4].end) == (((1, 0.5), (2, 0.6)), 9)
    trainings.begun(job)
    assert trainings.reporting == {}


def test_a_training_that_begins_again_in_another_worker_begins_a_new_curve() -> None:
    trainings, job = Trainings(None, lambda job: Running("x", number=job.number)), Job(4, 0, 0, {})
    trainings.begun(job)
    trainings.heard(job, [(1, 0.5, 9), (2, 0.6, 9)])
    trainings.heard(job, [(3, 0.7, 9), (1, 0.4, None), (2, 0.5, None)])
    assert trainings.reporting[4].end is None
    trainings.heard(job, [(3, 0.7, 8)])
    assert trainings.reporting[4].curve == ((1, 0.4), (2, 0.5), (3, 0.7))
    assert trainings.reporting[4].end == 8


def test_a_training_that_may_be_stopped_tells_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "AT_ONCE", 10**6)
    run, seen = tmp_path / "run", []

    class Peeks(stub_tasks.Reporting):
        direction = "minimize"

        def evaluate(self, make_activation: Any, seed: int, budget: float = 1.0, report: Any = None) -> Any:
            def peeking(step: int, score: float) -> None:
                seen.extend(read_running(run) or [])
                report(step, score)

            return super().evaluate(make_activation, seed, budget, peeking)

    with Study(parse_grammar(stub_tasks.PAIRS).space(), Peeks(), "random", run, prune=50, confirm=0, batch=1) as study:
        study.run(12)
        best = {trial.number: trial.outcomes[0].metrics["reported"] for trial in study.trials}
    bars = {training.number: dict(training.bars) for training in seen}
    assert bars[0] == {}, "baselines are not stopped"
    last = bars[max(bars)]
    assert set(last) == {1, 2, 3, 4}
    firsts = [curve[0][1] for curve in best.values()]
    assert any(last[1] == pytest.approx(score, rel=1e-6) for score in firsts), "a score as given, not its negative"
