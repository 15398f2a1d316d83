"""`symact search` and `symact resume`: run a study and show how it goes."""

from __future__ import annotations

import datetime
import inspect
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from symact.commands.studies import show_rows
from symact.errors import InputError, SymactError, lasting
from symact.expr.tree import candidate_text
from symact.records import Metric, Status
from symact.report import console
from symact.report.leaderboard import leaderboard, winner

SHOWN = 10
SECONDS_BETWEEN_LINES = 15.0
MOST_KINDS = 8  # of failures that are told while a search runs


def start(
    optimizer: str,
    grammar: str,
    space: str | None,
    affine: bool,
    task: str,
    evaluations: int,
    run: Path | None,
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
    as_json: bool,
) -> None:
    """Begin a study, run it to its end, and print the leaderboard.

    Args:
        optimizer: a name in `OPTIMIZERS`.
        grammar: a grammar file, or the name of a shipped one.
        space: of the grammar, or None for its first.
        affine: functions of the form a*x + b are kept.
        task: a task's name, or `FILE.py:Class`.
        evaluations: distinct functions to evaluate.
        run: the run folder; None makes one under `out/`.
        options: the other arguments of `Study`.
        settings: of the optimizer.
        as_json: print the leaderboard as JSON.

    Raises:
        InputError: an argument is wrong, or `run` holds a study.
        SymactError: the task does not work, or nothing finished.
    """
    from symact.program.loading import load_grammar
    from symact.study import Study
    from symact.study.setup import check_goal

    check_goal(evaluations)
    for name in settings.keys() & inspect.signature(Study.__init__).parameters.keys():
        raise InputError(f"optimizer {optimizer!r} has no setting {name!r}; --set is for the optimizer alone")
    chosen = load_grammar(grammar).space(space).keeping_affine(affine)
    folder = run if run is not None else _fresh(optimizer, task)
    with console.bar("trying the task once"):
        study = Study(chosen, task, optimizer, run=folder, preflight=True, **options, **settings)
    if not as_json:
        console.say(
            f"{optimizer} on {task}: {evaluations} functions of {chosen.grammar.name}/{chosen.name} -> {folder}"
        )
    _finish(study, evaluations, folder, as_json)


def go_on(run: Path, evaluations: int | None, task: str | None, where: Mapping[str, Any], as_json: bool) -> None:
    """Go on with a study; without a new total, to the total that it had.

    Raises:
        InputError: there is no study, it is in use, or its task must be named again.
    """
    from symact.study import Study
    from symact.study.setup import check_goal

    if evaluations is not None:
        check_goal(evaluations)
    study = Study.resume(run, task=task, **where)
    goal, done = evaluations or study.store.goal(), study.evaluations
    if done >= goal:
        console.note(f"{run}: {done} functions are evaluated already; --evaluations is the new total")
    _finish(study, goal, run, as_json)


def _finish(study: Any, evaluations: int, folder: Path, as_json: bool) -> None:
    name = shlex.quote(str(folder))
    try:
        with study:
            with _watched(study.settings.metric) as report:
                study.run(evaluations, report)
            trials, confirmations = study.trials, study.confirmations
    except KeyboardInterrupt:
        console.note(f"stopped; everything finished is kept. Go on with: symact resume {name}")
        raise
    if study.exhausted:
        console.note(
            f"the space is used up: {study.evaluations} of {evaluations} functions were evaluated, and it has no other"
        )
    rows = leaderboard(trials, confirmations)
    show_rows(rows, SHOWN, study.settings, folder, as_json)
    if winner(rows) is None:
        raise SymactError(f"no function finished; `symact top {name} -n 0` tells why each failed")
    if not as_json:
        console.say(f"all of it: symact top {name} -n 0; a page: symact report {name}; take the best home: ")
        console.say(f"  symact export {name} --output best.py")


def _fresh(optimizer: str, task: str) -> Path:
    when = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(task.partition(":")[0]).stem)[:60]
    return Path("out") / f"{optimizer}-{name}-{when}"


@contextmanager
def _watched(metric: Metric) -> Iterator[Callable[[Any], None]]:
    """A progress bar that follows the reports of a study; the first failure of each kind is told above it."""
    told: set[tuple[str, str]] = set()
    spoke = time.monotonic()
    with console.bar("search") as update:

        def report(progress: Any) -> None:
            nonlocal spoke
            trial = progress.trial
            if trial is not None and trial.status is not Status.finished:
                kind = (trial.status.value, trial.reason.partition(":")[0])
                if kind not in told and len(told) < MOST_KINDS:
                    console.note(f"{candidate_text(trial.candidate)}: {trial.status.value}: {trial.reason}")
                told.add(kind)
            update(progress.evaluations, progress.total, _note(progress, metric))
            if not console.ERR.is_terminal and time.monotonic() - spoke > SECONDS_BETWEEN_LINES:
                spoke = time.monotonic()  # where no bar can be drawn, a line now and then
                console.note(f"{progress.evaluations} of {progress.total}: {_note(progress, metric)}")

        yield report


def _note(progress: Any, metric: Metric) -> str:
    """How a study stands, the most important first: what does not fit is cut off."""
    failed = sum(count for status, count in progress.counts.items() if status != "finished")
    best = progress.best
    parts = [
        progress.phase if progress.phase != "search" else "",
        f"{lasting(progress.remaining)} left" if progress.remaining else "",
        f"{failed} failed" if failed else "",
        f"best {metric.text(best.score)} {candidate_text(best.candidate)}" if best is not None else "",
    ]
    return ", ".join(part for part in parts if part)
