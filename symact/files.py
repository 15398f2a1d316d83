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


def write_file(path: Path | str, write: Callable[[Path], object]) -> None:
    """Have `write` fill a temporary file beside `path`, then rename it.

    Raises:
        InputError: the folder does not exist or cannot be written.
    """
    path = Path(path)
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
