"""Studies -> the one JSON document that the page draws: every text in it is data, none of it markup.

Every row has all that the page shows when it is opened: curve and slope with the constants that were learned, LaTeX,
training curves per seed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from statistics import median
from typing import Any, TypeAlias

import numpy as np

from symact import __version__
from symact.errors import SymactError, counted
from symact.expr.display import latex
from symact.expr.mathml import mathml
from symact.expr.tree import Expr, is_mixture, sites
from symact.optimize.evolution import cost
from symact.program.collection import no_collection
from symact.records import Metric, Status, Trial
from symact.report import curves
from symact.report.function_map import places
from symact.report.leaderboard import Difference, Row, is_relu, leaderboard, winner
from symact.report.learned import panels
from symact.report.paired import SIGNIFICANCE
from symact.report.running import courses, running_documents
from symact.report.snippet import snippet
from symact.report.view import StudyView

Document: TypeAlias = dict[str, Any]
Locate: TypeAlias = Callable[[Sequence[Expr], int], np.ndarray]
Told: TypeAlias = Callable[[int, int, str], None]

ONLY_KNOWN = "Only known functions have been trained so far."
MOST_SITES = 12  # formulas of a candidate with one function per site


def document(
    views: Sequence[StudyView], maps: Sequence[Locate] | None = None, told: Told = lambda done, total, note: None
) -> Document:
    """Everything that a page about these studies shows.

    Args:
        views: the studies.
        maps: what finds the places of each study's functions; None for a new map of each.
        told: is called with how many trials are done, of how many, and what is being made.
    """
    total, before = sum(len(view.trials) for view in views), 0
    studies = []
    with no_collection():
        for view, locate in zip(views, maps or [places] * len(views), strict=True):
            studies.append(study(view, locate, partial(_told, told, before, total)))
            before += len(view.trials)
    return {
        "version": __version__,
        "grid": {
            "low": curves.LOW,
            "high": curves.HIGH,
            "largest": curves.LARGEST,
            "steps": curves.STEPS,
        },
        "studies": studies,
        "race": _race(views) if len(views) > 1 else [],
    }


def _told(told: Told, before: int, total: int, done: int, note: str) -> None:
    told(before + done, total, note)


def study(
    view: StudyView, locate: Locate = places, told: Callable[[int, str], None] = lambda done, note: None
) -> Document:
    """What is shown of one study."""
    told(0, "the map of functions")
    rows = leaderboard(view.trials, view.confirmations)
    best = winner(rows)
    relu = next((row for row in rows if is_relu(row.trial) and row.trial.status is Status.finished), None)
    where = locate([curves.first_site(row.trial.candidate) for row in rows], view.seed)
    listed = []
    for place, row in enumerate(rows):
        told(place, "formulas and curves")
        line = {**_rounded(row.document()), "rank": place + 1, "seconds": _seconds(row.trial)}
        line["at"] = [round(float(c), 4) for c in where[place]] if where[place][0] == where[place][0] else None
        line["parents"] = list(view.notes.get(row.trial.number, {}).get("parents", ()))
        line["how"] = str(view.notes.get(row.trial.number, {}).get("operation", ""))
        line["settings"] = str(view.notes.get(row.trial.number, {}).get("settings", ""))
        listed.append(line | _details(row, view))
    return {
        "label": view.label,
        "optimizer": view.optimizer,
        "task": view.task,
        "metric": _metric(view.metric),
        "counts": dict(Counter(row.trial.status.value for row in rows)),
        "evaluated": len(rows),
        "goal": view.goal,
        "best": best and _best(best, relu, rows),
        "rows": listed,
        "panels": [asdict(panel) for panel in panels(view, None if best is None else best.trial)],
        "facts": [list(pair) for pair in view.facts],
        "running": running_documents(view.running),
        "made": None if view.running is None else time.time(),
        "courses": courses([*view.trials, *view.confirmations]),
    }


def _metric(metric: Metric) -> Document:
    return asdict(metric) | {"heading": metric.heading}


def _details(row: Row, view: StudyView) -> Document:
    """What a row shows when it is opened; what there is not is left out."""
    candidate, confirmed = row.trial.candidate, row.confirmation
    constants = curves.learned(row.trial) if row.trial.status is Status.finished else {}
    small = curves.small_curves(curves.first_site(candidate), constants)
    kept: Document = {
        "curve": small.curve,
        "slope": small.slope,
        "jumps": [list(jump) for jump in small.jumps],
        "latex": "" if is_mixture(candidate) else "\n".join(map(_latex, sites(candidate)[:MOST_SITES])),
        "gate": len(curves.first_site(candidate).inputs) > 1,
        "code": snippet(candidate, view.grammar),
        "training": _training(row.trial),
        "freshTraining": _training(confirmed),
        "constants": [c for outcome in row.trial.outcomes[:1] if any(outcome.constants) for c in outcome.constants],
    }
    return {name: value for name, value in kept.items() if value}


def _training(trial: Trial | None) -> Document | None:
    """Training curves with their steps; the steps are left out where they are 1, 2, 3, ..."""
    if trial is None or not (training := curves.training_curves(trial).thinned()).curves:
        return None
    counted = training.steps == list(range(1, len(training.steps) + 1))
    return {"unit": training.unit, "steps": None if counted else training.steps, "curves": training.curves}


_latex = lru_cache(maxsize=1 << 15)(latex)


def _rounded(value: Any) -> Any:
    """All numbers with the seven digits that float32 has; `symact top --json` has them in full."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _seconds(trial: Trial) -> float | None:
    count = len(trial.outcomes)
    return float(f"{trial.seconds / count:.3g}") if count and trial.seconds > 0 else None


