"""Run folders from strangers: nothing outside of them is read for long, written, emptied or deleted."""

from __future__ import annotations

import os
import signal
import struct

import pytest

from symact.errors import InputError
from symact.records import Outcome
from symact.store import Asked, Evaluation, Settings, Store, TaskSettings
from symact.store.file import FILE_NAME

SIDES = ("-wal", "-shm", "-journal")
TEXT = b"precious " * 1000


@pytest.fixture
def run(tmp_path):
    task = TaskSettings(kind="name", name="digits-deep")
    made = Settings.build(grammar='[unary]\ntanh = "tanh(x)"', space="main", task=task, optimizer="random")
    document = {"expressions": ["tanh(x)"], "parameters": []}
    with Store.create(tmp_path / "run", made) as store:
        store.record_batch([Asked(0, 0, "random", 1.0, 1, None, None, "0", document)], {0: document})
        store.record_evaluation(Evaluation(0, 0, 7, Outcome.finished(0.5), 0.1))
    for suffix in SIDES:
        (tmp_path / "run" / (FILE_NAME + suffix)).unlink(missing_ok=True)
    return tmp_path / "run"


@pytest.fixture
def victim(tmp_path):
    """A file of the user's that must stay as it is."""
    path = tmp_path / "victim"
    path.write_bytes(TEXT)
    yield path
    assert path.read_bytes() == TEXT


@pytest.fixture(autouse=True)
def no_hang():
    """A test that waits for a pipe ends with a KeyboardInterrupt instead of never."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("readonly", [True, False])
@pytest.mark.parametrize("suffix", SIDES)
def test_a_link_or_pipe_beside_the_file_is_refused(run, victim, suffix, readonly):
    side = run / (FILE_NAME + suffix)
    side.symlink_to(victim)
    with pytest.raises(InputError, match=f"{side}: not a file of symact's"):
        Store.open(run, readonly)
    side.unlink()
    os.mkfifo(side)
    with pytest.raises(InputError, match=f"{side}: not a file of symact's"):
        Store.open(run, readonly)


@pytest.mark.parametrize("readonly", [True, False])
def test_a_pipe_in_place_of_the_file_is_refused(run, readonly):
    (run / FILE_NAME).unlink()
    os.mkfifo(run / FILE_NAME)
    with pytest.raises(InputError, match="not a study of symact"):
        Store.open(run, readonly)


@pytest.mark.parametrize("make", [os.mkfifo, "symlink", "hardlink", "text"])
def test_a_lock_that_is_another_name_of_something_is_refused_and_not_emptied(run, victim, make):
    lock = run / "lock"
    lock.unlink()
    if make == "symlink":
        lock.symlink_to(victim)
    elif make == "hardlink":
        lock.hardlink_to(victim)
    elif make == "text":
        lock.write_bytes(TEXT)
    else:
        make(lock)
    with pytest.raises(InputError, match="lock"):
        Store.open(run, readonly=False)
    assert make != "text" or lock.read_bytes() == TEXT
    with Store.open(run) as store:
        assert len(store.trials()) == 1, "a reader needs no lock"


def rollback_journal(names: bytes, pages: int) -> bytes:
    """A journal of SQLite's that names a super-journal, which is deleted after the rollback."""
    magic, page = bytes.fromhex("d9d505f920a163d7"), 4096
    header = (magic + struct.pack(">IIIII", 0, 1, pages, 512, page)).ljust(512, b"\0")
    locking_page = 0x40000000 // page + 1
    return header + struct.pack(">I", locking_page) + names + struct.pack(">II", len(names), sum(names)) + magic


def test_a_rollback_journal_that_names_a_file_of_the_users_is_not_obeyed(run, victim):
    pages = (run / FILE_NAME).stat().st_size // 4096
    (run / (FILE_NAME + "-journal")).write_bytes(rollback_journal(str(victim).encode(), pages))
    with pytest.raises(InputError, match="not a file of symact's"):
        Store.open(run, readonly=False)


def test_a_file_that_is_not_in_write_ahead_mode_is_refused(run):
    data = bytearray((run / FILE_NAME).read_bytes())
    data[18:20] = b"\1\1"
    (run / FILE_NAME).write_bytes(data)
    with pytest.raises(InputError, match="not as symact writes it"):
        Store.open(run)
