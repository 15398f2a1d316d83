"""Whose worker a process is, and when its driver counts as gone."""

from __future__ import annotations

import os
import subprocess
import sys

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
