"""`tools/gpu_check.sh` with a Python that only writes down what it is asked: the steps, their limits, their files."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from symact.tasks import TASKS

SCRIPT = Path(__file__).parents[1] / "tools" / "gpu_check.sh"
STUB = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"{calls}"
[ "$1" = -c ] && exit {gpu}
case "$*" in *runs/gpu/check.py*) echo "graphs done 1.0" ;; *) echo '{{}}' ;; esac
case "$*" in *"{failing}"*) exit 3 ;; esac
"""


def run(folder: Path, data: bool = True, gpu: int = 0, failing: str = "nothing") -> tuple[int, str, list[str], Path]:
    """Exit code, output, what Python was asked, and the folder of results."""
    calls, stub, output = folder / "calls", folder / "python", folder / "results"
    stub.write_text(STUB.format(calls=calls, gpu=gpu, failing=failing))
    stub.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(stub)} | ({"SYMACT_DATA": str(folder)} if data else {})
    done = subprocess.run(
        ["bash", str(SCRIPT), str(output)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr, calls.read_text().splitlines(), output


def test_every_step_runs_and_leaves_its_file(tmp_path: Path) -> None:
    code, said, calls, output = run(tmp_path)
    assert code == 0, said
    trainings = ["cifar10", "cifar10-fast"]
    assert [line.split(":")[0] for line in said.splitlines()] == ["doctor", "check", "doctor-bfloat16", *trainings]
    assert len(calls) == 6
    for name in ("doctor", "doctor-bfloat16", *trainings):
        assert json.loads((output / f"{name}.json").read_text()) == {}
    assert (output / "check.txt").read_text() == "graphs done 1.0\n"
    named = [re.search(r"--task (\S+)", call)[1] for call in calls if "compare" in call]  # type: ignore[index]
    assert len(named) == len(trainings)
    assert set(named) <= set(TASKS)


def test_the_limits_of_all_steps_are_eight_minutes_together() -> None:
    limits = re.findall(r"^\s*step \S+ (\d+) ", SCRIPT.read_text(), re.M)
    assert len(limits) == 5
    assert sum(map(int, limits)) <= 480


@pytest.mark.parametrize("failing", ["doctor", "check.py", "compare"])
def test_a_step_that_fails_is_said_and_the_others_run(tmp_path: Path, failing: str) -> None:
    code, said, calls, _ = run(tmp_path, failing=failing)
    assert code == 1
    assert "exit 3" in said
    assert len(calls) == 6


def test_without_data_trainings_are_skipped_and_without_a_gpu_nothing_runs(tmp_path: Path) -> None:
    code, said, calls, _ = run(tmp_path, data=False)
    assert (code, len(calls)) == (0, 4)
    assert "cifar10, cifar10-fast: skipped" in said
    (tmp_path / "none").mkdir()
    code, said, calls, _ = run(tmp_path / "none", gpu=2)
    assert (code, len(calls)) == (2, 1)
    assert "no GPU" in said
