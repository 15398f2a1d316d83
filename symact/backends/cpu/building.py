"""Compiling the C++ library of the block interpreter: which compiler, which flags, what it depends on.

Environment: `CXX` (compiler).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "src"

# NaN and infinities matter, so nothing of -ffast-math; contraction would change what a*b - c*d is.
_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-w")
_KERNELS: dict[str, tuple[str, ...]] = {
    "portable": (),
    "avx2": ("-mavx2", "-mfma", "-mf16c"),
    "avx512": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma", "-mf16c"),
}
_WIDE = "-mprefer-vector-width=512"
_FUSION = ("superinstructions", "fuse_gates", "factors", "angles", "patterns")
_PLAIN = ("library", "run", "lookup", "compare", "bytecode", *_FUSION, "doubles")
# Compiled once per instruction set; sums of products may be contracted in matrix products.
_PER_ISA: dict[str, tuple[str, ...]] = {
    "kernels": (),
    "double_kernels": (),
    "bfloat16": (),
    "mlp_step": ("-ffp-contract=fast",),
}


class BuildError(Exception):
    """The library cannot be built here; the message is one line for the user."""


def compiler() -> list[str]:
    """The C++ compiler: `CXX`, or the first that is found.

    Raises:
        BuildError: there is none.
    """
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


def key(compiler: list[str]) -> str:
    """Hash of everything that the library depends on.

    Raises:
        BuildError: the compiler does not run.
    """
    try:
        version = subprocess.run([*compiler, "--version"], capture_output=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(f"the compiler {shlex.join(compiler)} does not run: {error}") from error
    digest = hashlib.sha256()
    flags = repr((_FLAGS, _KERNELS, _PER_ISA, _variants()))
    parts: list[bytes] = [version, platform.machine().encode(), shlex.join(compiler).encode(), flags.encode()]
    for source in sorted(SOURCES.iterdir()):
        if source.suffix in (".cpp", ".h"):
            parts += [source.name.encode(), source.read_bytes()]
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:24]


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


def compile_library(compiler: list[str], folder: Path) -> Path:
    """Compile everything inside `folder`, which is the caller's to make and to remove; the library's file there.

    Raises:
        BuildError: a compiler failed.
    """
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
    made = folder / "library.so"
    # Common code stands first: of functions that several objects hold, the linker keeps the first.
    _run_all([[*compiler, "-shared", "-pthread", "-o", str(made), *objects]])
    return made
