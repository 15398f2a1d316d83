"""What loggers are told of a running study, the same for all of them."""

from __future__ import annotations

import importlib
from typing import Any

from symact.errors import InputError
from symact.report.frames import csv_text
from symact.study.progress import Progress


def imported(module: str, package: str) -> Any:
    """A module of another tool.

    Raises:
        InputError: it is not installed; the message names the package.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"{module.partition('.')[0]} is not installed or cannot be imported ({error}): pip install {package}"
        ) from None


def parameters(study: Any) -> dict[str, str | int | float]:
    """What a study was set up with."""
    settings = study.settings
    found: dict[str, str | int | float] = {
        "task": settings.task.name,
        "metric": settings.metric.heading,
        "direction": settings.metric.direction.value,
        "optimizer": settings.optimizer,
        "space": f"{study.space.grammar.name}/{settings.space}",
        "seed": settings.seed,
        "repeats": settings.repeats,
    }
    return found | {f"optimizer.{name}": str(value) for name, value in settings.optimizer_settings.items()}


def scalars(progress: Progress) -> dict[str, float]:
    """The numbers of one report: the score of the trial that has just finished, the best so far, failures, pace."""
    failed = sum(count for status, count in progress.counts.items() if status != "finished")
    trial, best = progress.trial, progress.best
    found = {
        "score": None if trial is None or trial.budget < 1 else trial.score,
        "best": None if best is None else best.score,
        "failed": float(failed),
        "per_minute": progress.per_minute,
        "seconds": None if trial is None else trial.seconds,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def leaderboard_csv(study: Any) -> str:
    """The leaderboard as CSV."""
    return csv_text([row.flat() for row in study.leaderboard()])
