"""What a study survives: kill -9 at random moments, Ctrl-C, a full disk, two drivers at once."""

from __future__ import annotations

import json
import os
import signal
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
