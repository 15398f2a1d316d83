"""What a study has in training at this moment: a small file in its run folder, beside what has finished.

The one process that may write into the folder writes the file, whole or not at all, and `RunLock` removes it with the
right to write. So it is believed only where some process holds that right: what a `kill -9` left behind shows nothing.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from symact.errors import SymactError
from symact.files import write_file
from symact.store.lock import RUNNING, is_in_use
from symact.store.outcomes import dump, load

MOST_POINTS = 100  # of a curve; a longer one is thinned, first and last are kept
LARGEST = 4_000_000  # bytes of a file that is read
Curve: TypeAlias = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Running:
    """One training that has begun and not ended, as far as it has told.

    Attributes:
        expression: the candidate.
        stage: what it is trained for: `search`, `confirmation`; of a tuned search also `tune` and `fresh`.
        number: of the trial.
        repeat: which of its trainings, from 0.
        budget: fraction of a full training.
        settings: those that this training alone has, in words.
        began: seconds since 1970.
        heard: when it reported last; when it began, if it has not.
        end: the step at which it will end, where the task says so.
        curve: what it has reported, pairs of step and score.
        bars: pairs of step and score; one that is worse than this at the step is stopped there.
    """

    expression: str
    stage: str = "search"
    number: int = 0
    repeat: int = 0
    budget: float = 1.0
    settings: str = ""
    began: float = 0.0
    heard: float = 0.0
    end: int | None = None
    curve: Curve = field(default=(), repr=False)
    bars: Curve = field(default=(), repr=False)

    @property
    def step(self) -> int | None:
        """The last step that it has reported."""
        return self.curve[-1][0] if self.curve else None

    @property
    def score(self) -> float | None:
        """The last score that it has reported."""
        return self.curve[-1][1] if self.curve else None

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return vars(self) | {"curve": _thinned(self.curve), "bars": _thinned(self.bars)}


def write_running(run: Path, trainings: Sequence[Running]) -> None:
    """Say what is in training; where that cannot be written, nobody reads it, and the study goes on."""
    text = dump({"trainings": [training.document() for training in trainings]})
    with contextlib.suppress(OSError, SymactError):
        write_file(run / RUNNING, lambda file: file.write_text(text, encoding="utf-8"), by_name=False)


def read_running(run: Path | str) -> list[Running] | None:
    """What is in training in a run folder; None where no process writes into it.

    A file that says something else is not believed.
    """
    if not is_in_use(Path(run)):
        return None
    path = Path(run) / RUNNING
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) <= LARGEST:
            return [_training(row) for row in load(text.decode())["trainings"]]
    return []


def _training(row: dict[str, Any]) -> Running:
    end = row["end"]
    return Running(
        str(row["expression"]),
        str(row["stage"]),
        int(row["number"]),
        int(row["repeat"]),
        _finite(row["budget"]),
        str(row["settings"]),
        _finite(row["began"]),
        _finite(row["heard"]),
        None if end is None else int(end),
        tuple((int(step), _finite(score)) for step, score in row["curve"]),
        tuple((int(step), _finite(score)) for step, score in row["bars"]),
    )


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _thinned(curve: Curve) -> list[list[float]]:
    count = len(curve)
    kept = range(count) if count <= MOST_POINTS else [i * (count - 1) // (MOST_POINTS - 1) for i in range(MOST_POINTS)]
    return [[curve[i][0], float(f"{curve[i][1]:.7g}")] for i in kept]
