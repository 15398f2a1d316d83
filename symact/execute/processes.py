"""Families of processes: which process is which, who dies with whom, how much memory they hold, and ending them.

A process is known by its id and the kernel's monotonic start time (`/proc/PID/stat`, field 22, in ticks since
boot), never by the wall clock, which may be set while a study runs. Linux kills a child when its parent ends and
hands orphans to a chosen ancestor; elsewhere (through psutil) pipes that reach their end do the first, and
process groups most of the second.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PROC = Path("/proc")
PAGE = os.sysconf("SC_PAGE_SIZE")

_LINUX = sys.platform == "linux"
_LIBC = ctypes.CDLL(None, use_errno=True) if _LINUX else None


@dataclass(frozen=True)
class Process:
    """A process as it was seen: `pid` and `start` say which it is, even when its id is given to another.

    Attributes:
        pid: its id.
        start: when it started, in ticks since boot.
        parent: id of its parent.
        session: id of its session.
        state: one letter, such as `R`, `S`, `T` (stopped) or `Z` (ended, not reaped).
    """

    pid: int
    start: int
    parent: int
    session: int
    state: str

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.state not in "ZX"

    @property
    def is_stopped(self) -> bool:
        """Whether a signal (SIGSTOP) keeps it from running."""
        return self.state == "T"


def look(pid: int) -> Process | None:
    """The process with this id as it is now, or None."""
    if not _LINUX:
        return _look_elsewhere(pid)
    try:
        text = (PROC / str(pid) / "stat").read_bytes()
        # The name, in brackets, may hold anything; the last bracket ends it. What follows is field 3.
        fields = text[text.rindex(b")") + 2 :].split()
        return Process(pid, int(fields[19]), int(fields[1]), int(fields[3]), fields[0].decode())
    except (OSError, ValueError, IndexError):
        return None


def _look_elsewhere(pid: int) -> Process | None:
    try:
        seen = psutil.Process(pid)
        state = {psutil.STATUS_ZOMBIE: "Z", psutil.STATUS_STOPPED: "T"}.get(seen.status(), "S")
        return Process(pid, int(seen.create_time() * 100), seen.ppid(), os.getsid(pid), state)
    except (psutil.Error, OSError):
        return None


def everybody() -> list[Process]:
    """All processes that can be seen."""
    return [found for pid in psutil.pids() if (found := look(pid)) is not None]


def children(pid: int) -> list[Process]:
    """Most living descendants of a process, quickly: the kernel's lists may miss one while others end."""
    found: list[Process] = []
    waiting = [pid]
    while waiting:
        try:
            lists = [path.read_bytes().split() for path in (PROC / str(waiting.pop()) / "task").glob("*/children")]
        except OSError:
            continue
        if not lists and waiting == [] and not found:
            return descendants(pid)  # a kernel without these lists
        for child in map(int, (number for numbers in lists for number in numbers)):
            waiting.append(child)
            seen = look(child)
            if seen is not None and seen.is_alive:
                found.append(seen)
    return found


def descendants(pid: int) -> list[Process]:
    """All living descendants of a process."""
    children: dict[int, list[Process]] = {}
    for process in everybody():
        children.setdefault(process.parent, []).append(process)
    found, waiting = [], [pid]
    while waiting:
        for child in children.pop(waiting.pop(), ()):
            waiting.append(child.pid)
            found.append(child)
    return [process for process in found if process.is_alive]


def resident(pids: Iterable[int]) -> int:
    """Resident memory in bytes of processes, those that ended meanwhile left out."""
    total = 0
    for pid in pids:
        try:
            if _LINUX:
                total += int((PROC / str(pid) / "statm").read_bytes().split()[1]) * PAGE
            else:
                total += psutil.Process(pid).memory_info().rss
        except (OSError, ValueError, IndexError, psutil.Error):
            continue
    return total


def send(process: Process, number: int) -> None:
    """Send a signal to this very process; to nobody where it has ended, whoever has its id now."""
    handle = None
    try:
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # a kernel without them
                handle = os.pidfd_open(process.pid)
        now = look(process.pid)
        if now is None or now.start != process.start:
            return
        if handle is None:
            os.kill(process.pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        return
    finally:
        if handle is not None:
            os.close(handle)


def die_with_parent(signal_number: int) -> None:
    """Have this process sent a signal when its parent ends (Linux; elsewhere nothing)."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (Linux; elsewhere nothing)."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants(pid: int, seconds: float = 10.0) -> None:
    """Kill every descendant of this process `pid`, however fast they fork, and reap the own children.

    They are stopped first, until nobody new appears, and killed when all stand still.
    """
    deadline = time.monotonic() + seconds
    stopped: set[int] = set()
    while time.monotonic() < deadline:
        new = [p for p in descendants(pid) if p.pid not in stopped]
        if not new:
            break
        for process in new:
            send(process, signal.SIGSTOP)
        stopped.update(p.pid for p in new)
    while time.monotonic() < deadline:
        living = descendants(pid)
        reap()
        if not living:
            return
        for process in living:
            send(process, signal.SIGKILL)
        time.sleep(0.002)


def end_all(chosen: Iterable[Process], seconds: float = 5.0) -> int:
    """Kill these processes and wait until they are gone; returns how many there were."""
    left = list(chosen)
    count, deadline = len(left), time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        for process in left:
            send(process, signal.SIGKILL)
        time.sleep(0.002)
        left = [p for p in left if (now := look(p.pid)) is not None and now.start == p.start and now.is_alive]
    return count


def reap() -> dict[int, int]:
    """Take the exit codes of all children that ended: pid -> code, minus the signal for a killed one."""
    codes: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return codes
        if pid == 0:
            return codes
        codes[pid] = os.waitstatus_to_exitcode(status)


def memory_limit(workers: int) -> int:
    """The memory in bytes that a worker may hold where none was named: four fifths of it all, shared."""
    total = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return int(0.8 * total / max(1, workers))
