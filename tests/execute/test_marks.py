"""Whose worker a process is, and when its driver counts as gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from symact.execute import marks, processes
from symact.execute.marks import MARK, is_driver_alive, mark, marked


def changed(field, value):
    fields = mark().split(":")
    fields[field] = value
    return ":".join(fields)


def test_this_process_is_alive_by_its_mark():
    assert int(mark().split(":")[0]) == os.getpid()
    assert is_driver_alive(mark())
    assert mark() == mark()


def test_a_driver_counts_as_gone_only_when_both_witnesses_say_so():
    fields = mark().split(":")
    assert is_driver_alive(changed(1, "1")), "its lock is held"
    assert is_driver_alive(changed(4, "nobody")), "its process lives"
    fields[1], fields[4] = "1", "nobody"
    assert not is_driver_alive(":".join(fields))


@pytest.mark.parametrize(
    "value",
    ["", "nonsense", "1:2:3", "a:1:b:c:d", changed(2, "another boot"), changed(3, "another space")],
    ids=["empty", "a word", "too short", "no number", "another boot", "another space"],
)
def test_what_cannot_be_known_counts_as_alive(value):
    assert is_driver_alive(value)


def test_a_child_has_a_lock_of_its_own():
    own = mark()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, marks.mark().encode())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    other = os.read(read, 1000).decode()
    os.close(read)
    os.close(write)
    assert other.split(":")[4] != own.split(":")[4]
    assert is_driver_alive(own)
    assert not is_driver_alive(other)


def test_marked_processes_are_found_by_their_environment():
    value = changed(1, "1")
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={**os.environ, MARK: value}
    )
    try:
        assert [process.pid for process in marked(lambda found: found == value)] == [sleeper.pid]
        assert marked(lambda found: False) == []
    finally:
        processes.end_all([processes.look(sleeper.pid)])
        sleeper.communicate()


@pytest.fixture(scope="module")
def driver():
    """A living process with a mark of its own, and one that has ended."""
    code = "from symact.execute import marks; print(marks.mark(), flush=True); input()"
    with (
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as alive,
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as ended,
    ):
        marks_of = alive.stdout.readline().strip(), ended.stdout.readline().strip()
        ended.kill()
        ended.wait()
        yield marks_of
        alive.kill()


def altered(mark, index, value):
    fields = mark.split(":")
    fields[index] = value
    return ":".join(fields)


# Of a mark whose driver lives, in whole or in part: any of these is spared.
SPARED = [
    lambda alive, ended: alive,
    lambda alive, ended: alive + ":more",
    *(
        lambda alive, ended, step=step: altered(alive, 1, str(int(alive.split(":")[1]) + step))
        for step in (-500, 1, 500)
    ),
    lambda alive, ended: altered(alive, 4, "0" * 16),
    lambda alive, ended: altered(alive, 0, ended.split(":")[0]),
    lambda alive, ended: altered(ended, 4, alive.split(":")[4]),
    lambda alive, ended: altered(ended, 2, "another boot"),
    lambda alive, ended: altered(ended, 3, "1"),
    lambda alive, ended: altered(ended, 0, "x"),
    lambda alive, ended: altered(ended, 1, ""),
    lambda alive, ended: "",
    lambda alive, ended: ":::::",
    lambda alive, ended: f"{ended.split(':')[0]}:1700000000.00:4026531836",
    lambda alive, ended: ended.rpartition(":")[0],
]


@pytest.mark.parametrize("variant", range(len(SPARED)))
def test_what_a_living_process_or_a_held_lock_protects_is_not_swept(driver, variant):
    assert marks.is_driver_alive(SPARED[variant](*driver))


def test_what_an_ended_driver_has_left_is_swept(driver):
    _, ended = driver
    assert not marks.is_driver_alive(ended)
    assert not marks.is_driver_alive(ended + ":slot")
    left = subprocess.Popen(["sleep", "1000"], env={**os.environ, marks.MARK: ended})
    try:
        assert marks.sweep() >= 1
        assert left.wait(5) == -signal.SIGKILL
    finally:
        left.kill()


def test_the_clock_of_the_wall_is_not_asked(monkeypatch, driver):
    """Whatever the time of day is, and whatever psutil makes of it."""
    alive, ended = driver
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(psutil, "boot_time", lambda: 1e9)
    assert marks.is_driver_alive(alive)
    assert not marks.is_driver_alive(ended)
    assert marks.mark().split(":")[:4] == marks.mark().split(":")[:4]
