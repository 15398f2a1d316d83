"""`symact search` and `symact resume`: run a study and show how it goes."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symact.commands import comparing
from symact.commands.studies import show_rows
from symact.commands.watching import fresh_folder, run_to_its_end
from symact.errors import InputError, SymactError, counted
from symact.report import console
from symact.report.leaderboard import leaderboard, winner

SHOWN = 10


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
    quiet: bool = False,
    warm_start: str | None = None,
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
        quiet: tell nothing before the leaderboard.
        warm_start: the folder of a study whose functions and scores the surrogate begins with.

    Raises:
        InputError: an argument is wrong, or `run` holds a study.
        SymactError: the task does not work, or nothing finished.
    """
    from symact.optimize import OPTIMIZERS
    from symact.optimize.settings import check_option
    from symact.program.loading import load_grammar
    from symact.tasks import TASKS

    OPTIMIZERS.checked(optimizer)
    if ".py" not in task:
        TASKS.checked(task)
    space_to_search = load_grammar(grammar).space(space)  # what is misspelt need not wait for torch
    from symact.study import Study
    from symact.study.setup import check_goal

    check_goal(evaluations)
    if warm_start is not None:
        check_option("--warm-start", "warm_start", optimizer, OPTIMIZERS)
    for name in settings.keys() & inspect.signature(Study.__init__).parameters.keys():
        raise InputError(f"optimizer {optimizer!r} has no setting {name!r}; --set is for the optimizer alone")
    chosen = space_to_search.keeping_affine(affine)
    if warm_start is not None:
        from symact.study.warm_start import scored

        if "warm_start" in settings:
            raise InputError("--warm-start and --set warm_start: choose one of them")
        settings = {**settings, "warm_start": scored(warm_start, chosen.grammar)}
    folder = run if run is not None else fresh_folder(optimizer, task)
    with console.bar("trying the task once") as update:
        study = Study(chosen, task, optimizer, run=folder, **options, **settings)
        text = study.settings.metric.text
        study.prepare(lambda now: update(now.step or 0, now.end, f"{now.expression}: {text(now.score)}"))
    if not as_json and not quiet:
        console.say(
            f"{optimizer} on {study.settings.task.shown}: {counted(evaluations, 'function')} of "
            f"{chosen.grammar.name}/{chosen.name} -> {folder}"
        )
    _finish(study, evaluations, folder, as_json, quiet)


def go_on(
    run: Path, evaluations: int | None, task: str | None, where: Mapping[str, Any], as_json: bool, quiet: bool = False
) -> None:
    """Go on with a study; without a new total, to the total that it had.

    Raises:
        InputError: there is no study, it is in use, or its task must be named again.
    """
    from symact.study import Study
    from symact.study.setup import check_goal

    if evaluations is not None:
        check_goal(evaluations)
    study = Study.resume(run, task=task, **where)
    if study.settings.given:
        comparing.finish(study, run, as_json, quiet)
        return
    goal, done = evaluations or study.store.goal(), study.evaluations
    if done >= goal:
        console.note(f"{run}: {counted(done, 'function')} evaluated already; --evaluations is the new total")
    _finish(study, goal, run, as_json, quiet)


def _finish(study: Any, evaluations: int, folder: Path, as_json: bool, quiet: bool) -> None:
    name = shlex.quote(str(folder))
    with study:
        run_to_its_end(study, evaluations, folder, quiet)
        trials, confirmations = study.trials, study.confirmations
    if study.exhausted:
        console.note(
            f"the space is used up: {study.evaluations} of {counted(evaluations, 'function')} evaluated, "
            "and it has no other"
        )
    if trials and all(trial.origin == "baseline" for trial in trials):
        console.note(
            f"the baselines, with which a search begins, took all: {counted(len(trials), 'evaluation')}; give more"
        )
    rows = leaderboard(trials, confirmations)
    show_rows(rows, SHOWN, study.settings, folder, as_json)
    if winner(rows) is None:
        raise SymactError(f"no function finished; `symact top {name} -n 0` tells why each failed")
    if not as_json and not quiet:
        console.say(f"all of it: symact top {name} -n 0; a page: symact report {name}; take the best home: ")
        console.say(f"  symact export {name} --output best.py")
