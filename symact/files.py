"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from symact.errors import InputError


def check_output(path: Path | str, suffixes: tuple[str, ...]) -> None:
    """Refuse an output file before the work for it begins.

    Raises:
        InputError: its suffix is not one of `suffixes`, or its folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path}: the file name must end in {' or '.join(suffixes)}")
    if not path.resolve().parent.is_dir():
        raise InputError(f"{path}: the folder {path.resolve().parent} does not exist")


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text under a temporary name, then rename.

    Raises:
        InputError: the folder does not exist or cannot be written.
    """
    write_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_file(path: Path | str, write: Callable[[Path], object], by_name: bool = True) -> None:
    """Have `write` fill a temporary file beside `path`, then rename it.

    Args:
        path: the file to make or replace.
        write: fills the file that it is given.
        by_name: `write` looks at the name's suffix. Otherwise the temporary file has no name where the system has such
            files, so that not even a killed process leaves anything behind.

    Raises:
        InputError: the folder does not exist or cannot be written.
    """
    path = Path(path)
    if not by_name and _written_nameless(path, write):
        return
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --output") from None
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --output") from None
    finally:
        temporary.unlink(missing_ok=True)


def _written_nameless(path: Path, write: Callable[[Path], object]) -> bool:
    """Fill a file without a name, then give it one; False where the system has none."""
    if not hasattr(os, "O_TMPFILE"):
        return False
    folder = None
    try:
        folder = os.open(path.parent, os.O_RDONLY)
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o644)
    except OSError:
        if folder is not None:
            os.close(folder)
        return False
    temporary = path.parent / f".{path.stem}-{os.getpid()}{path.suffix}"
    try:
        nameless = Path(f"/proc/self/fd/{descriptor}")
        if not nameless.exists():
            return False
        write(nameless)
        os.fchmod(descriptor, 0o644)
        temporary.unlink(missing_ok=True)
        # With a folder given, the link is to what the name in /proc stands for.
        os.link(nameless, temporary, src_dir_fd=folder, follow_symlinks=True)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --output") from None
    finally:
        os.close(descriptor)
        os.close(folder)
    return True
