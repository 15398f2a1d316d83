"""What a study survives: kill -9 at random moments, Ctrl-C, a full disk, two drivers at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys

import psutil
import pytest

from symact.errors import InputError
from symact.execute import marks
from symact.expr.tree import candidate_text
from symact.records import Outcome
from symact.store import Store
from symact.study import Study
from tests.execute import stub_tasks
from tests.study import drill as script
from tests.study import driver


def spec(run, task="Slow", **changes):
    options = {"optimizer": "random", "workers": 2, "evaluations": 400, "confirm": 0, **changes}
    return {"run": str(run), "task": stub_tasks.named(task), **options}


def wait_for(process, evaluations):
    """Read on until so many functions are evaluated; returns the trials that the driver told meanwhile."""
    told = []
    for line in process.stdout:
        count, _, row = line.split(" ", 2)
        told += [json.loads(row)] if json.loads(row) else []
        if int(count) >= evaluations:
            return told
    raise AssertionError(f"the driver ended by itself: {process.wait()}")


def rows(trials):
    return [[t.number, candidate_text(t.candidate), t.status.value, list(t.scores)] for t in trials]


def family_of(pid):
    """Living processes that the driver with this process id started, however they were adopted since."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(marks.MARK, "").startswith(f"{pid}:") and process.pid != pid:
                found.append(process)
    return found


@pytest.mark.slow
def test_twenty_kills_at_random_moments_lose_nothing():
    found = subprocess.run(
        [sys.executable, "-m", "tests.study.drill", "--kills", "20", "--seed", "3"],
        cwd=script.ROOT,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    counts = json.loads(found.stdout)
    assert counts["kills"] == 20
    assert counts["evaluations lost or changed"] == counts["processes left behind"] == 0
    assert counts["stored evaluations trained again"] == 0
    assert counts["trials told by drivers and compared"] > 20


@pytest.fixture
def drill(tmp_path):
    """The drill with a study of 20 functions that it has looked at once."""
    made = script.Drill(tmp_path, 0, 0, 0)
    with script.new_study(str(made.run), str(made.signs), 0) as study:
        for trial in study.run(20):
            made.told[trial.number] = (trial.number, str(trial.candidate), trial.status.value, trial.score)
    made.compare()
    assert len(made.seen) == 20
    return made


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["DELETE FROM evaluations WHERE number = 19"], r"evaluation \(19, 0\) was .* is None"),
        (["UPDATE evaluations SET seconds = seconds + 1 WHERE number = 3"], "a row was changed"),
    ],
)
def test_the_drill_notices_what_is_lost_or_changed(drill, statements, message):
    with sqlite3.connect(drill.run / "study.db") as connection:
        for statement in statements:
            connection.execute(statement)
    with pytest.raises((AssertionError, InputError), match=message):
        drill.compare()


def test_the_drill_notices_an_evaluation_that_was_lost_and_done_again(drill):
    with Store.open(drill.run) as store:
        before = [trial.scores for trial in store.trials()]
    with sqlite3.connect(drill.run / "study.db") as connection:
        connection.execute("DELETE FROM evaluations WHERE number = 19")
        connection.execute("DELETE FROM told WHERE number >= 16")
    with Study.resume(drill.run, 20, task=script.TASK) as study:
        assert [trial.scores for trial in study.trials] == before, "the same trials: only the witnesses can tell"
    with pytest.raises(AssertionError, match=r"evaluation \(19, 0\) was"):
        drill.compare()
    drill.seen.clear()
    drill.told[20] = (20, "x", "finished", 0.5)
    with pytest.raises(AssertionError, match="trial 20 was told and is not stored"):
        drill.compare()


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_keeps_every_finished_row_leaves_no_process_and_a_resume_goes_on_as_if_undisturbed(tmp_path, workers):
    run, plan = tmp_path / "run", spec(tmp_path / "run", workers=workers)
    with driver.started(**plan) as process:
        told = wait_for(process, 13)
        if workers:
            assert len(family_of(process.pid)) >= 2 * workers, "no worker was running, so this test shows nothing"
        process.send_signal(signal.SIGINT)
        # Within seconds; the bound is wide enough for a machine with other work.
        rest, _ = process.communicate(timeout=20)
        told += [row for line in rest.splitlines() if (row := json.loads(line.split(" ", 2)[2]))]
    assert process.returncode == -signal.SIGINT
    assert family_of(process.pid) == []
    with Store.open(run) as store:
        kept, before = rows(store.trials()), store.evaluations()
    assert sorted(told) == [row for row in kept if row in told], "a trial that was told is not stored as told"
    assert len(kept) < 60, "the search went on after Ctrl-C"
    with Study.resume(run, 60, task=plan["task"]) as study:
        assert study.store.evaluations()[: len(before)] == before, "a stored evaluation changed"
        found = rows(study.trials)
    assert found == rows(Study(study.space, study.task, "random", confirm=0).run(60))


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_does_not_begin_another_training(space):
    """In this process the candidates of a batch wait in a queue; those must not be trained on the way out."""
    begun = []

    class Task:
        def evaluate(self, make_activation, seed, budget=1.0):
            begun.append(make_activation.candidate)
            if len(begun) == 11:
                signal.raise_signal(signal.SIGINT)
            return Outcome.finished(len(begun))

    study = Study(space, Task(), "random", confirm=0)
    with pytest.raises(KeyboardInterrupt):
        study.run(30)
    assert len(begun) == 11
    # In the order of training, which begins with the baseline that the task is tried with.
    assert sorted(t.score for t in study.trials) == list(range(1, 11))


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_during_a_record_waits_until_it_is_on_disk(space, tmp_path, monkeypatch):
    class Task:
        def evaluate(self, make_activation, seed, budget=1.0):
            return Outcome.finished(0.5)

    record = Store.record_evaluation

    def interrupted(self, evaluation):
        if evaluation.number == 9:
            os.kill(os.getpid(), signal.SIGINT)
        record(self, evaluation)

    with Study(space, Task(), "random", tmp_path / "run", confirm=0) as study:
        monkeypatch.setattr(Store, "record_evaluation", interrupted)
        with pytest.raises(KeyboardInterrupt):
            study.run(30)
        assert sorted(e.number for e in study.store.evaluations()) == list(range(10))


