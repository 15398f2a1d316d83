"""Ctrl-C at the right moment: what has been finished is recorded before it ends anything."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold SIGINT back until the block is done; for blocks of milliseconds, such as recording a result.

    Only the main thread gets signals, and only a handler of Python's can be held back; elsewhere this
    does nothing.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    held: list[tuple[Any, ...]] = []
    signal.signal(signal.SIGINT, lambda *arguments: held.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if held:
            usual(*held[0])


@contextlib.contextmanager
def noticed() -> Iterator[list[int]]:
    """Note the SIGINTs that arrive in the block, which are handled as usual; gives the list that they go into.

    So a `KeyboardInterrupt` that somebody caused can be told from one that a task raised.
    """
    arrived: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield arrived
        return

    def note(number: int, frame: Any) -> None:
        arrived.append(number)
        usual(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield arrived
    finally:
        signal.signal(signal.SIGINT, usual)
