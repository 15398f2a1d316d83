"""What is in training now, and the courses of finished trainings that it is seen beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, TypeAlias

from symact.records import Metric, Status, Trial
from symact.report.curves import MOST_EPOCHS, numbers, reported
from symact.store.running import Running

Document: TypeAlias = dict[str, Any]


def running_documents(running: Sequence[Running] | None) -> list[Document] | None:
    """The trainings for JSON; None where no search is running."""
    return None if running is None else [training.document() for training in running]


def training_text(training: Running, metric: Metric) -> str:
    """How far a training is, in a few words."""
    if training.step is None:
        return "no report yet"
    of = f" of {training.end}" if training.end is not None else ""
    return f"step {training.step}{of}: {metric.text(training.score)}"


def courses(trials: Iterable[Trial]) -> list[Document]:
    """How finished trainings went, for each budget: the median at each step, and the best function's mean.

    Of many steps some are left out. A training that was stopped early is none of them, as it is none of those that
    decide where others are stopped.
    """
    kept: dict[float, list[Trial]] = {}
    for trial in trials:
        if not trial.cached and any(_curve(outcome) for outcome in trial.outcomes):
            kept.setdefault(trial.budget, []).append(trial)
    found = []
    for budget, group in sorted(kept.items()):
        curves = [curve for trial in group for outcome in trial.outcomes if (curve := _curve(outcome))]
        ranked = [trial for trial in group if trial.merit is not None]
        best = max(ranked, key=lambda trial: trial.merit or 0.0, default=None)
        steps = sorted({step for curve in curves for step in curve})
        if len(steps) > MOST_EPOCHS:
            steps = [steps[i * (len(steps) - 1) // (MOST_EPOCHS - 1)] for i in range(MOST_EPOCHS)]
        own = [] if best is None else [curve for outcome in best.outcomes if (curve := _curve(outcome))]
        found.append(
            {
                "budget": budget,
                "trainings": len(curves),
                "step": steps,
                "median": _at(steps, curves),
                "best": _at(steps, own),
                "end": max(max(curve) for curve in curves),
            }
        )
    return found


def _curve(outcome: Any) -> Mapping[int, float]:
    if outcome.status is not Status.finished:
        return {}
    pairs = reported(outcome)
    return {step: float(score) for step, score in pairs if type(step) is int and isinstance(score, int | float)}


def _at(steps: Sequence[int], curves: Sequence[Mapping[int, float]]) -> list[float | None]:
    """The median at each step of those curves that have it."""
    known = [[curve[step] for curve in curves if step in curve] for step in steps]
    return numbers([median(values) if values else float("nan") for values in known], 6)
