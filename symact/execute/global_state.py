"""What one evaluation does to its process must not reach the next: global state, taken down and put back.

A `Piece` is one thing that code can change for the whole process: how to read it, and how to write it back.
`PIECES` are those of Python and the system, `torch_state.PIECES` those of PyTorch. `GlobalState` reads all of them
before an evaluation, and puts back what has changed afterwards. What cannot be put back is named, so that a worker
can be replaced.
"""

from __future__ import annotations

import ast
import contextlib
import faulthandler
import fcntl
import gc
import locale
import logging
import os
import random
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symact.execute.piece import Piece, same_names

# Threads that libraries keep for themselves and that touch nothing else.
HARMLESS_THREADS = ("TMonitor",)  # tqdm's
THREAD_SECONDS = 0.2  # for a thread to end once its evaluation has
FEW_DESCRIPTORS = 0.25  # of what may be open; a process that has more open is replaced


class GlobalState:
    """Global state before an evaluation, and the way back to it.

    Args:
        pieces: what to look after besides PyTorch's.
    """

    def __init__(self, pieces: Sequence[Piece]):
        self._pieces = pieces
        self._taken: list[tuple[Piece, Any]] = []
        self.knows_torch = False

    def take(self) -> None:
        """Remember the present state as the one to go back to."""
        self._taken = [(piece, _read(piece)) for piece in self._pieces]
        self.knows_torch = False
        if "torch" in sys.modules:
            self.take_torch()

    def absorb(self, work: Callable[[], object]) -> None:
        """Do work of symact's own in the middle of an evaluation; what it changes belongs to the state taken."""
        before = [_read(piece) for piece, _ in self._taken]
        generators = [(piece, piece.read()) for piece in GENERATORS]
        work()
        for index, (piece, _) in enumerate(self._taken):
            now = _read(piece)
            if not _is_same(piece, before[index], now):
                self._taken[index] = (piece, now)
        for piece, value in generators:
            piece.write(value)
        if "torch" in sys.modules and not self.knows_torch:
            self.take_torch()

    def take_torch(self) -> None:
        """Remember PyTorch's part, once it has been imported."""
        from symact.execute import torch_state

        self.knows_torch = True
        self._taken += [(piece, _read(piece)) for piece in torch_state.PIECES]

    def restore(self) -> list[str]:
        """Put back what has changed; the names of what could not be."""
        lost = []
        for piece, before in self._taken:
            now = _read(piece)
            if _is_same(piece, before, now):
                continue
            with contextlib.suppress(Exception):
                piece.write(before)
            if not _is_same(piece, before, _read(piece)):
                lost.append(piece.name)
        if "torch" in sys.modules and not self.knows_torch:
            lost.append("PyTorch, which was imported meanwhile")
        return lost


class _Unreadable:
    """What is read where reading fails."""


def _read(piece: Piece) -> Any:
    try:
        return piece.read()
    except Exception:
        return _Unreadable


def _is_same(piece: Piece, before: Any, after: Any) -> bool:
    try:
        return before is after is _Unreadable or piece.same(before, after)
    except Exception:
        return False


def seed(number: int) -> None:
    """Seed the generators that a task may use without seeding them."""
    random.seed(number)
    np.random.seed(number % 2**32)
    seed_torch(number)


def seed_torch(number: int) -> None:
    """Seed PyTorch's generators, where it has been imported."""
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(number)


def _read_umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _write_environment(saved: dict[str, str]) -> None:
    for name in set(os.environ) - set(saved):
        del os.environ[name]
    for name, value in saved.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _read_handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _write_handlers(saved: dict[int, Any]) -> None:
    for number, handler in saved.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


_Timers = dict[int, tuple[float, float, float]]  # seconds left, seconds between, and when this was read


def _timers() -> _Timers:
    timers = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    return {timer: (*signal.getitimer(timer), time.monotonic()) for timer in timers}


def _write_timers(saved: _Timers) -> None:
    for timer, (left, every, when) in saved.items():
        signal.setitimer(timer, max(left - (time.monotonic() - when), 0.001) if left else 0.0, every)


