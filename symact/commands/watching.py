"""Running a study from the command line: how it goes, on a terminal or in lines, and what a stop leaves."""

from __future__ import annotations

import datetime
import itertools
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from symact.errors import lasting
from symact.expr.per_site import grouped_text
from symact.records import Metric, Status
from symact.report import console
from symact.report.running import training_text
from symact.store.running import Running

SECONDS_BETWEEN_LINES = 15.0
MOST_KINDS = 8  # of failures that are told while a search runs


def run_to_its_end(study: Any, goal: int, folder: Path, quiet: bool) -> None:
    """Run a study to a total of evaluations, telling on standard error how it goes unless `quiet`.

    Raises:
        KeyboardInterrupt: Ctrl-C, after a line that says how to go on.
    """
    try:
        if quiet:
            study.run(goal)
            return
        with watched(study.settings.metric) as report:
            study.run(goal, report)
    except KeyboardInterrupt:
        console.note(f"stopped; everything finished is kept. Go on with: symact resume {shlex.quote(str(folder))}")
        raise


def fresh_folder(what: str, task: str) -> Path:
    """A run folder under `out/` that is named for what is done, the task and the time."""
    when = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(task.partition(":")[0]).stem)[:60]
    folder = Path("out") / f"{what}-{name}-{when}"
    # A quick study can end within the second in which the next one begins.
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([folder], numbered) if not path.exists())


@contextmanager
def watched(metric: Metric) -> Iterator[Callable[[Any], None]]:
    """A progress bar that follows the reports of a study; the first failure of each kind is told above it."""
    told: set[tuple[str, str]] = set()
    spoke = time.monotonic()
    with console.bar("search") as update:

        def report(progress: Any) -> None:
            nonlocal spoke
            trial = progress.trial
            if trial is not None and trial.status not in (Status.finished, Status.pruned):
                kind = (trial.status.value, trial.reason.partition(":")[0])
                if kind not in told and len(told) < MOST_KINDS:
                    console.note(f"{grouped_text(trial.candidate)}: {trial.status.value}: {trial.reason}")
                told.add(kind)
            update(progress.evaluations, progress.total, standing(progress, metric))
            if not console.ERR.is_terminal and time.monotonic() - spoke > SECONDS_BETWEEN_LINES:
                spoke = time.monotonic()  # where no bar can be drawn, a line now and then
                console.note(f"{progress.evaluations} of {progress.total}: {standing(progress, metric)}")

        yield report


def running_text(running: Mapping[int, Running], metric: Metric) -> str:
    """How the trainings that report are going, the first of them by name."""
    if not running:
        return ""
    number, training = next(iter(running.items()))
    others = f" (+{len(running) - 1})" if len(running) > 1 else ""
    return f"#{number} at {training_text(training, metric)}{others}"


def standing(progress: Any, metric: Metric) -> str:
    """How a study stands, the most important first: what does not fit is cut off."""
    failures = [f"{count} {status}" for status, count in progress.counts.items() if status != "finished"]
    best, pace = progress.best, progress.per_minute
    parts = [
        progress.phase if progress.phase != "search" else "",
        f"{lasting(progress.remaining)} left" if progress.remaining else "",
        f"{pace:.0f}/min" if pace and pace >= 10 else f"{pace:.1f}/min" if pace else "",
        running_text(progress.running, metric),
        f"best {metric.text(best.score)} {grouped_text(best.candidate)}" if best is not None else "",
        ", ".join(failures),
    ]
    return ", ".join(part for part in parts if part)
