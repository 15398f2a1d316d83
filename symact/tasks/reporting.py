"""`report(step, score)` as a task gets it: from a study, or from a task of the user that wraps this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from symact.tasks.declaration import takes


class Report(Protocol):
    """What is told of a training while it goes on; it may end the training."""

    def __call__(self, step: int, score: float, of: int | None = None) -> object:
        """The score after a step, `of` so many."""


def with_end(report: Callable[..., Any] | None) -> Report | None:
    """A callable that is told the last step as well where it takes an argument `of`; None for None."""
    if report is None or takes(report, "of"):
        return report
    two = report
    return lambda step, score, of=None: two(step, score)
