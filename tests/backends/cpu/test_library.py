"""The native library in its cache: damaged, replaced, in folders of all kinds; each is safe, and healed or refused."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from symact.backends.cpu import library, trusted

pytestmark = pytest.mark.skipif(library.load() is None, reason="no C++ compiler here")

ROOT = Path(__file__).parents[3]

# Compiling takes half a minute; what is compiled here is a copy of the library that is there already.
CODE = """
import sys, warnings, pathlib
warnings.simplefilter("always")
from symact.backends.cpu import library as n
source, built = pathlib.Path(sys.argv[1]), []
def compile_library(compiler, folder):
    built.append(1)
    made = folder / "library.so"
    made.write_bytes(source.read_bytes())
    return made
n.compile_library = compile_library
loaded = n.load()
if loaded is None:
    print("plain torch")
else:
    assert n.small_run() is not None
    print(n.isa(), len(built), n.build())
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The library as the linker makes it."""
    made = tmp_path_factory.mktemp("library") / "plain.so"
    made.write_bytes(library.build().read_bytes()[: -len(library._END) - library._DIGEST])
    return made


@pytest.fixture
def load(source, tmp_path):
    """Load the library in a new process; gives where it is, how often it was built, and standard error."""
    own = tmp_path / "tmp"
    own.mkdir(mode=0o700)

    def run(folder=None, cwd=None, preexec_fn=None, **environment):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SYMACT", "XDG")) and k != "CXX"}
        inherited |= (
            {"TMPDIR": str(own), "PYTHONPATH": str(ROOT)}
            | ({} if folder is None else {"SYMACT_CACHE": str(folder)})
            | environment
        )
        command = [sys.executable, "-c", CODE, str(source)]
        found = subprocess.run(
            command, env=inherited, cwd=cwd, capture_output=True, text=True, timeout=120, preexec_fn=preexec_fn
        )
        assert found.returncode == 0, found.stderr
        assert "Traceback" not in found.stderr
        isa, built, path = found.stdout.strip().split(" ", 2)
        assert isa in ("portable", "avx2", "avx512")
        return Path(path), int(built), found.stderr

    run.own = own / f"symact-{os.geteuid()}"
    return run


def signed(content):
    whole = content + library._END
    return whole + hashlib.sha256(whole).digest()


def flipped(position):
    def flip(content):
        index = int(position * (len(content) - 1))
        return content[:index] + bytes([content[index] ^ (1 << int(position * 97) % 8)]) + content[index + 1 :]

    return flip


DAMAGE = {
    **{f"bit at {position:.3f}": flipped(position) for position in [i / 23 for i in range(24)]},
    **{f"cut at {part}": lambda c, part=part: c[: int(len(c) * part)] for part in (0, 0.001, 0.3, 0.9, 0.9999)},
    "no digest": lambda c: c[: -library._DIGEST],
    "another digest": lambda c: c[: -library._DIGEST] + hashlib.sha256(b"").digest(),
    "longer": lambda c: c + b"\0",
    "text": lambda c: b"this is no library",
    "text with a digest": lambda c: signed(b"this is no library"),
    "zeros": lambda c: bytes(len(c)),
    "zeros within": lambda c: c[:8192] + bytes(4096) + c[12288:],
    "swapped halves": lambda c: c[len(c) // 2 :] + c[: len(c) // 2],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_library_is_not_loaded_and_is_built_again(load, tmp_path, kind):
    path, built, _ = load(tmp_path / "cache")
    assert (path.parent, built) == (tmp_path / "cache", 1)
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[kind](whole))
    if kind == "text with a digest":  # the linker refuses it, as it does with one for another machine
        assert load(tmp_path / "cache")[1] == 1
        assert list(load.own.glob("*.so"))
        return
    path, built, errors = load(tmp_path / "cache")
    assert (path.parent, built, errors) == (tmp_path / "cache", 1, "")
    assert path.read_bytes() == whole
    assert load(tmp_path / "cache")[1] == 0
    assert {entry.suffix for entry in path.parent.iterdir()} == {".so", ".lock"}


@pytest.fixture(scope="module")
def without_functions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("empty")
    (folder / "empty.c").write_text("int nothing;")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "empty.so", folder / "empty.c"], check=True)
    return (folder / "empty.so").read_bytes()


def test_a_library_without_functions_is_built_again(load, tmp_path, without_functions):
    path, _, _ = load(tmp_path / "cache")
    path.write_bytes(signed(without_functions))
    assert load(tmp_path / "cache")[1:] == (1, "")
    assert load(tmp_path / "cache")[1:] == (0, "")


def test_a_compiler_that_makes_libraries_without_functions_is_one_warning(tmp_path, source, without_functions):
    source = tmp_path / "empty.so"
    source.write_bytes(without_functions)
    environment = {**os.environ, "SYMACT_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", CODE, source], env=environment, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "plain torch\n")
    assert found.stderr.count("RuntimeWarning") == 1
    assert "incomplete" in found.stderr


def shared(path):
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o777)
    return path


def with_mode(path, mode):
    path.mkdir(parents=True)
    path.chmod(mode)
    return path


def linked(path, target):
    path.symlink_to(target)
    return path


def of_another(path):
    path.mkdir()
    os.chown(path, 12345, 12345)
    return path


def file_at(path, content=b""):
    path.write_bytes(content)
    return path


# Folder that is chosen -> whether the library may be kept there.
FOLDERS = {
    "new": (lambda p: p / "new", True),
    "new and deep": (lambda p: p / "a" / "b" / "c", True),
    "odd name": (lambda p: p / "with space, ü and %s", True),
    "newline": (lambda p: p / "two\nlines", True),
    "long": (lambda p: p / "/".join(["x" * 100] * 8), True),
    "private": (lambda p: with_mode(p / "own", 0o700), True),
    "readable": (lambda p: with_mode(p / "own", 0o755), True),
    "a link": (lambda p: linked(p / "link", with_mode(p / "own", 0o755)), True),
    "below a sticky folder": (lambda p: with_mode(p / "tmp2", 0o1777) / "mine", True),
    "a name with dots": (lambda p: with_mode(p / "own", 0o755) / ".." / "own", True),
    "all may write": (lambda p: shared(p / "shared"), False),
    "the group may write": (lambda p: with_mode(p / "shared", 0o770), False),
    "sticky": (lambda p: with_mode(p / "shared", 0o1777), False),
    "below a folder that all may write": (lambda p: shared(p / "shared") / "mine", False),
    "far below a folder that all may write": (lambda p: shared(p / "shared") / "a" / "b" / "c", False),
    "below a folder that the group may write": (lambda p: with_mode(p / "shared", 0o775) / "mine", False),
    "a link to a folder that all may write": (lambda p: linked(p / "link", shared(p / "shared")), False),
    "a link into one": (lambda p: linked(p / "link", with_mode(shared(p / "shared") / "own", 0o700)), False),
    "of another user": (lambda p: of_another(p / "theirs"), False),
    "below one of another user": (lambda p: of_another(p / "theirs") / "mine", False),
    "a file": (lambda p: file_at(p / "file"), False),
    "below a file": (lambda p: file_at(p / "file") / "cache", False),
    "a link to nowhere": (lambda p: linked(p / "link", p / "nowhere" / "x"), True),
    "a link to itself": (lambda p: linked(p / "link", p / "link"), False),
    "too long": (lambda p: p / ("x" * 300), False),
    "device": (lambda p: Path("/dev/null"), False),
    "proc": (lambda p: Path("/proc/self"), False),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_the_library_is_kept_in_the_folder_that_was_chosen_or_one_line_says_why_not(load, tmp_path, kind):
    make, is_kept = FOLDERS[kind]
    if "another user" in kind and os.geteuid() != 0:
        pytest.skip("ONLY ROOT CAN GIVE FOLDERS AWAY: this variant did not run")
    folder = make(tmp_path)
    path, built, errors = load(folder)
    assert built == 1
    if is_kept:
        assert path.parent == folder.resolve()
        assert errors == ""
    else:
        assert path.parent == load.own
        assert errors.count("RuntimeWarning: SYMACT_CACHE is not used") == 1
    assert load(folder)[1] == 0


@pytest.mark.parametrize("given", [".", "./", "cache", "../here/cache"])
def test_a_relative_folder_is_one_like_any_other(load, tmp_path, given):
    here = tmp_path / "here"
    here.mkdir()
    for expected in (1, 0, 0):
        path, built, errors = load(given, cwd=here)
        assert (path.parent, built, errors) == ((here / given).resolve(), expected, "")


@pytest.mark.parametrize("kind", ["directory", "pipe", "link", "others may write it", "of another user"])
def test_what_stands_in_the_place_of_the_library_is_not_loaded(load, tmp_path, kind):
    path, _, _ = load(tmp_path / "cache")
    bad = tmp_path / "bad.so"
    shutil.copy(path, bad)
    if kind == "others may write it":
        path.chmod(0o777)
    elif kind == "of another user":
        if os.geteuid() != 0:
            pytest.skip("ONLY ROOT CAN GIVE FILES AWAY: this variant did not run")
        os.chown(path, 12345, 12345)
    else:
        path.unlink()
        {"directory": lambda: path.mkdir(), "pipe": lambda: os.mkfifo(path), "link": lambda: path.symlink_to(bad)}[
            kind
        ]()
    found, built, _ = load(tmp_path / "cache")
    assert built == 1
    if kind == "directory":  # which is not removed
        assert found.parent == load.own
    else:
        assert found == path
        assert stat.S_ISREG(path.lstat().st_mode)
        assert path.stat().st_mode & 0o022 == 0


HOMES = {
    "relative home": {"HOME": "here"},
    "home that is not there": {"HOME": "/proc/no/such/home"},
    "home that is a file": {"HOME": "/dev/null"},
    "relative cache": {"XDG_CACHE_HOME": "cache"},
    "cache that is a file": {"XDG_CACHE_HOME": "/dev/null"},
}


@pytest.mark.parametrize("kind", HOMES)
def test_without_a_usable_home_the_library_is_kept_in_a_temporary_folder(load, tmp_path, kind):
    own = {"HOME": str(tmp_path / "home"), **HOMES[kind]}
    path, built, errors = load(cwd=tmp_path, **own)
    assert (built, errors) == (1, "")
    assert path.is_absolute()


def without_rights_of_root():
    """Of a process: root passes by all modes of files otherwise."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.mark.parametrize("mode", [0o000, 0o600, 0o400, 0o500, 0o100])
