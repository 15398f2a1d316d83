"""Families of processes: who dies with whom, how much memory they hold, and ending all of them.

Linux kills a child when its parent ends and hands orphans to a chosen ancestor; elsewhere pipes that
reach their end do the first, and process groups most of the second.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
MARK = "SYMACT_DRIVER"

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(signal_number: int) -> None:
    """Have this process sent a signal when its parent ends (Linux; elsewhere nothing)."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (Linux; elsewhere nothing)."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> list[psutil.Process]:
    """All living descendants of a process."""
    try:
        return [p for p in psutil.Process(pid).children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    except psutil.Error:
        return []


def resident(processes: Iterable[psutil.Process]) -> int:
    """Resident memory in bytes of processes, those that ended meanwhile left out."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


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
        _signal(new, signal.SIGSTOP)
        stopped.update(p.pid for p in new)
    while time.monotonic() < deadline:
        living = descendants(pid)
        reap()
        if not living:
            return
        _signal(living, signal.SIGKILL)
        time.sleep(0.002)


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


def end_session(session: int) -> None:
    """Kill every process of a session (that of a worker whose supervisor was lost)."""
    for _ in range(100):
        living = [p for p in psutil.process_iter() if p.pid != os.getpid() and _session(p.pid) == session]
        living = [p for p in living if _is_alive(p)]
        if not living:
            return
        _signal(living, signal.SIGKILL)
        time.sleep(0.002)


def mark() -> str:
    """What marks this process' workers and their children: its id, when it started, where ids count."""
    return f"{os.getpid()}:{psutil.Process().create_time():.2f}:{_namespace()}"


def sweep() -> int:
    """Kill workers (and children of workers) whose driver is gone; returns how many there were.

    The supervisors do that at once; this is for the case that somebody killed driver and supervisors together.
    """
    found = []
    for process in psutil.process_iter():
        try:
            value = process.environ().get(MARK, "")
            if value and process.pid != os.getpid() and not _is_driver_alive(value):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    _signal(found, signal.SIGKILL)
    psutil.wait_procs(found, timeout=5)
    return len(found)


def memory_limit(workers: int) -> int:
    """The memory in bytes that a worker may hold where none was named: four fifths of it all, shared."""
    total = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return int(0.8 * total / max(1, workers))


def devices() -> list[str]:
    """The CUDA devices that may be used, without loading torch; empty without any."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() and name.strip() != "-1"]
    try:
        return [str(index) for index in range(len(os.listdir("/proc/driver/nvidia/gpus")))]
    except OSError:
        return []


def _is_driver_alive(value: str) -> bool:
    """Whether the process of a mark lives; also True where that cannot be known (another container)."""
    try:
        pid, created, namespace = value.split(":")
        if namespace != _namespace():
            return True
        process = psutil.Process(int(pid))
        return bool(abs(process.create_time() - float(created)) < 1.0 and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except ValueError:
        return True


def _namespace() -> str:
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return "0"


def _signal(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            process.send_signal(number)


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
