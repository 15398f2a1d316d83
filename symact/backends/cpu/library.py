"""Building and loading the C++ library of the block interpreter.

The sources in `src/` are compiled once, at first use, and kept in `SYMACT_CACHE`, else in the
user's cache folder, else (where that cannot be written) in a temporary folder of one's own. The
file's name holds a hash of sources, compiler and flags. A library is made under another name and
then renamed, so that it is complete wherever it is seen.

Environment: `SYMACT_CACHE` (folder), `CXX` (compiler), `SYMACT_ISA` (`portable`, `avx2`, `avx512`).
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import itertools
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "src"
_LOG = logging.getLogger(__name__)

# NaN and infinities matter, so nothing of -ffast-math; contraction would change what a*b - c*d is.
_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-w")
_KERNELS: dict[str, tuple[str, ...]] = {
    "portable": (),
    "avx2": ("-mavx2", "-mfma", "-mf16c"),
    "avx512": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma", "-mf16c"),
}
_WIDE = "-mprefer-vector-width=512"
_PLAIN = ("library", "run", "lookup", "bytecode", "superinstructions", "patterns", "doubles")
# Compiled once per instruction set; sums of products may be contracted in matrix products.
_PER_ISA: dict[str, tuple[str, ...]] = {"kernels": (), "mlp_step": ("-ffp-contract=fast",)}

# Stands at the end of a complete ELF file: one that was cut short would kill the process that maps it.
_END = b"symact-library-is-complete" if sys.platform == "linux" else b""


class BuildError(Exception):
    """The library cannot be built here; the message is one line for the user."""


def _compiler() -> list[str]:
    chosen = os.environ.get("CXX")
    if chosen:
        words = shlex.split(chosen)
        if words and shutil.which(words[0]):
            return words
        raise BuildError(f"the compiler CXX={chosen} was not found")
    for name in ("g++", "clang++", "c++"):
        found = shutil.which(name)
        if found:
            return [found]
    raise BuildError("no C++ compiler was found (install g++ or clang++, or set CXX)")


def _variants() -> list[str]:
    return list(_KERNELS) if platform.machine().lower() in ("x86_64", "amd64") else ["portable"]


def _key(compiler: list[str]) -> str:
    """Hash of everything that the library depends on."""
    try:
        version = subprocess.run([*compiler, "--version"], capture_output=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"the compiler {shlex.join(compiler)} does not run: {error}") from error
    digest = hashlib.sha256()
    flags = repr((_FLAGS, _KERNELS, _PER_ISA, _variants()))
    parts: list[bytes] = [version, shlex.join(compiler).encode(), flags.encode()]
    for source in sorted(SOURCES.iterdir()):
        if source.suffix in (".cpp", ".h"):
            parts += [source.name.encode(), source.read_bytes()]
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:24]


def _folders() -> Iterator[Path]:
    """Where the library may be kept, best first."""
    chosen = os.environ.get("SYMACT_CACHE")
    if chosen:
        yield Path(chosen)
    else:
        base = os.environ.get("XDG_CACHE_HOME")
        with contextlib.suppress(RuntimeError):
            yield (Path(base) if base else Path.home() / ".cache") / "symact"
    user = os.getuid() if hasattr(os, "getuid") else "user"
    yield Path(tempfile.gettempdir()) / f"symact-{user}"


def _trusted(path: Path) -> bool:
    """Ours or the system's, and writable by nobody else: code is loaded from it."""
    try:
        state = path.lstat()
    except OSError:
        return False
    owners = {0, os.getuid()} if hasattr(os, "getuid") else {state.st_uid}
    return state.st_uid in owners and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not path.is_symlink()