def _same_timers(before: _Timers, after: _Timers) -> bool:
    """A timer that runs comes nearer to its end, by no more than the time that has passed."""
    for timer, (left, every, when) in before.items():
        now_left, now_every, now = after[timer]
        soonest = left - (now - when) - 0.1
        if now_every != every or bool(now_left) != bool(left) or not soonest <= now_left <= left:
            return False
    return True


def _write_warnings(saved: tuple[list[Any], Any]) -> None:
    warnings.filters[:] = saved[0]  # type: ignore[index]
    warnings.showwarning = saved[1]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _read_logging() -> tuple[int, int, list[Any]]:
    return logging.root.level, logging.root.manager.disable, list(logging.root.handlers)


def _write_logging(saved: tuple[int, int, list[Any]]) -> None:
    logging.root.setLevel(saved[0])
    logging.disable(saved[1])
    logging.root.handlers[:] = saved[2]


def _write_gc(saved: tuple[bool, tuple[int, int, int]]) -> None:
    (gc.enable if saved[0] else gc.disable)()
    gc.set_threshold(*saved[1])


def _limits() -> dict[int, tuple[int, int]]:
    numbers = {getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
    return {number: resource.getrlimit(number) for number in numbers}


def _write_limits(saved: dict[int, tuple[int, int]]) -> None:
    for number, limit in saved.items():
        if resource.getrlimit(number) != limit:
            resource.setrlimit(number, limit)


def _identity() -> tuple[Any, ...]:
    root = os.stat("/")
    return os.getresuid(), os.getresgid(), os.getgroups(), root.st_dev, root.st_ino


def _write_streams(saved: tuple[Any, Any, Any]) -> None:
    sys.stdin, sys.stdout, sys.stderr = saved
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is not None and stream.closed:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _same_streams(before: tuple[Any, ...], after: tuple[Any, ...]) -> bool:
    """Whether each is what it was; one that was closed has been opened again as another object."""
    for old, new in zip(before, after, strict=True):
        if getattr(new, "closed", False) or not (new is old or (getattr(old, "closed", False) and new is not None)):
            return False
    return True


def _write_hooks(saved: tuple[Any, ...]) -> None:
    sys.excepthook, sys.unraisablehook, sys.displayhook, sys.breakpointhook, threading.excepthook = saved


def _write_import_path(saved: tuple[list[Any], ...]) -> None:
    sys.path[:], sys.meta_path[:], sys.path_hooks[:] = saved


def _read_decimal() -> str:
    import decimal

    return repr((decimal.getcontext().prec, decimal.getcontext().rounding, decimal.DefaultContext.prec))


def _write_decimal(saved: str) -> None:
    import decimal

    precision, rounding, default = ast.literal_eval(saved)
    decimal.getcontext().prec, decimal.getcontext().rounding, decimal.DefaultContext.prec = precision, rounding, default


def _write_numpy(saved: tuple[dict[str, Any], Any, dict[str, Any]]) -> None:
    np.seterr(**saved[0])
    np.seterrcall(saved[1])
    np.set_printoptions(**saved[2])


def _threads() -> frozenset[int | None]:
    living = (thread for thread in threading.enumerate() if type(thread).__name__ not in HARMLESS_THREADS)
    return frozenset(thread.ident for thread in living)


def _wait_for_threads(saved: frozenset[int]) -> None:
    deadline = time.monotonic() + THREAD_SECONDS
    for thread in threading.enumerate():
        if thread.ident not in saved and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))


def _vars_of(module: str) -> Piece:
    """What a module's names stand for: functions that a task has replaced come back. New names stay."""

    def read() -> dict[str, Any]:
        return dict(vars(sys.modules[module]))

    def write(saved: dict[str, Any]) -> None:
        now = vars(sys.modules[module])
        for name, value in saved.items():
            if now.get(name, read) is not value:
                setattr(sys.modules[module], name, value)

    return Piece(f"names of {module}", read, write, same_names)


_COPIES: dict[int, int] = {}  # of standard descriptors


def _standard_descriptors() -> list[tuple[int, int] | None]:
    """What standard input, output and error are; copies that are out of the way are made at the first call."""
    found: list[tuple[int, int] | None] = []
    for number in range(3):
        try:
            status = os.fstat(number)
            if number not in _COPIES:
                _COPIES[number] = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 100)
            found.append((status.st_dev, status.st_ino))
        except OSError:
            found.append(None)
    return found