def _best(row: Row, relu: Row | None, rows: Sequence[Row]) -> Document:
    """The first screen."""
    candidate = row.trial.candidate
    expr = curves.first_site(candidate)
    baseline = next((r for r in rows if r.trial.origin == "baseline" and r.trial.status is Status.finished), None)
    found: Document = {
        "expression": row.shown,
        "mathml": None if is_mixture(expr) else mathml(expr),
        "sites": len(sites(candidate)),
        "functions": len(set(sites(candidate))),
        "confident": confidence(row) if any(other.trial.origin != "baseline" for other in rows) else ONLY_KNOWN,
        "reference": None if baseline is None else baseline.shown,
        "referenceScore": None if baseline is None else _score(baseline),
        "relu": None if relu is None else _score(relu),
        "isBaseline": row.trial.origin == "baseline",
    }
    try:
        x, y, slope = curves.lines(expr, curves.LOW, curves.HIGH, curves.learned(row.trial), curves.FINE)
        found |= {"x": curves.numbers(x), "y": curves.numbers(y), "slope": curves.numbers(slope)}
    except (SymactError, ArithmeticError, ValueError, TypeError, RuntimeError):
        found["x"] = []
    found["cost"] = _costs(row, relu, expr)
    return found


def _score(row: Row) -> float | None:
    return row.trial.score if row.fresh_score is None else row.fresh_score


def _costs(row: Row, relu: Row | None, expr: Expr) -> list[str]:
    """What the winner costs beside ReLU, in words."""
    words = []
    try:
        own = cost(expr)
        if relu is not None:
            least = max(cost(curves.first_site(relu.trial.candidate)), 1.0)
            words.append(f"Its value and gradient take {own / least:.1f} times the arithmetic of ReLU's.")
    except (SymactError, ValueError, KeyError):
        pass
    times = [_times(r) for r in (row, relu) if r is not None]
    if len(times) == 2 and all(times) and row is not relu:
        words.append(f"Training with it took {median(times[0]) / median(times[1]):.2f} times as long as with ReLU.")
    return words


def _times(row: Row) -> list[float]:
    found = []
    for trial in (row.trial, row.confirmation):
        for outcome in () if trial is None else trial.outcomes:
            seconds = outcome.metrics.get("train_seconds", outcome.metrics.get("seconds"))
            if isinstance(seconds, int | float) and seconds > 0:
                found.append(float(seconds))
    return found


def confidence(row: Row) -> str:
    """How sure the winner is, in one sentence."""
    if row.trial.origin == "baseline":
        return "No function that the search found was better than this known one."
    relu, best = row.versus_relu, row.versus_best_baseline
    fresh = row.confirmation is not None
    seeds = "seeds that the search never saw" if fresh else "seeds, those of the search, which flatter its winner"
    seeds = "common seeds" if row.trial.origin == "given" else seeds
    if relu is None and best is None:
        count = len(row.trial.scores)
        return f"Trained on {counted(count, 'seed')} only, so nothing can be said about luck."
    named = [
        (name, versus) for name, versus in (("ReLU", relu), ("the best known function", best)) if versus is not None
    ]
    groups: dict[str, list[str]] = {}
    for name, versus in named:
        groups.setdefault(_verdict(versus), []).append(name)
    said = ", and ".join(verdict.format(" and ".join(names)) for verdict, names in groups.items())
    return f"On {named[0][1].pairs} {seeds}, it {said}."


def _verdict(versus: Difference) -> str:
    tested = f"Holm's correction for {counted(versus.tests, 'difference')} tested"
    if versus.better or versus.worse:
        did = "beats" if versus.better else "is worse than"
        return f"{did} {{}} by more than chance explains (p below {SIGNIFICANCE} after {tested})"
    if versus.low <= 0 <= versus.high:
        return "cannot be told from {} (the interval contains zero)"
    return f"cannot be told from {{}} (p is {SIGNIFICANCE} or more after {tested})"


def best_so_far(trials: Sequence[Trial]) -> list[float | None]:
    """The best score after each full evaluation; None before the first that finished."""
    best: list[float | None] = []
    for trial in trials:
        if not trial.cached and trial.budget == 1.0:
            last = best[-1] if best else None
            known = [value for value in (last, trial.score) if value is not None]
            best.append(max(known, key=trial.direction.merit, default=None))
    return best


def _race(views: Sequence[StudyView]) -> list[Document]:
    """Best so far per optimizer and task: the median of its studies, with the lowest and the highest as a band."""
    groups: dict[tuple[str, str], list[list[float | None]]] = {}
    for view in views:
        groups.setdefault((view.optimizer or view.label, view.task), []).append(best_so_far(view.trials))
    metrics = {(view.optimizer or view.label, view.task): view.metric for view in views}
    made = []
    several = len({task for _, task in groups}) > 1
    for (optimizer, task), runs in groups.items():
        length = max(map(len, runs))
        columns = [[run[i] for run in runs if i < len(run) and run[i] is not None] for i in range(length)]
        known = [[v for v in column if v is not None] for column in columns]
        made.append(
            {
                "name": (f"{optimizer} on {task}" if several else optimizer)
                + (f" ({len(runs)} runs)" if len(runs) > 1 else ""),
                "task": task,
                "metric": _metric(metrics[optimizer, task]),
                "middle": [median(column) if column else None for column in known],
                "low": [min(column, default=None) for column in known],
                "high": [max(column, default=None) for column in known],
                "runs": len(runs),
            }
        )
    return made
