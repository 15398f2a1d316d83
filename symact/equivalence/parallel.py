"""Work shared by the cores of this machine: NumPy in threads, ball arithmetic in forked processes.

NumPy lets other threads run while it computes; python-flint does not, so its work goes to processes. Where
there is one core, or no fork, everything is done here: the results are the same.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

import numpy as np

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_MOST = 4
# Fewer tasks than these are done before the threads have begun.
_FEW = 64
_SHARE = 8
_KEPT = 32 * 2**20 - 2**16
# The last bytes of a complete answer.
_WHOLE = b"whole"
Child: TypeAlias = "tuple[int, int]"


def cores() -> int:
    """How many cores this process may use, at most four."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, _MOST)


def keep_freed_memory() -> None:
    """Let temporary arrays find memory that is there already.

    glibc's allocator asks the system for large blocks and gives them back, which costs a page fault per 4 kB, more than
    most operations on an array; and it stops doing so for blocks as large as the largest that was ever freed, up to
    32 MB (mallopt(3), M_MMAP_THRESHOLD). One that nobody touched occupies nothing.
    """
    np.empty(_KEPT, np.uint8)


def in_threads(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """The results for all items, in order; NumPy's floating-point warnings are off in every thread."""

    def quiet(item: _Item) -> _Result:
        with np.errstate(all="ignore"):
            return function(item)

    listed = list(items)
    if len(listed) < _FEW or cores() < 2:
        return [quiet(item) for item in listed]
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(quiet, listed))


def shares(items: Sequence[_Item]) -> list[Sequence[_Item]]:
    """Items in order, in parts that make a task of a thread."""
    return [items[start : start + _SHARE] for start in range(0, len(items), _SHARE)]


def in_processes(function: Callable[[Sequence[_Item]], bytes], parts: Sequence[Sequence[_Item]]) -> list[bytes]:
    """The result for each part: the first is worked on here, the others in forked children.

    A child that cannot be made, or that dies, leaves its part to this process.

    Args:
        function: part -> bytes; what else it changes is lost where a child runs it.
        parts: one per process.
    """
    children: dict[int, Child] = {}
    results: list[bytes | None] = [None] * len(parts)
    try:
        for number in range(1, len(parts)):
            child = _forked(function, parts[number])
            if child is None:
                break
            children[number] = child
        results[0] = function(parts[0])
        for number in list(children):
            results[number] = _received(*children.pop(number))
    finally:
        for process, reading in children.values():
            _ended(process, reading)
    return [function(part) if result is None else result for part, result in zip(parts, results, strict=True)]


def _forked(function: Callable[[Any], bytes], share: Any) -> Child | None:
    if not hasattr(os, "fork"):
        return None
    reading, writing = os.pipe()
    try:
        with warnings.catch_warnings():
            # The child computes and writes to its pipe, nothing that a lock of another thread could stop.
            warnings.simplefilter("ignore", DeprecationWarning)
            process = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        return None
    if process:
        os.close(writing)
        return process, reading
    code = 1
    try:
        os.close(reading)
        # A collection would touch, and so copy, every page that holds an object.
        gc.disable()
        with open(writing, "wb") as stream:
            stream.write(function(share) + _WHOLE)
        code = 0
    finally:
        os._exit(code)


def _received(process: int, reading: int) -> bytes | None:
    with open(reading, "rb") as stream:
        result = stream.read()
    _waited(process)
    return result[: -len(_WHOLE)] if result.endswith(_WHOLE) else None


def _ended(process: int, reading: int) -> None:
    os.close(reading)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    _waited(process)


def _waited(process: int) -> None:
    # Whoever waits for any child of this process may have been quicker.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, 0)
