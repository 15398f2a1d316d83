"""One writer per run folder, by a lock that cannot go stale."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from symact.errors import InputError
from symact.store.lock import FILE_NAME, RunLock


def test_a_second_lock_is_refused_and_names_the_process(tmp_path):
    lock = RunLock(tmp_path)
    with pytest.raises(InputError, match=f"process {os.getpid()} is running this study"):
        RunLock(tmp_path)
    lock.release()
    assert not lock.held
    lock.release()
    again = RunLock(tmp_path)
    assert again.held
    again.release()


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path):
    code = f"""
import os, pathlib
from symact.store.lock import RunLock
lock = RunLock(pathlib.Path({str(tmp_path)!r}))
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert (tmp_path / FILE_NAME).read_text().strip().isdigit()
    RunLock(tmp_path).release()


def test_a_child_does_not_hold_the_lock_of_its_parent(tmp_path):
    lock = RunLock(tmp_path)
    child = os.fork()
    if not child:
        os._exit(int(lock.held))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lock.held
    lock.release()


@pytest.mark.parametrize("make", ["folder", "pipe", "link", "large"])
def test_what_is_no_lock_is_refused_and_left_alone(tmp_path, make):
    path, other = tmp_path / FILE_NAME, tmp_path / "other"
    other.write_text("mine")
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to(other),
        "large": lambda: path.write_text("x" * 200),
    }[make]()
    with pytest.raises(InputError):
        RunLock(tmp_path)
    assert other.read_text() == "mine"
    assert make != "large" or path.read_text() == "x" * 200
