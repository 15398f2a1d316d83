"""Build a table: train every distinct usable function of a space, and go on where it stopped.

Trainings run through `symact.execute`, as in a study. Every finished one is appended to a journal
beside the table (`TABLE.parquet.journal`, one JSON line each), first all functions with the first
seed, then with the second; so a stopped build loses at most what was in the air, and `partial` turns
any journal into a smaller table.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from symact import __version__, equivalence
from symact.bench.table import Table
from symact.errors import InputError, counted
from symact.execute import ExecutorSettings, start
from symact.execute.job import Job, Result, WorkerSettings, decode_arrays, unable
from symact.execute.task_loading import describe, load
from symact.expr.grammar import Grammar
from symact.expr.tree import Expr, to_document
from symact.program.loading import load_grammar
from symact.records import Direction, Outcome, Status
from symact.store import outcomes
from symact.tasks.declaration import metric_of

Progress = Callable[[int, int], Any]


def build(
    task: str,
    grammar: Grammar | str,
    space: str | None,
    output: str | os.PathLike[str],
    seeds: int = 1,
    *,
    workers: int = 0,
    data: str | None = None,
    timeout: float | None = None,
    affine: bool = False,
    limit: int | None = None,
    only: Sequence[Expr] | None = None,
    progress: Progress | None = None,
) -> Table:
    """Train every distinct function of a space that is defined everywhere, with `seeds` seeds each.

    In a table a higher score is better: those of a task that is to be minimized have the other sign in it.

    Args:
        task: a name, or FILE.py:Class.
        grammar: or its path or name.
        space: its name; None for the first.
        output: the Parquet file.
        seeds: trainings per function, with the seeds 0, 1, ...
        workers: processes; 0 for this one.
        data: root folder of the data sets.
        timeout: seconds per training.
        affine: functions of the form a*x + b have rows, too.
        limit: only the first so many functions.
        only: these members of the space instead of all, each a function of its own.
        progress: called with (done, all) trainings.

    Raises:
        InputError: a wrong argument, or the journal belongs to another table.
    """
    grammar = grammar if isinstance(grammar, Grammar) else load_grammar(grammar)
    chosen = grammar.space(space).keeping_affine(affine)
    settings, folder = describe(task)
    expressions = (equivalence.distinct(chosen) if only is None else list(only))[:limit]
    if not expressions or seeds < 1:
        raise InputError(f"space {chosen.name!r}: no usable function to train, or no seed to train it with")
    about: dict[str, Any] = {
        "task": settings.name,
        "task_sha256": settings.sha256,
        "grammar": grammar.text,
        "grammar_sha256": grammar.sha256,
        "space": chosen.name,
        "affine": chosen.affine,
        "expressions": [str(expression) for expression in expressions],
    }
    if data is not None:
        data = str(data)
    instance = load(settings, folder, data)
    if metric_of(instance).direction is Direction.minimize:
        about["direction"] = "minimize"
    journal = _Journal(Path(output), about)
    where = ExecutorSettings(workers=workers)
    workers_settings = WorkerSettings(grammar.text, _plain(settings), folder, data, timeout)
    executor = start(where, workers_settings, instance, grammar)
    jobs = _jobs(expressions, grammar, seeds, callable(getattr(instance, "features", None)), journal.done)
    total = len(expressions) * seeds
    try:
        _work(executor, jobs, journal, total, progress)
    finally:
        executor.close()
        journal.close()
    table = journal.table(about, seeds)
    table.write(output)
    journal.path.unlink()
    return table


def partial(output: str | os.PathLike[str]) -> Table:
    """The table of a build that is not finished: every seed that all functions have been trained with.

    Raises:
        InputError: there is no journal, or it does not hold one whole seed.
    """
    path = _journal_path(Path(output))
    if not path.exists():
        raise InputError(f"{path}: no journal of an unfinished build")
    lines = path.read_text(encoding="utf-8").splitlines()
    about = json.loads(lines[0])
    journal = _Journal(Path(output), about)
    journal.close()
    count = len(about["expressions"])
    seeds = 0
    while all(("evaluate", number, seeds) in journal.done for number in range(count)):
        seeds += 1
    if not seeds:
        raise InputError(
            f"{path}: not one seed is whole yet ({counted(len(journal.done), 'job')} of {counted(count, 'function')})"
        )
    return journal.table(about, seeds)


def _plain(settings: Any) -> dict[str, Any]:
    return settings.model_dump() if hasattr(settings, "model_dump") else asdict(settings)


def _jobs(expressions: list[Any], grammar: Grammar, seeds: int, features: bool, done: dict[Any, Any]) -> Iterator[Job]:
    documents = [to_document(expression, grammar) for expression in expressions]
    for seed in range(seeds):
        for number, document in enumerate(documents):
            if seed == 0 and features and ("features", number, 0) not in done:
                yield Job(number, 0, 0, document, kind="features")
            if ("evaluate", number, seed) not in done:
                yield Job(number, seed, seed, document)


def _work(executor: Any, jobs: Iterator[Job], journal: _Journal, total: int, progress: Progress | None) -> None:
    flying = 0
    trained = sum(key[0] == "evaluate" for key in journal.done)
    while True:
        while flying < 2 * max(1, executor.capacity) and (job := next(jobs, None)) is not None:
            executor.submit(job)
            flying += 1
        if not flying:
            return
        result = executor.next()
        if result is None:
            continue
        flying -= 1
        if unable(result.outcome):
            raise InputError(unable(result.outcome))
        journal.append(result)
        trained += result.job.kind == "evaluate"
        if progress:
            progress(trained, total)


def _journal_path(output: Path) -> Path:
    return output.with_name(output.name + ".journal")


class _Journal:
    """One JSON line per finished job, after a first line that says what is built.

    Attributes:
        done: (kind, number, repeat) -> outcome.
    """

    def __init__(self, output: Path, about: dict[str, Any]):
        self.path = _journal_path(output)
        self.done: dict[tuple[str, int, int], Outcome] = {}
        self.started = time.perf_counter()
        try:
            if self.path.exists():
                self._read(about)
            else:
                self.path.write_text(json.dumps(about) + "\n", encoding="utf-8")
            self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror or error}") from None

    def _read(self, about: dict[str, Any]) -> None:
        text = self.path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if len(whole) < len(text):
            # The build was killed in the middle of a line; what it said is done again.
            self.path.write_text(whole, encoding="utf-8")
        lines = whole.splitlines()
        if not lines or json.loads(lines[0]) != about:
            raise InputError(f"{self.path}: it belongs to another build (task, grammar, space or symact changed)")
        for line in lines[1:]:
            row = json.loads(line)
            self.done[row["kind"], row["number"], row["repeat"]] = outcomes.from_document(row["outcome"])

    def append(self, result: Result) -> None:
        job = result.job
        self.done[job.key] = result.outcome
        row = {"kind": job.kind, "number": job.number, "repeat": job.repeat, "seconds": result.seconds}
        self._file.write(json.dumps(row | {"outcome": outcomes.to_document(result.outcome)}) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def table(self, about: dict[str, Any], seeds: int) -> Table:
        count = len(about["expressions"])
        trained = [[self.done["evaluate", number, seed] for seed in range(seeds)] for number in range(count)]
        # A table is replayed by optimizers, for which higher is better.
        merit = Direction(about.get("direction", "maximize")).merit
        scores = np.array(
            [[np.nan if o.score is None else merit(o.score) for o in row] for row in trained], dtype=float
        )
        statuses = [[str(outcome.status.value) for outcome in row] for row in trained]
        names = sorted({name for row in trained for outcome in row for name in outcome.metrics})
        metrics = {name: [[outcome.metrics.get(name) for outcome in row] for row in trained] for name in names}
        fisher, finite, weights = self._features(count)
        provenance = {
            **{key: value for key, value in about.items() if key != "expressions"},
            "seeds": list(range(seeds)),
            "fisher_weights": weights,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "symact": __version__,
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {counted(os.cpu_count() or 1, 'core')}",
        }
        return Table(about["expressions"], scores, statuses, metrics, fisher, finite, provenance)

    def _features(self, count: int) -> tuple[np.ndarray | None, np.ndarray | None, list[float] | None]:
        found: list[dict[str, np.ndarray] | None] = []
        for number in range(count):
            outcome = self.done.get(("features", number, 0))
            worked = outcome is not None and outcome.status is Status.finished
            found.append(decode_arrays(outcome.metrics["features"]) if worked and outcome is not None else None)
        some = next((arrays for arrays in found if arrays is not None and "fisher" in arrays), None)
        if some is None:
            return None, None, None
        empty = np.full(some["fisher"].shape, np.nan)
        fisher = np.stack([empty if arrays is None else arrays["fisher"] for arrays in found])
        finite = np.array([arrays is not None and bool(arrays.get("finite", True)) for arrays in found])
        return fisher, finite & np.isfinite(fisher).all((1, 2)), some["fisher_weights"].tolist()
