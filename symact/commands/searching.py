"""`symact search` and `symact resume`: run a study and show how it goes."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from symact.commands.studies import show_top
from symact.expr.tree import candidate_text
from symact.report import console
from symact.report.pictures import shortened

SHOWN = 10


def start(
    optimizer: str,
    grammar: str,
    space: str | None,
    task: str,
    evaluations: int,
    run: Path | None,
    options: Mapping[str, Any],
    as_json: bool,
) -> None:
    """Begin a study, run it to its end, and print the leaderboard.

    Args:
        optimizer: a name in `OPTIMIZERS`.
        grammar: a grammar file, or the name of a shipped one.
        space: of the grammar, or None for its first.
        task: a task's name, or `FILE.py:Class`.
        evaluations: distinct functions to evaluate.
        run: the run folder; None makes one under `out/`.
        options: the other arguments of `Study`.
        as_json: print the leaderboard as JSON.

    Raises:
        InputError: an argument is wrong, or `run` holds a study.
    """
    from symact.expr.grammar import load_grammar
    from symact.study import Study

    chosen = load_grammar(grammar).space(space)
    folder = run if run is not None else _fresh(optimizer, task)
    study = Study(chosen, task, optimizer, run=folder, **options)
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

    study = Study.resume(run, task=task, **where)
    goal, done = evaluations or study.store.goal(), study.evaluations
    if done >= goal:
        console.note(f"{run}: {done} functions are evaluated already; --evaluations is the new total")
    _finish(study, goal, run, as_json)


def _finish(study: Any, evaluations: int, folder: Path, as_json: bool) -> None:
    try:
        with study, _watched() as report:
            study.run(evaluations, report)
    except KeyboardInterrupt:
        console.note(f"stopped; everything finished is kept. Go on with: symact resume {folder}")
        raise
    if study.exhausted:
        console.note(
            f"the space is used up: {study.evaluations} of {evaluations} functions were evaluated, and it has no other"
        )
    show_top(folder, SHOWN, as_json)
    if not as_json:
        console.say(f"all of it: symact top {folder} -n 0; a page: symact report {folder}; take the best home: ")
        console.say(f"  symact export {folder} --output best.py")


def _fresh(optimizer: str, task: str) -> Path:
    when = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(task.partition(":")[0]).stem)
    return Path("out") / f"{optimizer}-{name}-{when}"


@contextmanager
def _watched() -> Iterator[Callable[[Any], None]]:
    """A progress bar that follows the reports of a study."""
    with console.bar("search") as update:

        def report(progress: Any) -> None:
            best = progress.best
            note = "" if best is None else f"best {best.score:.4f} {shortened(candidate_text(best.candidate), 40)}"
            failed = sum(count for status, count in progress.counts.items() if status != "finished")
            note += f"  {failed} failed" if failed else ""
            note += f"  about {progress.remaining:.0f} s left" if progress.remaining else ""
            update(progress.evaluations, progress.total, f"{progress.phase}: {note}")

        yield report
