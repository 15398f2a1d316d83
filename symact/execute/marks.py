"""Whose worker a process is: the mark that a driver leaves in the environment of all that it starts.

Supervisors end workers with everything that these have started. This is for the case that somebody killed
driver and supervisors at one instant: the next study sweeps what is left. Nothing is swept unless two witnesses
agree that its driver is gone: no process has the driver's id, start time and boot, and nobody
holds the driver's lock, which the kernel gives back when the driver ends.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable

from symact.execute import processes
from symact.execute.processes import PROC, Process

MARK = "SYMACT_DRIVER"

_lock: tuple[int, str, socket.socket | None] | None = None


def mark() -> str:
    """What marks the workers of this process: id, start time, boot and id space, then the name of its lock."""
    own = processes.look(os.getpid())
    return f"{os.getpid()}:{own.start if own else 0}:{_boot()}:{_id_space()}:{_own_lock()}"


def marked(is_wanted: Callable[[str], bool]) -> list[Process]:
    """Living processes of this user whose mark is wanted, but not this one."""
    found = []
    for process in processes.everybody():
        value = _mark_of(process.pid) if process.pid != os.getpid() and process.is_alive else ""
        if value and is_wanted(value):
            found.append(process)
    return found


def sweep() -> int:
    """Kill workers, and children of workers, whose driver is gone; returns how many there were."""
    return processes.end_all(marked(lambda value: not is_driver_alive(value)))


def is_driver_alive(value: str) -> bool:
    """Whether the driver of a mark lives; True also where that cannot be known (another container, another form)."""
    fields = value.split(":")
    if len(fields) < 5 or not (fields[0].isdigit() and fields[1].isdigit()):
        return True
    pid, start, boot, space, lock = fields[:5]
    if (boot, space) != (_boot(), _id_space()):
        return True
    seen = processes.look(int(pid))
    if seen is not None and seen.start == int(start) and seen.is_alive:
        return True
    return _is_held(lock)


def _mark_of(pid: int) -> str:
    try:
        if (PROC / str(pid)).stat().st_uid != os.getuid():
            return ""
        for entry in (PROC / str(pid) / "environ").read_bytes().split(b"\0"):
            if entry.startswith(f"{MARK}=".encode()):
                return entry.decode("ascii", "replace").partition("=")[2]
    except OSError:
        pass
    return ""


def _own_lock() -> str:
    """The name of this process' lock, taken at the first call; a forked child takes one of its own.

    The lock is a socket with a name in no folder, so there is no file to be removed or left behind.
    """
    global _lock
    if _lock is None or _lock[0] != os.getpid():
        name, held = secrets.token_hex(8), None
        try:
            held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            held.bind(f"\0symact-{name}")
        except OSError:
            held = None  # a system without such names: the other witness alone decides
        _lock = (os.getpid(), name, held)
    return _lock[1]


def _is_held(name: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.connect(f"\0symact-{name}")
            return True
    except OSError:
        return False


def _drop_in_child() -> None:
    global _lock
    if _lock is not None and _lock[2] is not None:
        _lock[2].close()  # the parent's: a child must not keep it held
    _lock = None


os.register_at_fork(after_in_child=_drop_in_child)


def _boot() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip().replace(":", "")
    except OSError:
        return "unknown"


def _id_space() -> str:
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return "0"
