"""Families of processes: found, measured, ended to the last child."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time

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


@pytest.fixture
def family():
    """A process with three children, each in a session of its own; all are ended after the test."""
    parent = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True)
    children = sorted(map(int, parent.stdout.readline().split()))
    yield parent.pid, children
    processes.end_all(process for pid in (*children, parent.pid) if (process := processes.look(pid)))
    parent.wait()
    parent.stdout.close()


@pytest.mark.parametrize("find", [processes.descendants, processes.children])
def test_descendants_and_their_memory_are_found(family, find):
    parent, children = family
    found = find(parent)
    assert sorted(process.pid for process in found) == children
    assert all(process.parent == parent and process.session == process.pid for process in found)
    assert processes.resident(children) > 3 * 2**20


def test_who_was_ended_is_gone_and_takes_no_signal(family):
    parent, children = family
    found = processes.descendants(parent)
    assert processes.end_all(found) == 3
    assert processes.descendants(parent) == []
    assert processes.resident(children) == 0
    for process in found:
        processes.send(process, signal.SIGTERM)


def test_a_process_that_has_the_id_of_another_gets_no_signal(family):
    parent, _ = family
    seen = processes.look(parent)
    processes.send(dataclasses.replace(seen, start=seen.start - 1), signal.SIGKILL)
    assert processes.look(parent) is not None
    assert processes.look(parent).is_alive
    processes.send(seen, signal.SIGSTOP)
    while not processes.look(parent).is_stopped:
        time.sleep(0.01)
    processes.send(seen, signal.SIGCONT)


def test_there_is_no_process_with_an_id_that_nobody_has():
    assert processes.look(2**22 + 1) is None
    assert processes.look(os.getpid()).parent == os.getppid()
    assert os.getpid() in {process.pid for process in processes.everybody()}


def test_exit_codes_tell_the_signal():
    child = os.fork()
    if not child:
        os.kill(os.getpid(), 9)
    codes = {}
    while child not in codes:
        codes.update(processes.reap())
    assert codes[child] == -9


def test_workers_share_four_fifths_of_the_memory():
    assert processes.memory_limit(4) == pytest.approx(processes.memory_limit(1) / 4, rel=1e-6)
    assert processes.memory_limit(1) <= 0.8 * psutil.virtual_memory().total


def test_a_process_is_known_by_its_start_on_the_kernels_clock():
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        seen = processes.look(child.pid)
        assert (seen.parent, seen.is_alive) == (os.getpid(), True)
        ticks = os.sysconf("SC_CLK_TCK")
        assert abs(seen.start / ticks - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60
        other = processes.Process(seen.pid, seen.start + 1, seen.parent, seen.session, seen.state)
        processes.send(other, signal.SIGKILL)  # whose id it has now is nobody's business
        time.sleep(0.1)
        assert child.poll() is None
        processes.send(seen, signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
