"""The run folder: which names can be one, and what happens when it is taken away while a study writes into it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from symact.errors import InputError, SymactError
from symact.records import Outcome
from symact.store import Asked, Evaluation, Settings, Store, TaskSettings, check_new
from symact.store.lock import WITHOUT_LOCKS

DOCUMENT = {"expressions": ["tanh(x)"], "parameters": []}


def settings(optimizer="random"):
    task = TaskSettings(kind="name", name="digits-deep")
    return Settings.build(grammar='[unary]\ntanh = "tanh(x)"', space="main", task=task, optimizer=optimizer)


def write(store, count=1):
    for number in range(len(store.asked()), len(store.asked()) + count):
        store.record_batch(
            [Asked(number, 0, "random", 1.0, 1, None, None, "0", DOCUMENT)], {} if number else {0: DOCUMENT}
        )
        store.record_evaluation(Evaluation(number, 0, 7, Outcome.finished(0.5), 1.0))


@pytest.fixture
def run(tmp_path):
    return tmp_path / "inner" / "run"


NOT_FOLDERS = {
    "a byte that is not UTF-8": os.fsdecode(b"run-\xff"),
    "half a letter": os.fsdecode(b"\xc3"),
    "a bad parent": os.fsdecode(b"a\xfe/run"),
    "an address": "file:x",
    "an address with a query": "file:x?mode=memory",
    "an address in capitals": "FILE:x",
    "an address and a folder": "file:x/run",
    "a long name": "r" * 256,
    "a long name of two bytes a letter": "é" * 128,
    "a long parent": f"{'p' * 300}/run",
    "a long path": "/".join(["p" * 100] * 5),
    "a very long path": "/".join(["p" * 100] * 60),
    "a zero byte": "a\0b",
}


@pytest.mark.parametrize("name", NOT_FOLDERS.values(), ids=NOT_FOLDERS)
def test_a_name_that_cannot_be_a_run_folder_is_refused_before_anything_is_made(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for attempt in (
        check_new,
        lambda run: Store.create(run, settings()),
        Store.open,
        lambda run: Store.open(run, False),
    ):
        with pytest.raises(InputError) as caught:
            attempt(name)
        assert len(str(caught.value).splitlines()) == 1
        str(caught.value).encode()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "-n",
        "ä ö",
        "a%20b",
        "a?b",
        "a#b",
        "x:file",
        "a'b",
        'a"b',
        "[red]",
        "日本",
        "a\nb",
        "*",
        "p" * 255,
        ":memory:",
    ],
)
def test_every_other_name_works(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with Store.create(name, settings()) as store:
        write(store)
    with Store.open(name) as store:
        assert len(store.trials()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_longest_path_works_and_one_more_is_refused(tmp_path):
    from symact.store.place import LONGEST_ENDING, MAXIMUM_PATH

    deep = tmp_path.joinpath(*["p" * 100] * 3)
    last = MAXIMUM_PATH - len(LONGEST_ENDING) - 1 - len(str(deep)) - 1
    with Store.create(deep / ("q" * last), settings()) as store:
        write(store)
    with pytest.raises(InputError, match="too long"):
        Store.create(deep / ("q" * (last + 1)), settings())


def test_a_study_that_could_not_be_made_leaves_no_folder(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("symact.store.database.create_file", fail)
    with pytest.raises(SymactError, match="No space left"):
        Store.create(tmp_path / "a" / "b" / "run", settings())
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("precious")
    with pytest.raises(SymactError):
        Store.create(tmp_path / "mine", settings())
    assert (tmp_path / "mine" / "notes").read_text() == "precious"


def other(folder: Path, count: int = 3) -> None:
    """Another study in a folder."""
    with Store.create(folder, settings("evolution")) as store:
        write(store, count)


def remove_folder(run):
    shutil.rmtree(run)


def move_folder(run):
    run.rename(run.with_name("moved"))


def move_parent(run):
    run.parent.rename(run.parent.with_name("elsewhere"))


def replace_folder(run):
    shutil.rmtree(run)
    other(run)


def move_and_replace_folder(run):
    run.rename(run.with_name("moved"))
    other(run)


def copy_over(run):
    shutil.copytree(run, run.with_name("copy"))
    shutil.rmtree(run)
    run.with_name("copy").rename(run)


def remove_file(run):
    (run / "study.db").unlink()


def replace_file(run):
    other(run.with_name("other"))
    shutil.copy(run.with_name("other") / "study.db", run / "study.tmp")
    (run / "study.tmp").rename(run / "study.db")


def move_file(run):
    (run / "study.db").rename(run / "study.old")


def link_file(run):
    (run / "study.db").rename(run.parent / "study.db")
    (run / "study.db").symlink_to(run.parent / "study.db")


def remove_lock(run):
    (run / "lock").unlink()


def replace_lock(run):
    (run / "lock").unlink()
    (run / "lock").write_text("")


def link_lock(run):
    (run / "lock").rename(run.parent / "lock")
    (run / "lock").symlink_to(run.parent / "lock")


def remove_log(run):
    (run / "study.db-wal").unlink()


SAVED = (remove_folder, replace_folder, copy_over, remove_file, replace_file, move_file)
MOVED = {move_folder: "moved", move_and_replace_folder: "moved", move_parent: "../elsewhere/run"}
IN_PLACE = (remove_lock, replace_lock, link_lock, remove_log)


@pytest.mark.parametrize("how", [*SAVED, *MOVED, *IN_PLACE], ids=lambda how: how.__name__)
@pytest.mark.parametrize("relative", [False, True])
def test_what_takes_the_folder_away_stops_the_writer_and_what_it_had_is_kept(run, monkeypatch, how, relative):
    run.mkdir(parents=True)
    monkeypatch.chdir(run.parent)
    store = Store.create("run" if relative else run, settings())
    write(store, 4)
    monkeypatch.chdir("/")  # as a task may do
    how(run)
    with pytest.raises(SymactError) as caught:
        write(store)
    store.close()
    line = str(caught.value)
    assert "while this study was running, so it was stopped" in line
    assert len(line.splitlines()) == 1
    kept = run
    if how in SAVED:
        kept = run.with_name("run-saved")
    elif how in MOVED:
        kept = (run.parent / MOVED[how]).resolve() if how is not move_parent else run.parents[1] / "elsewhere" / "run"
    assert f"symact resume {kept}" in line or (relative and how in IN_PLACE)
    if how is link_lock:
        (run / "lock").unlink()  # links are refused
    with Store.open(kept, readonly=False) as again:
        assert again.settings.optimizer == "random", "another study was taken for this one"
        assert len(again.evaluations()) >= 4
        write(again)


def test_what_took_its_place_is_left_as_it_is(run):
    store = Store.create(run, settings())
    write(store, 2)
    replace_folder(run)
    with pytest.raises(SymactError):
        write(store)
    store.close()
    with Store.open(run) as found:
        assert found.settings.optimizer == "evolution"
        assert len(found.trials()) == 3


WRITER = """
import sys
from symact.store import Store
store = Store.open(sys.argv[1], readonly=False)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_lock_that_was_removed_lets_nobody_in(run):
    other(run, 1)
    with subprocess.Popen([sys.executable, "-c", WRITER, run], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"open\n"
        for spoil in (remove_lock, remove_lock, replace_lock):
            spoil(run)
            with pytest.raises(InputError, match="is running this study"):
                Store.open(run, readonly=False)
        first.kill()
    with Store.open(run, readonly=False) as store:
        write(store)


# A file system without locks: every call for one is answered as such systems do.


@pytest.fixture(params=["ENOSYS", "ENOTSUP", "EINVAL", "ENOLCK"])
def no_locks(request, monkeypatch):
    import errno

    def refuse(*_):
        raise OSError(getattr(errno, request.param), os.strerror(getattr(errno, request.param)))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.delenv(WITHOUT_LOCKS, raising=False)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_it_is_told_what_is_wrong_and_how_to_go_on(run, monkeypatch):
    with pytest.raises(InputError, match=r"this file system has no locks .*local disk, or set SYMACT_WITHOUT_LOCKS=1"):
        Store.create(run, settings())
    assert not run.parent.exists()
    monkeypatch.setenv(WITHOUT_LOCKS, "1")
    with Store.create(run, settings()) as store:
        write(store, 3)
        assert not (run / "study.db-shm").exists(), "shared memory was used"
        with pytest.raises(InputError, match="is running this study"):
            Store.open(run, readonly=False)
    with Store.open(run, readonly=False) as store:
        write(store, 2)
    with Store.open(run) as store:
        assert len(store.trials()) == 5
    monkeypatch.delenv(WITHOUT_LOCKS)
    with pytest.raises(InputError, match="no locks"):
        Store.open(run, readonly=False)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_living_writer_is_still_noticed(run, monkeypatch):
    monkeypatch.setenv(WITHOUT_LOCKS, "1")
    other(run, 1)
    (run / "lock").write_text(f"{os.getppid()}\n")
    with pytest.raises(InputError, match=f"process {os.getppid()} is running this study.*remove"):
        Store.open(run, readonly=False)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (run / "lock").write_text(f"{gone.pid}\n")
    Store.open(run, readonly=False).close()


SHIM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <dlfcn.h>
int flock(int fd, int operation) { errno = ENOSYS; return -1; }
static int answer(const char *name, int fd, int command, long argument) {
    if (command == F_SETLK || command == F_SETLKW || command == F_GETLK) { errno = ENOSYS; return -1; }
    int (*real)(int, int, ...) = dlsym(RTLD_NEXT, name);
    return real(fd, command, argument);
}
int fcntl(int fd, int command, ...) {
    va_list list; va_start(list, command); long argument = va_arg(list, long); va_end(list);
    return answer("fcntl", fd, command, argument);
}
int fcntl64(int fd, int command, ...) {
    va_list list; va_start(list, command); long argument = va_arg(list, long); va_end(list);
    return answer("fcntl64", fd, command, argument);
}
"""

DRIVER = """
import sys
from tests.store.test_place import settings, write
from symact.store import Store
from symact.errors import SymactError
try:
    run, how = sys.argv[1:]
    with (Store.create(run, settings()) if how == "create" else Store.open(run, False)) as store:
        write(store, 3)
        print("written", flush=True)
        if how == "wait":
            sys.stdin.read()
    with Store.open(run) as reader:
        print(len(reader.trials()))
except SymactError as error:
    print("refused:", error)
"""


def test_a_real_file_system_without_any_locks(run, tmp_path):
    """Every lock call of the C library answers ENOSYS, for SQLite as well."""
    (tmp_path / "shim.c").write_text(SHIM)
    compiler = shutil.which("cc") or shutil.which("c++")
    built = [compiler or "cc", "-shared", "-fPIC", "-o", tmp_path / "shim.so", tmp_path / "shim.c", "-ldl"]
    if compiler is None or subprocess.run(built, capture_output=True).returncode:
        pytest.skip("NO C COMPILER: the file system without locks was not tried with SQLite's own calls")
    root = str(Path(__file__).parents[2])
    usual = {**os.environ, "PYTHONPATH": root, "LD_PRELOAD": str(tmp_path / "shim.so")}
    usual.pop(WITHOUT_LOCKS, None)

    def python(how, **more):
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, run, how], env={**usual, **more}, capture_output=True, text=True, cwd=root
        )
        return done.stdout + done.stderr

    assert "refused:" in python("create")
    assert "no locks" in python("create")
    assert python("create", **{WITHOUT_LOCKS: "1"}).split() == ["written", "3"]
    assert "no locks" in python("go on")
    assert python("go on", **{WITHOUT_LOCKS: "1"}).split() == ["written", "6"]
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, run, "wait"],
        env={**usual, WITHOUT_LOCKS: "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"written\n"
        assert "is running this study" in python("go on", **{WITHOUT_LOCKS: "1"})
        killed.kill()
    assert python("go on", **{WITHOUT_LOCKS: "1"}).split() == ["written", "12"]
    with Store.open(run, readonly=False) as store:  # and on a usual file system again
        assert len(store.trials()) == 12
