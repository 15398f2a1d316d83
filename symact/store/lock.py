"""One writer per run folder: a lock that dies with the process that holds it.

`flock` on a file in the folder. The kernel releases it when the process ends in any way, so a stale
lock cannot exist; children made by `fork` close their copy at once and so never keep it alive.
"""

from __future__ import annotations

import fcntl
import os
import stat
import weakref
from pathlib import Path

from symact.errors import InputError

FILE_NAME = "lock"


class RunLock:
    """The exclusive right to write into a run folder.

    Raises:
        InputError: another process (or another study in this one) holds it, or the folder cannot be
            written.
    """

    def __init__(self, run: Path):
        path = run / FILE_NAME
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self._file = os.open(path, flags, 0o644)
        except OSError as error:
            raise InputError(f"{path}: cannot be opened ({error.strerror}); the run folder must be writable") from None
        status = os.fstat(self._file)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_size > 100:
            os.close(self._file)  # it is about to be emptied, and could be another name of a file of the user's
            raise InputError(f"{path}: not a lock of symact's; look at where this run folder comes from")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            owner = f"process {holder}" if holder.isdigit() else "another process"
            raise InputError(
                f"{run}: {owner} is running this study; stop it first, or only read (`symact top`)"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        _HELD.add(self)

    @property
    def held(self) -> bool:
        """Whether it has not been given back."""
        return self._file >= 0

    def release(self) -> None:
        """Give the lock back; harmless when it was given back before."""
        if self._file >= 0:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._forget()

    def _forget(self) -> None:
        os.close(self._file)
        self._file = -1


_HELD: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _drop_in_child() -> None:
    for lock in list(_HELD):
        if lock.held:
            lock._forget()  # not released: the lock is the parent's


os.register_at_fork(after_in_child=_drop_in_child)