@pytest.mark.parametrize("where", ["record_batch", "record_told", "record_evaluation"])
@pytest.mark.parametrize("kept", [True, False])
def test_a_study_goes_on_in_the_same_process_after_ctrl_c_at_any_step(space, stub, tmp_path, monkeypatch, where, kept):
    """As in a notebook: stopped between a record and its place in memory, or before the record."""
    task = stub("Quick")
    whole = rows(Study(space, task, "evolution", confirm=0).run(40))
    record, calls = getattr(Store, where), []

    def interrupted(self, *arguments):
        calls.append(arguments)
        if len(calls) == 3 and not kept:
            raise KeyboardInterrupt
        record(self, *arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with Study(space, task, "evolution", tmp_path / "run", confirm=0) as study:
        monkeypatch.setattr(Store, where, interrupted)
        with pytest.raises(KeyboardInterrupt):
            study.run(40)
        assert rows(study.run(40)) == whole


def test_a_second_driver_is_refused_while_the_first_runs_and_readers_are_not(tmp_path):
    with driver.started(**spec(tmp_path / "run")) as process:
        wait_for(process, 9)
        with pytest.raises(InputError, match=f"process {process.pid} is running this study"):
            Study.resume(tmp_path / "run", task=spec("")["task"])
        with Store.open(tmp_path / "run") as store:
            before = len(store.trials())
            wait_for(process, before + 2)
            assert len(store.trials()) > before
        process.kill()
    Study.resume(tmp_path / "run", task=spec("")["task"]).close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_promoted_candidate_whose_process_is_killed_is_trained_again_and_changes_no_promotion(
    wide, stub, tmp_path, workers
):
    sign, options = tmp_path / "sign", {"halving": True, "repeats": 2, "confirm": 0}
    with Study(
        wide, stub("KilledWhenPromoted"), "random", tmp_path / "run", data=sign, workers=workers, **options
    ) as s:
        found = [(*row, t.budget) for row, t in zip(rows(s.run(30)), s.trials, strict=True)]
    struck = sign.read_text()
    undisturbed = Study(wide, stub("Quick"), "random", **options)
    expected = [(*row, t.budget) for row, t in zip(rows(undisturbed.run(30)), undisturbed.trials, strict=True)]
    assert found == expected
    assert any(row[1] == struck and row[-1] > 0.3 and row[2] == "finished" for row in found)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("MOUNTING A SMALL DISK WAS REFUSED: the full-disk test did not run")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_study_on_a_full_disk_stops_with_a_clear_line_and_goes_on_when_there_is_room(small_disk, space):
    from symact.errors import SymactError

    task = spec("")["task"].replace("Slow", "Quick")
    ballast = small_disk / "ballast"
    study = Study(space, task, "random", run=small_disk / "run", confirm=0)
    study.run(10)
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    ballast.write_bytes(bytes(free - 20_000))
    with pytest.raises(SymactError, match="disk is full") as failure:
        study.run(60)
    assert failure.value.exit_code == 1
    kept = study.store.trials()
    study.close()
    ballast.unlink()
    with Study.resume(small_disk / "run", 60, task) as study:
        assert len(study.trials) == 60
        assert study.trials[: len(kept)] == kept
