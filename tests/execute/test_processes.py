"""Families of processes: found, measured, ended to the last child."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from symact.execute import processes

SLEEPER = "import time; time.sleep(300)"
FAMILY = f"""
import subprocess, sys, time
children = [subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], start_new_session=True) for _ in range(3)]
print(*(child.pid for child in children), flush=True)
time.sleep(300)
"""
ENDING = f"""
import subprocess, sys
from symact.execute import processes
processes.adopt_orphans()
code = {FAMILY!r}
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
pids = [child.pid, *map(int, child.stdout.readline().split())]
import os
processes.end_descendants(os.getpid())
print(*pids, flush=True)
"""


def test_a_whole_family_is_ended_and_reaped_also_in_sessions_of_their_own():
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=True, timeout=60)
    pids = list(map(int, done.stdout.split()))
    assert len(pids) == 4
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_descendants_and_their_memory_are_found():
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True) as parent:
        children = set(map(int, parent.stdout.readline().split()))
        found = processes.descendants(parent.pid)
        assert {process.pid for process in found} == children
        assert processes.resident(found) > 3 * 2**20
        for process in found:
            process.kill()
        parent.kill()
    psutil.wait_procs(found, timeout=20)
    assert processes.resident(found) == 0
    assert processes.descendants(parent.pid) == []


def test_exit_codes_tell_the_signal():
    child = os.fork()
    if not child:
        os.kill(os.getpid(), 9)
    codes = {}
    while child not in codes:
        codes.update(processes.reap())
    assert codes[child] == -9


def test_the_mark_of_this_process_is_alive_and_that_of_a_past_one_is_not():
    mark = processes.mark()
    pid, created, namespace = mark.split(":")
    assert int(pid) == os.getpid()
    assert processes._is_driver_alive(mark)
    assert not processes._is_driver_alive(f"{pid}:{float(created) - 100}:{namespace}"), (
        "a process id that was used again"
    )
    assert not processes._is_driver_alive(f"{2**22 + 1}:{created}:{namespace}")
    assert processes._is_driver_alive(f"{pid}:0:another"), "unknown in another container, so it is left alone"
    assert processes._is_driver_alive("nonsense")


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("", []), ("-1", []), ("0", ["0"]), ("2, 3", ["2", "3"]), ("GPU-a,GPU-b", ["GPU-a", "GPU-b"])],
)
def test_the_named_devices_are_respected(monkeypatch, visible, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert processes.devices() == expected


def test_workers_share_four_fifths_of_the_memory():
    assert processes.memory_limit(4) == pytest.approx(processes.memory_limit(1) / 4, rel=1e-6)
    assert processes.memory_limit(1) <= 0.8 * psutil.virtual_memory().total
