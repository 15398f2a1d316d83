"""What a study survives: kill -9 at random moments, Ctrl-C, a full disk, two drivers at once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import driver
import pytest

from symact.errors import InputError
from symact.store import Store
from symact.study import Study

DRILL = Path(__file__).parents[2] / "runs" / "fault_drill" / "drill.py"


def spec(run, task="Slow", **changes):
    file = driver.FILE.parents[1] / "execute" / "stub_tasks.py"
    options = {"optimizer": "random", "workers": 2, "evaluations": 400, "confirm": 0, **changes}
    return {"run": str(run), "task": f"{file}:{task}", **options}


def wait_for(process, evaluations):
    for line in process.stdout:
        if int(line.split()[0]) >= evaluations:
            return
    raise AssertionError(f"the driver ended by itself: {process.wait()}")


@pytest.mark.slow
def test_twenty_kills_at_random_moments_lose_nothing():
    found = subprocess.run(
        [sys.executable, DRILL, "--kills", "20", "--seed", "3"], capture_output=True, text=True, timeout=500
    )
    assert found.returncode == 0, found.stderr[-2000:]
    counts = json.loads(found.stdout)
    assert counts["kills"] == 20
    assert counts["evaluations lost or changed"] == counts["processes left behind"] == 0
    assert counts["stored evaluations trained again"] == 0
    assert counts["trials told by drivers and compared"] > 20


@pytest.fixture
def drill(tmp_path, monkeypatch):
    """The drill with a study of 20 functions that it has looked at once."""
    monkeypatch.syspath_prepend(str(DRILL.parent))
    import drill as script

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
    from symact.store import Store

    with Store.open(drill.run) as store:
        before = [trial.scores for trial in store.trials()]
    with sqlite3.connect(drill.run / "study.db") as connection:
        connection.execute("DELETE FROM evaluations WHERE number = 19")
        connection.execute("DELETE FROM told WHERE number >= 16")
    with Study.resume(drill.run, 20, task=f"{DRILL.parent / 'task.py'}:Sleeper") as study:
        assert [trial.scores for trial in study.trials] == before, "the same trials: only the witnesses can tell"
    with pytest.raises(AssertionError, match=r"evaluation \(19, 0\) was"):
        drill.compare()
    drill.seen.clear()
    drill.told[20] = (20, "x", "finished", 0.5)
    with pytest.raises(AssertionError, match="trial 20 was told and is not stored"):
        drill.compare()


def test_ctrl_c_ends_within_seconds_and_what_finished_is_kept(tmp_path):
    with driver.started(**spec(tmp_path / "run")) as process:
        wait_for(process, 12)
        process.send_signal(signal.SIGINT)
        # Within seconds; the bound is wide enough for a machine with other work.
        process.communicate(timeout=20)
    with Store.open(tmp_path / "run") as store:
        assert len(store.trials()) >= 12
    Study.resume(tmp_path / "run", task=spec("")["task"]).close()


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
