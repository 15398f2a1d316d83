"""`symact search --tune`, and `resume` and `top` of what it began: does a lead survive tuning?"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symact.commands.watching import fresh_folder
from symact.errors import InputError, counted
from symact.report import console
from symact.store import TaskSettings


def start(
    optimizer: str,
    grammar: str,
    space: str | None,
    affine: bool,
    task: str,
    run: Path | None,
    ranges: Sequence[str],
    options: Mapping[str, Any],
    where: Mapping[str, Any],
    as_json: bool,
    quiet: bool,
) -> None:
    """Begin a tuned search, run it to its end, and print its table and verdict.

    Args:
        optimizer: a name in `OPTIMIZERS`.
        grammar: a grammar file, or the name of a shipped one.
        space: of the grammar, or None for its first.
        affine: functions of the form a*x + b are kept.
        task: a task's name, or `FILE.py:Class`.
        run: the run folder; None makes one under `out/`.
        ranges: what is tuned.
        options: the other arguments of `symact.integrations.tuning.begin`.
        where: the arguments of `ExecutorSettings`.
        as_json: print the result as JSON.
        quiet: tell nothing before the result.

    Raises:
        InputError: an argument is wrong.
        SymactError: no function finished.
    """
    from symact.execute.executor import ExecutorSettings
    from symact.integrations.tuning import begin
    from symact.program.loading import load_grammar

    chosen = load_grammar(grammar).space(space).keeping_affine(affine)
    folder = run if run is not None else fresh_folder(f"tune-{optimizer}", task)
    tuning = begin(chosen, task, optimizer, folder, ranges, where=ExecutorSettings(**where), **options)
    if not as_json and not quiet:
        evaluations = tuning.plan["evaluations"]
        called = TaskSettings(**tuning.plan["task"]).shown
        console.say(
            f"{optimizer} on {called}, {', '.join(tuning.plan['ranges'])}: at most {counted(evaluations, 'training')}, "
            f"then {counted(tuning.plan['fresh'], 'seed')} -> {folder}"
        )
    _finish(tuning, folder, as_json, quiet)


def go_on(run: Path, task: str | None, where: Mapping[str, Any], data: Path | None, as_json: bool, quiet: bool) -> None:
    """Go on with a tuned search to its end, and print its table; one that has ended is only shown."""
    from symact.execute.executor import ExecutorSettings
    from symact.integrations.tuning import reopen

    _finish(reopen(run, task, ExecutorSettings(**where), data), run, as_json, quiet)


def show(run: Path, as_json: bool) -> None:
    """Print the result of a tuned search that has ended, or how far it is."""
    from symact.integrations.tune_log import TuneLog

    log = TuneLog(run, writing=False)
    if "result" not in log.kept:
        name = shlex.quote(str(run))
        raise InputError(f"{run}: {counted(len(log.kept), 'training')} done, the rest is not: symact resume {name}")
    _print(log.kept["result"]["document"], run, as_json)


def _finish(tuning: Any, run: Path, as_json: bool, quiet: bool) -> None:
    try:
        if quiet:
            document = tuning.run().document()
        else:
            with console.bar("tuned search") as update:
                document = tuning.run(lambda done, total, stage: update(min(done, total), total, stage)).document()
    except KeyboardInterrupt:
        console.note(f"stopped; everything finished is kept. Go on with: symact resume {shlex.quote(str(run))}")
        raise
    _print(document, run, as_json)


def _print(document: Mapping[str, Any], run: Path, as_json: bool) -> None:
    if as_json:
        console.document({"run": str(run), **document})
        return
    from symact.integrations.tune_result import HEADINGS

    functions, seeds = counted(len(document["functions"]), "function"), counted(document["fresh"], "fresh seed")
    called = document.get("title", document["task"])  # earlier versions kept one of them
    console.say(f"{functions} on {called}, {seeds}")
    console.listing([tuple(map(str, row)) for row in document["table"]], HEADINGS)
    for name, lead in document["leads"].items():
        if "low" in lead:
            gap = f"{lead['difference']:+.4f} [{lead['low']:+.4f}, {lead['high']:+.4f}], n = {lead['pairs']}"
            console.say(f"lead {name}: {lead['function']} against {lead['rival']}: {gap}")
    if "spent" in document:  # by earlier versions it was not kept
        console.say(document["spent"])
    console.say(document["verdict"])
