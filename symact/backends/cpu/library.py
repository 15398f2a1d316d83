"""Loading the C++ library of the block interpreter, which is built once and kept.

The sources in `src/` are compiled at first use and kept in `SYMACT_CACHE`, else in the user's cache folder, else
(where that cannot be used) in a temporary folder of one's own. The file's name holds a hash of sources, compiler and
flags; its end holds a digest of the rest. What is loaded is the very file whose digest was compared, opened
in a folder that nobody else can change (`trusted.py`). A file that was cut short, damaged, or that
lacks what it should have is built again.

Environment: `SYMACT_CACHE` (folder), `CXX` (compiler), `SYMACT_ISA` (`portable`, `avx2`, `avx512`).
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from symact.backends.cpu import trusted
from symact.backends.cpu.building import BuildError, compile_library, compiler, key
from symact.backends.cpu.trusted import UntrustedError

_LOG = logging.getLogger(__name__)
_Found = TypeVar("_Found")

# What stands behind a complete ELF file, before the SHA-256 of all of it. Other systems sign what they load.
_END = b"symact-library-is-complete" if sys.platform == "linux" else b""
_DIGEST = hashlib.sha256().digest_size if _END else 0
_LOCK_SECONDS = 900.0  # for another process to build; then this one builds as well
_DAY = 86400.0


class _BrokenError(Exception):
    """A library that is there and is not what it should be."""


def _folders() -> Iterator[Path]:
    """Where the library may be kept, best first."""
    chosen = os.environ.get("SYMACT_CACHE")
    if chosen:
        yield Path(chosen)
    else:
        for base, below in ((os.environ.get("XDG_CACHE_HOME"), ""), (os.environ.get("HOME"), ".cache")):
            if base and Path(base).is_absolute():
                yield Path(base) / below / "symact"
                break
        else:
            with contextlib.suppress(RuntimeError):
                yield Path.home() / ".cache" / "symact"
    with contextlib.suppress(OSError):
        yield Path(tempfile.gettempdir()) / f"symact-{os.geteuid()}"


def _verified(folder: int, name: str) -> int:
    """A descriptor of the library in a trusted folder.

    Raises:
        OSError: it is not there or cannot be read.
        UntrustedError: others could change it.
        _BrokenError: it is not what was once written.
    """
    descriptor = trusted.open_file(folder, name)
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read()
        signed = content[: len(content) - _DIGEST]
        is_whole = signed.endswith(_END) and len(signed) > len(_END)
        if not is_whole or (_DIGEST and hashlib.sha256(signed).digest() != content[-_DIGEST:]):
            raise _BrokenError(f"{name} is damaged")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _opened(path: Path, descriptor: int) -> ctypes.CDLL:
    """Load what a descriptor stands for.

    The descriptor stays open: the linker knows a library by the name that it was loaded by.

    Raises:
        _BrokenError: it lacks a function.
        OSError: it cannot be loaded from here.
    """
    name = f"/proc/self/fd/{descriptor}"
    try:
        library = ctypes.CDLL(name if os.path.exists(name) else str(path))
    except OSError:
        os.close(descriptor)
        raise
    try:
        _declare(library)
    except AttributeError as error:
        raise _BrokenError(f"the library that the compiler makes is incomplete ({error})") from None
    return library


@contextlib.contextmanager
def _only_one(folder: int, name: str) -> Iterator[None]:
    """Hold a lock on a file, so that of several processes one compiles; without locks each does."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        with contextlib.suppress(ImportError):
            import fcntl

            deadline = time.monotonic() + _LOCK_SECONDS
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.05)
                except OSError:
                    break
        yield
    finally:
        os.close(handle)


def _build(path: Path, folder: int, made_for: str) -> None:
    """Compile the library `path` in its folder; sweeps what builds that were killed have left.

    Raises:
        BuildError: a compiler failed.
        OSError: the folder cannot be written.
    """
    for left in path.parent.glob("build-*"):
        with contextlib.suppress(OSError):
            if left.name.startswith(f"build-{made_for}-") or time.time() - left.stat().st_mtime > _DAY:
                shutil.rmtree(left, ignore_errors=True)
    _LOG.info("compiling the block interpreter into %s", path)
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f"build-{made_for}-", ignore_cleanup_errors=True
    ) as inside:
        content = compile_library(compiler(), Path(inside)).read_bytes() + _END
    trusted.write_file(folder, path.name, content + (hashlib.sha256(content).digest() if _DIGEST else b""))


def _in_folder(folder: Path, made_for: str, use: Callable[[Path, int], _Found]) -> _Found:
    """Use the library of a folder, built there where it is missing or broken."""
    name = f"symact-{made_for}.so"
    directory = trusted.open_folder(folder)
    path = Path(os.path.realpath(folder)) / name
    try:
        with contextlib.suppress(FileNotFoundError, _BrokenError, UntrustedError):
            return use(path, _verified(directory, name))
        with _only_one(directory, f"{name}.lock"):
            with contextlib.suppress(FileNotFoundError, _BrokenError, UntrustedError):
                return use(path, _verified(directory, name))  # another process has built it meanwhile
            _build(path, directory, made_for)
            return use(path, _verified(directory, name))
    finally:
        os.close(directory)


