"""One writer per run folder: a lock that dies with the process that holds it.

`flock` on the folder itself and on a file in it, which says whose it is. The kernel releases both when the process
ends in any way, so a stale lock cannot exist, and removing the file gives nobody a second right; children made by
`fork` close their copies at once and so never keep it alive. Where a file system has no locks, a writer that is told
to do without them keeps the file alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
import weakref
from pathlib import Path

from symact.errors import InputError

FILE_NAME = "lock"
RUNNING = "running.json"  # what the writer says of its trainings, see `running.py`; it goes with the right to write
TRIES, PAUSE_SECONDS = 5, 0.02  # who only asks whether a folder is in use holds its lock for an instant
WITHOUT_LOCKS = "SYMACT_WITHOUT_LOCKS"
_HELD_ELSEWHERE = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


def without_locks() -> bool:
    """Whether the user has said that nobody else uses their run folders, and that locks can be done without."""
    return os.environ.get(WITHOUT_LOCKS, "") not in ("", "0")


def no_locks(place: object, reason: str) -> InputError:
    """What is said where the file system has no locks, or no shared memory."""
    return InputError(
        f"{place}: this file system has no locks or no shared memory ({reason}); keep the run folder on a local disk, "
        f"or set {WITHOUT_LOCKS}=1 and see to it that only one process at a time uses the folder"
    )


class RunLock:
    """The exclusive right to write into a run folder.

    Attributes:
        by_kernel: the kernel guards it; False where there are no locks.
        holds_folder: the folder is locked as well, so that its file may go without letting anybody in.

    Raises:
        InputError: another process (or another study in this one) holds it, the folder cannot be written, or the file
            system has no locks.
    """

    def __init__(self, run: Path):
        self._run, self._path = run, run.absolute()
        self._folder = self._file = -1
        self.by_kernel, self.holds_folder = True, False
        try:
            self._file = self._opened()
            self._folder = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
            self._take(self._file)
            self.holds_folder = self._take(self._folder, needed=False)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
            self._remove_running()  # of one that was killed
        except OSError as error:
            self._forget()
            raise InputError(f"{run}: cannot be locked ({error.strerror})") from None
        except BaseException:
            self._forget()
            raise
        _HELD.add(self)

    def _opened(self) -> int:
        path = self._run / FILE_NAME
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            file = os.open(path, flags, 0o644)
        except OSError as error:
            raise InputError(f"{path}: cannot be opened ({error.strerror}); the run folder must be writable") from None
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_size > 100:
            os.close(file)  # it is about to be emptied, and could be another name of a file of the user's
            raise InputError(f"{path}: not a lock of symact's; look at where this run folder comes from")
        return file

    def _take(self, descriptor: int, needed: bool = True) -> bool:
        try:
            _lock_now(descriptor)
            return True
        except OSError as error:
            if error.errno in _HELD_ELSEWHERE:
                raise self._in_use() from None
            if not needed:  # some network file systems lock files alone
                return False
            if not without_locks():
                raise no_locks(self._run, error.strerror or "no reason given") from None
            self.by_kernel = False
            if _is_alive(_holder(self._file)) or any(
                lock.held and is_same(lock._file, self._path / FILE_NAME) for lock in _HELD
            ):
                raise self._in_use(f"; if that is another program, remove {self._run / FILE_NAME}") from None
        return False

    def _in_use(self, more: str = "") -> InputError:
        holder = _holder(self._file)
        owner = f"process {holder}" if holder else "another process"
        return InputError(
            f"{self._run}: {owner} is running this study; stop it first, or only read (`symact top`){more}"
        )

    @property
    def held(self) -> bool:
        """Whether it has not been given back."""
        return self._file >= 0

    @property
    def is_in_place(self) -> bool:
        """Whether folder and file are still those that were locked."""
        return is_same(self._folder, self._path) and is_same(self._file, self._path / FILE_NAME, follow=False)

    @property
    def folder(self) -> Path | None:
        """Where the locked folder is now; None if it was removed, or cannot be found."""
        with contextlib.suppress(OSError):
            now = Path(os.readlink(f"/proc/self/fd/{self._folder}"))
            return now if is_same(self._folder, now) else None
        return self._path if is_same(self._folder, self._path) else None

    def release(self) -> None:
        """Give the lock back; harmless when it was given back before."""
        if self._file >= 0:
            self._remove_running()
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)
            for descriptor in (self._folder, self._file):
                with contextlib.suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
            self._forget()

    def _remove_running(self) -> None:
        with contextlib.suppress(OSError):
            if self.is_in_place:
                os.unlink(self._path / RUNNING)

    def _forget(self) -> None:
        for descriptor in (self._folder, self._file):
            if descriptor >= 0:
                os.close(descriptor)
        self._folder = self._file = -1


def is_in_use(run: Path) -> bool:
    """Whether a process has the right to write into a run folder; who asks keeps nobody out, and writes nothing."""
    try:
        file = os.open(run / FILE_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)  # a child that was forked meanwhile has a copy of the descriptor
        return False
    except OSError as error:
        return error.errno in _HELD_ELSEWHERE or _is_alive(_holder(file), own=True)
    finally:
        os.close(file)


def _lock_now(descriptor: int) -> None:
    """Lock it for this process alone.

    Raises:
        OSError: another holds it, and goes on to hold it; or there are no locks.
    """
    for left in reversed(range(TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in _HELD_ELSEWHERE or not left:
                raise
        time.sleep(PAUSE_SECONDS)


def is_same(descriptor: int, path: Path, follow: bool = True) -> bool:
    """Whether a path still leads to what is open."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=follow))
    except OSError:
        return False


def _holder(file: int) -> int:
    text = os.pread(file, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdigit() else 0


def _is_alive(process: int, own: bool = False) -> bool:
    if process in (0, os.getpid()):
        return own and process > 0
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


_HELD: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _drop_in_child() -> None:
    for lock in list(_HELD):
        if lock.held:
            lock._forget()  # not released: the lock is the parent's


os.register_at_fork(after_in_child=_drop_in_child)