def _usable(library: Path) -> bool:
    if not (library.is_file() and _trusted(library) and _trusted(library.parent.resolve())):
        return False
    try:
        with library.open("rb") as file:
            file.seek(-max(len(_END), 1), os.SEEK_END)
            return not _END or file.read() == _END
    except OSError:
        return False


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return _trusted(folder.resolve())
    except OSError:
        return False


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold a lock on a file, so that of several processes one compiles; without locks each does."""
    with path.open("w") as handle:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run_all(commands: list[list[str]]) -> None:
    """Run compilers side by side.

    Raises:
        BuildError: one of them failed.
    """
    running = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for c in commands]
    outputs = [process.communicate()[0].decode(errors="replace") for process in running]
    for process, output in zip(running, outputs, strict=True):
        if process.returncode:
            line = next((line for line in output.splitlines() if "error" in line), output.strip()[-200:])
            raise BuildError(f"compiling the block interpreter failed: {line}")


def _compile(compiler: list[str], target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="build-") as name:
        folder = Path(name)
        commands, objects = [], []
        extra = [_WIDE] if "clang" not in Path(compiler[0]).name else []
        # One unit, so that headers are read once: that halves the time.
        common = folder / "common.cpp"
        common.write_text("".join(f'#include "{stem}.cpp"\n' for stem in _PLAIN))
        objects.append(str(folder / "common.o"))
        commands.append([*compiler, *_FLAGS, f"-I{SOURCES}", "-c", str(common), "-o", objects[-1]])
        for isa, (stem, more) in itertools.product(_variants(), _PER_ISA.items()):
            objects.append(str(folder / f"{stem}-{isa}.o"))
            # What no processor with AVX2 runs need not be the best.
            quick = ["-O1"] if isa == "portable" and len(_variants()) > 1 else []
            flags = [*_FLAGS, *quick, *_KERNELS[isa], *(extra if isa == "avx512" else []), f"-DSYMACT_ISA={isa}", *more]
            commands.append([*compiler, *flags, "-c", str(SOURCES / f"{stem}.cpp"), "-o", objects[-1]])
        _run_all(commands)
        made = folder / target.name
        # Common code stands first: of functions that several objects hold, the linker keeps the first.
        _run_all([[*compiler, "-shared", "-pthread", "-o", str(made), *objects]])
        with made.open("ab") as file:
            file.write(_END)
        made.chmod(0o755)
        os.replace(made, target)


def build() -> Path:
    """The library's file, compiled if it is not there yet.

    Raises:
        BuildError: no compiler, a compiler that fails, or no folder to write to.
    """
    compiler = _compiler()
    name = f"symact-{_key(compiler)}.so"
    folders = list(_folders())
    for folder in folders:
        if _usable(folder / name):
            return folder / name
    for folder in folders:
        if not _writable(folder):
            continue
        target = folder / name
        with _only_one(folder / f"{name}.lock"):
            if not _usable(target):
                _LOG.info("compiling the block interpreter into %s", target)
                _compile(compiler, target)
        return target
    raise BuildError(f"no folder to keep the compiled block interpreter in (tried {', '.join(map(str, folders))})")


_POINTER, _INT = ctypes.c_void_p, ctypes.c_int


def _declare(library: ctypes.CDLL) -> None:
    library.symact_select.argtypes, library.symact_select.restype = [ctypes.c_char_p], ctypes.c_char_p
    library.symact_isa.argtypes, library.symact_isa.restype = [], ctypes.c_char_p
    library.symact_operation.argtypes, library.symact_operation.restype = [ctypes.c_char_p], _INT
    library.symact_compile.argtypes = [_INT, _INT, _POINTER, _POINTER, _INT, _POINTER]
    library.symact_compile.restype = _POINTER
    library.symact_describe.argtypes, library.symact_describe.restype = [_POINTER, ctypes.c_char_p, _INT], None
    library.symact_mend.argtypes = [_POINTER, _POINTER, ctypes.c_float, ctypes.c_float, _INT]
    library.symact_mend.restype = None
    library.symact_free.argtypes, library.symact_free.restype = [_POINTER], None
    # Without `argtypes`, a string of bytes is handed over as the address of its first, and nothing is converted.
    library.symact_call.restype = _INT
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
    run = ctypes.PyDLL(library._name).symact_call
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
        path = build()
        try:
            library = ctypes.CDLL(str(path))
            _declare(library)
        except (OSError, AttributeError):
            # A file that was cut short, or of another machine in a shared home.
            path.unlink(missing_ok=True)
            library = ctypes.CDLL(str(build()))
            _declare(library)
    except (BuildError, OSError) as error:
        warnings.warn(f"symact runs plain torch operations on CPU: {error}", RuntimeWarning, stacklevel=2)
        return None
    _share_threads(library)
    wanted = os.environ.get("SYMACT_ISA", "")
    if wanted and library.symact_select(wanted.encode()) is None:
        warnings.warn(f"this processor does not have SYMACT_ISA={wanted}", RuntimeWarning, stacklevel=2)
    return library


def isa() -> str | None:
    """The instruction set in use, or None without a library."""
    library = load()
    return None if library is None else library.symact_isa().decode()