def _obtain(use: Callable[[Path, int], _Found]) -> tuple[_Found, list[str]]:
    """Use the library of the first folder that will do; also why others would not.

    Raises:
        BuildError: no compiler, a compiler that fails, or no folder that will do.
    """
    made_for, refused = key(compiler()), []
    for folder in _folders():
        try:
            found = _in_folder(folder, made_for, use)
        except (UntrustedError, _BrokenError, OSError) as error:
            refused.append(str(error) if isinstance(error, UntrustedError | _BrokenError) else f"{folder}: {error}")
            continue
        return found, refused
    raise BuildError(f"no folder to keep the compiled block interpreter in ({'; '.join(refused)})")


def _only_path(path: Path, descriptor: int) -> Path:
    os.close(descriptor)
    return path


def build() -> Path:
    """The library's file, compiled if it is not there yet.

    Raises:
        BuildError: no compiler, a compiler that fails, or no folder to write to.
    """
    return _obtain(_only_path)[0]


_POINTER, _INT = ctypes.c_void_p, ctypes.c_int


def _declare(library: ctypes.CDLL) -> None:
    library.symact_select.argtypes, library.symact_select.restype = [ctypes.c_char_p], ctypes.c_char_p
    library.symact_isa.argtypes, library.symact_isa.restype = [], ctypes.c_char_p
    library.symact_operation.argtypes, library.symact_operation.restype = [ctypes.c_char_p], _INT
    library.symact_compile.argtypes = [_INT, _INT, _POINTER, _POINTER, _INT, _POINTER]
    library.symact_compile.restype = _POINTER
    library.symact_describe.argtypes, library.symact_describe.restype = [_POINTER, ctypes.c_char_p, _INT], None
    library.symact_mend.argtypes = [_POINTER, _INT, ctypes.c_float, ctypes.c_float, _INT]
    library.symact_mend.restype = None
    library.symact_complete.argtypes, library.symact_complete.restype = [_POINTER, _POINTER], None
    library.symact_compare.argtypes = [*[_POINTER] * 3, ctypes.c_int64, *[ctypes.c_double] * 2, _POINTER]
    library.symact_compare.restype = _INT
    library.symact_free.argtypes, library.symact_free.restype = [_POINTER], None
    # Without `argtypes`, a string of bytes is handed over as the address of its first, and nothing is converted.
    library.symact_call.restype = _INT
    library.symact_map.restype = _INT
    library.symact_look_up.restype = None
    library.symact_use_team.argtypes, library.symact_use_team.restype = [_POINTER] * 3, None
    library.symact_tabulate.argtypes, library.symact_tabulate.restype = [_POINTER, _INT, _POINTER], _INT
    library.symact_has_slope.argtypes, library.symact_has_slope.restype = [_POINTER], _INT


@lru_cache(maxsize=1)
def small_run() -> Any:
    """`symact_call` for calls so short that giving up Python's lock meanwhile costs more than it gains.

    The library has to be there.
    """
    library = load()
    assert library is not None
    run = ctypes.PyDLL(library._name, handle=library._handle).symact_call
    run.restype = _INT
    return run


def _share_threads(library: ctypes.CDLL) -> None:
    """Let the library use the OpenMP threads that torch uses, where its runtime is found."""
    try:
        process = ctypes.CDLL(None)
        functions = [getattr(process, n) for n in ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")]
    except (AttributeError, OSError, TypeError):
        return
    library.symact_use_team(*[ctypes.cast(function, _POINTER) for function in functions])


@lru_cache(maxsize=1)
def load() -> ctypes.CDLL | None:
    """The library, built at the first call; None, with one warning, where that cannot be."""
    try:
        library, refused = _obtain(_opened)
    except BuildError as error:
        warnings.warn(f"symact runs plain torch operations on CPU: {error}", RuntimeWarning, stacklevel=2)
        return None
    if refused and os.environ.get("SYMACT_CACHE"):
        warnings.warn(
            f"SYMACT_CACHE is not used for symact's native library: {refused[0]}", RuntimeWarning, stacklevel=2
        )
    _share_threads(library)
    wanted = os.environ.get("SYMACT_ISA", "")
    if wanted and library.symact_select(wanted.encode()) is None:
        warnings.warn(f"this processor does not have SYMACT_ISA={wanted}", RuntimeWarning, stacklevel=2)
    return library


def isa() -> str | None:
    """The instruction set in use, or None without a library."""
    library = load()
    return None if library is None else library.symact_isa().decode()
