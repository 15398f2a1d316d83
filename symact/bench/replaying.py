"""Replay any optimizer on a table: whole searches in seconds, every score read from the table.

A candidate meets its row by function identity and is printed in the row's own words; of several rows
of one function the first counts. A candidate that is not in the table is told `rejected` and not
counted. The search sees the mean over some of the table's seeds, other ones in every repeat and each
equally often; what it found is judged on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symact.bench.table import Table
from symact.errors import FormulaError, InputError
from symact.expr.tree import Expr, parse
from symact.optimize import OPTIMIZERS
from symact.optimize.settings import check_types
from symact.records import Outcome, Status, Trial
from symact.study.baselines import BASELINES

STARTS = ("baselines", "random")
MAXIMUM_REJECTED = 2_000  # in a row, after which a search that only leaves the table ends


@dataclass(frozen=True)
class Search:
    """One whole search on a table.

    Attributes:
        rows: the table's rows in order of evaluation, the start included.
        scores: what the search was told, NaN for a failure.
        unseen: the same rows on the seeds that it did not see, NaN for a failure; `scores` if it saw all.
        start: how many of them were the start.
        seen: the table's seeds that it saw.
        rejected: candidates that were not in the table.
    """

    rows: np.ndarray
    scores: np.ndarray
    unseen: np.ndarray
    start: int
    seen: tuple[int, ...]
    rejected: int


@dataclass(frozen=True)
class Replay:
    """Several searches of one optimizer on one table."""

    optimizer: str
    table: Table
    evaluations: int
    start: str
    searches: tuple[Search, ...]


def replay(
    optimizer: str | type,
    table: Table | str,
    evaluations: int = 100,
    repeats: int = 1,
    seed: int = 0,
    start: str = "baselines",
    *,
    batch: int = 1,
    seen: int | None = 1,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[int, Search], None] | None = None,
) -> Replay:
    """Run whole searches on a table.

    Args:
        optimizer: a name in `OPTIMIZERS`, or a class.
        table: a table or its file.
        evaluations: of one search, the start and failures included.
        repeats: searches; each has its own seed and sees its own part of the table's seeds.
        seed: of all of it.
        start: `baselines`, those that the table has; or `random`, as many functions drawn at random, the
            same ones for every optimizer.
        batch: candidates asked at once.
        seen: how many of the table's seeds a search sees; None for all. A table of one seed is seen whole.
        settings: of the optimizer.
        progress: called after every search with its number and itself.

    Raises:
        InputError: an unknown optimizer or start, one that cannot replay, or nothing to evaluate.
    """
    table = table if isinstance(table, Table) else Table.read(table)
    name, factory = _factory(optimizer)
    if start not in STARTS:
        raise InputError(f"start {start!r} is not one of {', '.join(STARTS)}")
    if evaluations < 1 or repeats < 1 or batch < 1:
        raise InputError("evaluations, repeats and batch are at least 1")
    if not len(table):
        raise InputError(f"{table.path or 'the table'}: it has no row")
    check_types(factory, name, settings or {})
    if (settings or {}).get("fisher", "labels") != "labels":
        raise InputError(f"{name}: fisher=true is for searches; a table has the features that it was built with")
    runner = _Runner(table, factory, name, evaluations, batch, dict(settings or {}))
    searches = []
    for repeat in range(repeats):
        generator = np.random.default_rng([0x7265706C, seed % 2**63, repeat])
        visible = table.seeds if seen is None or table.seeds == 1 else min(seen, table.seeds)
        shown = _shown(table.seeds, visible, seed, repeat)
        first = _start(table, start, generator)
        search = runner.run(first, shown, int(generator.integers(2**62)))
        searches.append(search)
        if progress:
            progress(repeat, search)
    return Replay(name, table, evaluations, start, tuple(searches))


def _shown(seeds: int, visible: int, seed: int, repeat: int) -> np.ndarray:
    """The seeds that a search sees: random ones, in such an order that all are seen equally often."""
    order = np.random.default_rng([0x7365656E, seed % 2**63, repeat // seeds]).permutation(seeds)
    return np.sort(np.roll(order, -(repeat % seeds))[:visible])


def _factory(optimizer: str | type) -> tuple[str, type]:
    if not isinstance(optimizer, str):
        return getattr(optimizer, "name", "") or optimizer.__name__, optimizer
    factory = OPTIMIZERS[optimizer]
    if factory.schedule != "joint":
        raise InputError(
            f"{optimizer} cannot replay: its candidates learn their weights in training, no table has them"
        )
    return optimizer, factory


def _start(table: Table, start: str, generator: np.random.Generator) -> list[int]:
    rows = baseline_rows(table)
    if start == "random":
        rows = generator.permutation(table.representatives)[: max(len(rows), 1) if rows else len(BASELINES)].tolist()
    return rows


def baseline_rows(table: Table) -> list[int]:
    """The rows of the baselines that the table has, in the order that studies use."""
    rows = []
    for text in BASELINES:
        try:
            row = table.row_of(parse(text, table.grammar))
        except FormulaError:
            continue
        if row is not None and row not in rows:
            rows.append(row)
    return rows


@dataclass
class _Runner:
    table: Table
    factory: type
    name: str
    evaluations: int
    batch: int
    settings: dict[str, Any]

    def run(self, first: list[int], shown: np.ndarray, seed: int) -> Search:
        table = self.table
        hidden = np.setdiff1d(np.arange(table.seeds), shown)
        try:
            optimizer = self.factory(table.space, seed, features=table.features, **self.settings)
        except (TypeError, ValueError) as error:
            raise InputError(f"optimizer {self.name!r}: {error}") from error
        rows = first[: self.evaluations]
        batch = -1
        optimizer.tell([self._trial(table.parsed[row], row, shown, n, batch) for n, row in enumerate(rows)])
        used, rejected, waiting = set(rows), 0, 0
        rows = list(rows)
        start = len(rows)
        while len(rows) < self.evaluations and waiting < MAXIMUM_REJECTED:
            batch += 1
            asked = optimizer.ask(min(self.batch, self.evaluations - len(rows)))
            if not asked:
                break
            trials = []
            for candidate in asked:
                row = table.row_of(candidate) if isinstance(candidate, Expr) else None
                trials.append(self._trial(candidate, row, shown, len(rows), batch, row in used))
                if row is None:
                    rejected, waiting = rejected + 1, waiting + 1
                elif row in used:
                    waiting += 1
                else:
                    used.add(row)
                    rows.append(row)
                    waiting = 0
            optimizer.tell(trials)
        at = np.array(rows, dtype=int)
        seen = _mean(table.scores[at][:, shown])
        unseen = _mean(table.scores[at][:, hidden]) if len(hidden) else seen
        return Search(at, seen, unseen, start, tuple(map(int, shown)), rejected)

    def _trial(
        self, candidate: Any, row: int | None, shown: np.ndarray, number: int, batch: int, cached: bool = False
    ) -> Trial:
        origin = "baseline" if batch < 0 else self.name
        if row is None:
            outcomes: tuple[Outcome, ...] = (Outcome.failed(Status.rejected, "it is not in the table"),)
        else:
            outcomes = tuple(self._outcome(row, seed) for seed in shown)
        return Trial(candidate, outcomes, origin, number, batch, cached=cached)

    def _outcome(self, row: int, seed: int) -> Outcome:
        score = self.table.scores[row, seed]
        if np.isfinite(score):
            return Outcome.finished(float(score))
        status = self.table.statuses[row][seed]
        return Outcome.failed(status if status != Status.finished else Status.nonfinite, "it failed in the table")


def _mean(scores: np.ndarray) -> np.ndarray:
    """Mean over the seeds, NaN where any of them failed; ``(rows,)``."""
    return np.asarray(scores.mean(axis=1))
