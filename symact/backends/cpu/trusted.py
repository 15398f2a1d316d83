"""Folders that nobody else can change, and files in them, by descriptor: code is loaded from there.

A name may stand for another folder a moment after it was looked at. So each folder on the way from the root is opened
in the one before, without following links, and looked at through its descriptor: it has to be ours or the system's,
and nobody else may write to it (to one in the middle others may, if its sticky bit keeps them from renaming
what is not theirs, as in `/tmp`). Folders above this package are as good as the package itself and need not be better.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

_PACKAGE = Path(__file__).resolve()
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UntrustedError(Exception):
    """Others could change what lies there, or it cannot be used; the message says which folder or file and why."""


def open_folder(path: Path) -> int:
    """A descriptor of a folder, which is made if it is not there.

    Raises:
        UntrustedError: it, or a folder above it, is not ours alone, or cannot be opened or made.
    """
    path = Path(os.path.realpath(path))
    current = os.open(path.anchor, _SEARCH)
    here = Path(path.anchor)
    try:
        for part in path.parts[1:]:
            here = here / part
            is_last = here == path
            following = _enter(current, part, _LIST if is_last else _SEARCH)
            os.close(current)
            current = following
            if is_last or here not in _PACKAGE.parents:
                _check(os.fstat(current), here, is_sticky_enough=not is_last)
    except OSError as error:
        os.close(current)
        raise UntrustedError(f"{here} cannot be used ({error.strerror})") from None
    except UntrustedError:
        os.close(current)
        raise
    return current


def _enter(folder: int, name: str, flags: int) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=folder)
        return os.open(name, flags, dir_fd=folder)


def open_file(folder: int, name: str) -> int:
    """A descriptor of a file in a trusted folder, to be read.

    Raises:
        UntrustedError: it is no plain file, or not ours alone.
        OSError: it cannot be opened, or is a folder.
    """
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UntrustedError(f"{name} is a link") from None
        raise
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, f"{name} is a folder")
        if not stat.S_ISREG(status.st_mode):
            raise UntrustedError(f"{name} is no file")
        _check(status, Path(name), is_sticky_enough=False)
    except (UntrustedError, OSError):
        os.close(descriptor)
        raise
    return descriptor


def write_file(folder: int, name: str, content: bytes) -> None:
    """Write a file under another name, have it reach the disk, and rename it: it is whole wherever it is seen.

    Raises:
        OSError: it cannot be written.
    """
    part = f"{name}.{os.getpid()}.part"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part, dir_fd=folder)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700, dir_fd=folder)
    try:
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=folder)
        raise
    os.fsync(folder)


def _check(status: os.stat_result, path: Path, is_sticky_enough: bool) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise UntrustedError(f"{path} belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not (is_sticky_enough and status.st_mode & stat.S_ISVTX):
        raise UntrustedError(f"{path} can be written by others")