def _write_standard_descriptors(saved: list[tuple[int, int] | None]) -> None:
    for number in range(3):
        if _standard_descriptors()[number] != saved[number]:
            os.dup2(_COPIES[number], number)


def few_descriptors() -> bool:
    """Whether the open descriptors of this process leave room enough for the next evaluation."""
    try:
        return len(os.listdir("/proc/self/fd")) < FEW_DESCRIPTORS * resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except OSError:
        return True


def _close_what_is_forgotten(_: bool) -> None:
    gc.collect()


def _same_state(before: Any, after: Any) -> bool:
    """Whether two states of a generator of NumPy are the same number by number.

    Of their texts most would be missed where `np.set_printoptions` shortens them, and a text takes 10 ms.
    """
    if isinstance(before, dict):
        alike = isinstance(after, dict) and before.keys() == after.keys()
        return alike and all(_same_state(value, after[key]) for key, value in before.items())
    if isinstance(before, tuple):
        return isinstance(after, tuple) and len(before) == len(after) and all(map(_same_state, before, after))
    return bool(np.array_equal(before, after))


# Random numbers of a user's process go on afterwards as if nothing had been.
GENERATORS = (
    Piece("random numbers", random.getstate, random.setstate),
    Piece(
        "random numbers of NumPy",
        np.random.get_state,
        np.random.set_state,
        _same_state,
    ),
)

PIECES = (
    *GENERATORS,
    Piece("the working directory", os.getcwd, os.chdir),
    Piece("the file mode mask", _read_umask, os.umask),
    Piece("the environment", lambda: dict(os.environ), _write_environment),
    Piece("signal handlers", _read_handlers, _write_handlers),
    Piece(
        "blocked signals",
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda saved: signal.pthread_sigmask(signal.SIG_SETMASK, saved),
    ),
    Piece("timers", _timers, _write_timers, _same_timers),
    Piece("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Piece("the switch interval", sys.getswitchinterval, sys.setswitchinterval),
    Piece("the trace function", sys.gettrace, sys.settrace),
    Piece("the profile function", sys.getprofile, sys.setprofile),
    Piece("limits of the process", _limits, _write_limits),
    Piece(
        "the priority",
        lambda: os.getpriority(os.PRIO_PROCESS, 0),
        lambda saved: os.setpriority(os.PRIO_PROCESS, 0, saved),
    ),
    Piece(
        "the processors in use",
        lambda: os.sched_getaffinity(0),
        lambda saved: os.sched_setaffinity(0, saved),
    ),
    Piece("user, groups and root folder", _identity, lambda saved: None),
    Piece("standard streams", lambda: (sys.stdin, sys.stdout, sys.stderr), _write_streams, _same_streams),
    Piece("the import path", lambda: (list(sys.path), list(sys.meta_path), list(sys.path_hooks)), _write_import_path),
    Piece(
        "hooks of the interpreter",
        lambda: (sys.excepthook, sys.unraisablehook, sys.displayhook, sys.breakpointhook, threading.excepthook),
        _write_hooks,
    ),
    Piece("filters of warnings", lambda: (list(warnings.filters), warnings.showwarning), _write_warnings),
    Piece("logging", _read_logging, _write_logging),
    Piece("the collector", lambda: (gc.isenabled(), gc.get_threshold()), _write_gc),
    Piece("the locale", lambda: locale.setlocale(locale.LC_ALL), lambda saved: locale.setlocale(locale.LC_ALL, saved)),
    Piece("decimal arithmetic", _read_decimal, _write_decimal),
    Piece("settings of NumPy", lambda: (np.geterr(), np.geterrcall(), np.get_printoptions()), _write_numpy),
    *(_vars_of(name) for name in ("builtins", "math", "random", "os", "time", "numpy", "numpy.random")),
)

# What only a process that is symact's own can promise.
WORKER_PIECES = (
    *PIECES,
    Piece("standard descriptors", _standard_descriptors, _write_standard_descriptors),
    Piece("threads", _threads, _wait_for_threads, lambda before, after: after <= before),
    Piece("the fault handler", faulthandler.is_enabled, lambda saved: faulthandler.enable()),
    Piece("open descriptors", few_descriptors, _close_what_is_forgotten, lambda before, after: after or not before),
)
