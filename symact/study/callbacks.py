"""Callbacks of a running study: loggers such as those of `symact.integrations`, or any callable.

A callback is told how the study stands; it cannot change it. One that fails is told once and then left out: a
search of a night does not end because a server of plots is down.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from symact.study.progress import Listener, Progress

Callback: TypeAlias = "Callable[[Any, Progress], object]"


@contextlib.contextmanager
def listening(study: Any, callbacks: Sequence[Callback], progress: Listener | None) -> Iterator[Listener | None]:
    """What a run reports to: `progress`, then each callback with the study; at the end their `close()` is called."""
    left = list(callbacks)

    def report(now: Progress) -> None:
        if progress is not None:
            progress(now)
        for callback in tuple(left):
            try:
                callback(study, now)
            except Exception as error:
                left.remove(callback)
                _warn(callback, error)

    try:
        yield report if left or progress is not None else None
    finally:
        for callback in callbacks:
            close = getattr(callback, "close", None)
            try:
                if callable(close):
                    close()
            except Exception as error:
                _warn(callback, error)


def _warn(callback: Callback, error: Exception) -> None:
    name = getattr(callback, "__name__", type(callback).__name__)
    warnings.warn(f"the callback {name} is left out from now on: {type(error).__name__}: {error}", stacklevel=3)