def test_a_home_that_may_not_be_searched_or_written_is_one_of_them(load, tmp_path, mode):
    closed = with_mode(tmp_path / "closed", mode)
    path, built, errors = load(HOME=str(closed / "home"), preexec_fn=without_rights_of_root)
    closed.chmod(0o700)
    assert (path.parent, built, errors) == (load.own, 1, "")


def test_a_folder_that_is_swapped_while_it_is_opened_is_noticed_or_harmless(tmp_path):
    """A stranger with the right to rename swaps a folder of ours for one of theirs, over and over."""
    if os.geteuid() != 0:
        pytest.skip("ONLY ROOT CAN GIVE FOLDERS AWAY: this test did not run")
    ours, theirs, aside = tmp_path / "cache", tmp_path / "theirs", tmp_path / "aside"
    for folder in (ours, theirs):
        folder.mkdir(mode=0o700)
        (folder / "file").write_text(folder.name)
    os.chown(theirs, 12345, 12345)
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            os.rename(ours, aside), os.rename(theirs, ours)
            os.rename(ours, theirs), os.rename(aside, ours)

    thread = threading.Thread(target=swap)
    thread.start()
    refused = 0
    try:
        for _ in range(2000):
            try:
                folder = trusted.open_folder(ours)
            except trusted.UntrustedError:
                refused += 1
                continue
            try:
                descriptor = trusted.open_file(folder, "file")
                assert os.read(descriptor, 10) == b"cache"
                os.close(descriptor)
            except FileNotFoundError:
                pass  # made anew in the moment without any
            finally:
                os.close(folder)
    finally:
        stop.set()
        thread.join()


def test_what_a_killed_build_has_left_is_swept(load, tmp_path):
    cache = tmp_path / "cache"
    path, _, _ = load(cache)
    path.unlink()
    mine = path.stem.removeprefix("symact-")
    for name in (f"build-{mine}-abc", f"build-{mine}-def", "build-another-new", "build-another-old"):
        (cache / name).mkdir()
        (cache / name / "part.o").write_bytes(b"x")
    os.utime(cache / "build-another-old", (0, 0))
    load(cache)
    assert [entry.name for entry in cache.glob("build-*")] == ["build-another-new"]


def test_builds_at_the_same_time_make_one(source, tmp_path):
    environment = {**os.environ, "SYMACT_CACHE": str(tmp_path / "cache")}
    code = CODE.replace("built.append(1)", "built.append(1); import time; time.sleep(0.5)")
    command = [sys.executable, "-c", code, str(source)]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    counts = [int(process.communicate(timeout=120)[0].split()[1]) for process in running]
    assert sorted(counts) == [0, 0, 0, 0, 0, 1]
