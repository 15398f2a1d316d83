"""A comparison -> one row per function: mean and spread over common seeds, and the paired difference to the reference.

In: the store of a comparison (a study whose candidates were given), also while it runs. Out: a `Comparison`. The
interval is that of the paired t test. The p values are corrected for as many tests as there are functions, by Holm's
method (Scandinavian Journal of Statistics 6, 1979), so that of all "better" and "worse" together one is wrong in
at most 5 % of comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from symact.equivalence.index.function_index import FunctionIndex
from symact.errors import counted
from symact.expr.tree import Candidate, Expr, candidate_text, from_document, sites
from symact.records import Direction, Metric, Status, Trial
from symact.report.frames import frame, table_html
from symact.report.leaderboard import MINIMUM_PAIRS, Difference, leaderboard, paired_difference
from symact.report.naming import known_name, shown
from symact.report.paired import SIGNIFICANCE, holm, paired_p
from symact.store import Store

NAMED = 8  # functions that share the first place, in the note below the table


@dataclass(frozen=True)
class ComparedFunction:
    """One row.

    Attributes:
        candidate: what was compared, as it was given.
        trial: its evaluation with the most seeds and budget so far, or None.
        place: from 1; equal means share one. None unless it finished in full.
        difference: paired, to the reference; None for the reference, and for fewer than three pairs.
        p: of the paired t test against the reference, Holm-corrected; None likewise.
        verdict: `better`, `worse` or `tie` against the reference; `reference`; `""` where nothing can be said.
        tied_with_best: the paired t tests against the first place, Holm-corrected, do not tell it apart.
        same_as: an earlier row that is the same function, whose evaluation counts for this one as well; or None.
        site: the one activation site that differs from the reference, from 1; None for all.
        cost: nanoseconds per element of value and gradient, where they were measured.
        relative_cost: the same in units of the reference.
    """

    candidate: Candidate
    trial: Trial | None
    place: int | None = None
    difference: Difference | None = None
    p: float | None = None
    verdict: str = ""
    tied_with_best: bool = False
    same_as: str | None = None
    site: int | None = None
    cost: float | None = None
    relative_cost: float | None = None

    @property
    def function(self) -> Candidate:
        """The function itself; for a comparison at one site the one of that site."""
        return self.candidate if self.site is None else sites(self.candidate)[self.site - 1]

    @property
    def expression(self) -> str:
        """The function in the words in which it was given."""
        return candidate_text(self.function)

    @property
    def shown(self) -> str:
        """The function without words that do nothing."""
        return shown(self.function)

    @property
    def name(self) -> str | None:
        """The name under which the function was published, or None."""
        return known_name(self.function) if isinstance(self.function, Expr) else None

    @property
    def status(self) -> str:
        """The status of its evaluation; `waiting` before there is one."""
        return "waiting" if self.trial is None else self.trial.status.value

    @property
    def scores(self) -> tuple[float, ...]:
        """Per seed."""
        return () if self.trial is None else self.trial.scores

    @property
    def mean(self) -> float | None:
        """Over the seeds; None unless all have finished."""
        return None if self.trial is None else self.trial.score

    @property
    def sd(self) -> float | None:
        """Standard deviation over the seeds (n - 1); None for one seed."""
        if self.mean is None or len(self.scores) < 2:
            return None
        return math.sqrt(math.fsum((s - self.mean) ** 2 for s in self.scores) / (len(self.scores) - 1))

    @property
    def seconds(self) -> float | None:
        """Wall time per training."""
        if self.trial is None or not self.trial.outcomes:
            return None
        return self.trial.seconds / len(self.trial.outcomes)

    def document(self) -> dict[str, Any]:
        """The row as JSON types."""
        found = self.difference
        return {
            "place": self.place,
            "expression": self.expression,
            "shown": self.shown,
            "name": self.name,
            "site": self.site,
            "status": self.status,
            "reason": "" if self.trial is None else self.trial.reason,
            "mean": self.mean,
            "sd": self.sd,
            "scores": list(self.scores),
            "difference": found and found.difference,
            "low": found and found.low,
            "high": found and found.high,
            "p": self.p,
            "verdict": self.verdict,
            "tied_with_best": self.tied_with_best,
            "same_as": self.same_as,
            "budget": None if self.trial is None else self.trial.budget,
            "seconds": self.seconds,
            "cost": self.cost,
            "relative_cost": self.relative_cost,
        }


@dataclass(frozen=True)
class Comparison:
    """Functions compared on one task; best first, then what stopped early, then what failed.

    Attributes:
        task: its name.
        title: what the task is called in headings, with the settings of its training that differ.
        metric: what the scores are.
        seeds: common to all functions.
        against: the reference.
        rows: one per function.
    """

    task: str
    title: str
    metric: Metric
    seeds: int
    against: str
    rows: tuple[ComparedFunction, ...]

    @classmethod
    def of(cls, store: Store) -> Comparison:
        """The comparison in a store, as far as it is."""
        settings = store.settings
        index, trials = FunctionIndex(store.grammar), store.trials()
        measured: dict[tuple[int, ...], Trial] = {}
        for found in leaderboard(trials):
            measured.setdefault(index.key(found.trial.candidate), found.trial)
        reference = next((trial.candidate for trial in trials if trial.origin == "baseline"), None)
        given = [from_document(dict(document), store.grammar) for document in settings.given]
        if reference is None or index.key(reference) not in {index.key(candidate) for candidate in given}:
            given = given if reference is None else [reference, *given]
        rows, first = [], dict[Any, str]()
        for candidate in given:
            key, site = index.key(candidate), _site(candidate, settings) if settings.each_site else None
            row = ComparedFunction(candidate, measured.get(key), site=site)
            rows.append(replace(row, same_as=first.get(key)))
            first.setdefault(key, row.expression if site is None else f"{row.expression} at site {site}")
        own = None if reference is None else measured.get(index.key(reference))
        full = (1.0, settings.repeats)
        told = _told([_against(row, own, settings.metric.direction, full) for row in rows], settings.metric, full)
        named = settings.task.name, settings.task.shown
        return cls(*named, settings.metric, settings.repeats, settings.baselines[0], tuple(told))

    def with_costs(self, nanoseconds: Sequence[float | None]) -> Comparison:
        """The same with the measured costs of the rows, in their order."""
        own = next((n for row, n in zip(self.rows, nanoseconds, strict=True) if row.verdict == "reference"), None)
        rows = [
            replace(row, cost=spent, relative_cost=spent / own if spent and own else None)
            for row, spent in zip(self.rows, nanoseconds, strict=True)
        ]
        return replace(self, rows=tuple(rows))

    @property
    def best(self) -> ComparedFunction | None:
        """The first place, or None where nothing has finished."""
        return next((row for row in self.rows if row.place == 1), None)

    @property
    def reference(self) -> ComparedFunction | None:
        """The row that the others are compared with."""
        return next((row for row in self.rows if row.verdict == "reference"), None)

    def document(self) -> dict[str, Any]:
        """The comparison as JSON types."""
        metric = asdict(self.metric)
        return {
            "task": self.task,
            "title": self.title,
            "metric": metric.pop("name"),
            **metric,
            "seeds": self.seeds,
            "against": self.against,
            "functions": [row.document() for row in self.rows],
        }

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, one row per function, with the keys of `document` as columns.

        Raises:
            InputError: pandas is not installed.
        """
        return frame([row.document() for row in self.rows])

    def _repr_html_(self) -> str:
        return table_html(
            [self.cells(row) for row in self.rows],
            f"{counted(len(self.rows), 'function')} on {self.title}",
            self.notes(),
        )

    def cells(self, row: ComparedFunction) -> dict[str, str]:
        """Heading -> text of a row."""
        metric, found = self.metric, row.difference
        heading = metric.heading if len(metric.heading) <= 16 else "mean"
        half = "" if found is None else f"±{metric.text((found.high - found.low) / 2)}"
        equal = row.place is not None and sum(other.place == row.place for other in self.rows) > 1
        return {
            "#": "" if row.place is None else f"{row.place}{'=' if equal else ''}",
            "function": row.shown,
            "name": row.name or "",
            "site": "" if row.site is None else str(row.site),
            heading: metric.text(row.mean),
            "sd": metric.text(row.sd),
            "difference": "" if found is None else metric.text(found.difference, signed=True) + half,
            "p": "" if row.p is None else "<0.001" if row.p < 0.001 else f"{row.p:.3f}",
            "verdict": "ref." if row.verdict == "reference" else self._state(row),
            "s": "" if row.seconds is None else f"{row.seconds:#.2g}" if row.seconds < 10 else f"{row.seconds:.0f}",
            "cost": "" if row.relative_cost is None else f"{row.relative_cost:.1f}",
        }

    def _state(self, row: ComparedFunction) -> str:
        """The verdict, or why there is none."""
        if row.trial is None or row.trial.score is None:
            return row.status
        if row.place is None:
            return f"stopped at {row.trial.budget:.2g}" if row.trial.budget < 1 else counted(len(row.scores), "seed")
        return row.verdict

    def notes(self) -> list[str]:
        """What the columns mean, and who shares the first place."""
        metric, tests = self.metric, sum(row.p is not None and row.same_as is None for row in self.rows)
        what = metric.heading if metric.direction is Direction.maximize else f"{metric.heading}, lower is better"
        notes = [f"{what}; mean and sd over {counted(self.seeds, 'common seed')}"]
        if tests:
            notes.append(f"difference to {self.against}: paired, with its 95 % interval")
            notes.append(f"p: paired t tests, Holm's correction for {tests}; tie: p is 0.05 or more")
        elif self.seeds < MINIMUM_PAIRS:
            notes.append(f"no intervals: they need at least {MINIMUM_PAIRS} seeds")
        notes.append(f"s: seconds per training; cost: time of value and gradient, {self.against} = 1")
        if self.best is not None:
            tied = [r.shown + (f" at site {r.site}" if r.site else "") for r in self.rows if r.tied_with_best]
            if tied:
                more = f" and {len(tied) - NAMED} more" if len(tied) > NAMED else ""
                notes.append(f"not told apart from the first place: {', '.join(tied[:NAMED])}{more}")
        notes += [f"{row.expression}: the same function as {row.same_as}" for row in self.rows if row.same_as]
        return notes


def _site(candidate: Candidate, settings: Any) -> int | None:
    """Which site differs from the reference; None for the reference itself."""
    texts = [str(expression) for expression in sites(candidate)]
    return next((number for number, text in enumerate(texts, 1) if text != settings.baselines[0]), None)


def _against(
    row: ComparedFunction, reference: Trial | None, direction: Direction, full: tuple[float, int]
) -> ComparedFunction:
    """The row with its difference to the reference, and the p value as it stands alone."""
    if row.trial is None or reference is None or row.trial is reference:
        return replace(row, verdict="reference") if row.trial is not None and row.trial is reference else row
    if not (_is_full(row.trial, full) and _is_full(reference, full)):
        return row
    difference = paired_difference(row.trial.scores, reference.scores, direction)
    return row if difference is None else replace(row, difference=difference, p=_p(row.trial, reference))


def _p(trial: Trial, reference: Trial) -> float:
    return paired_p(trial.scores, reference.scores)


def _is_full(trial: Trial, full: tuple[float, int]) -> bool:
    return trial.status is Status.finished and (trial.budget, len(trial.scores)) == full


def _told(rows: list[ComparedFunction], metric: Metric, full: tuple[float, int]) -> list[ComparedFunction]:
    """Rows in order, with places, verdicts and corrected p values."""
    tested = [row for row in rows if row.p is not None and row.same_as is None]
    corrected = dict(zip(map(_key, tested), holm([row.p for row in tested if row.p is not None]), strict=True))
    rows = [_with_verdict(row, corrected, metric.direction) for row in rows]
    rows.sort(key=lambda row: _order(row, full))
    means = [row.mean for row in rows if row.trial is not None and _is_full(row.trial, full)]
    ranked = [replace(row, place=means.index(row.mean) + 1) for row in rows[: len(means)]]
    if ranked and full[1] >= MINIMUM_PAIRS:
        best = ranked[0].trial
        others = [r for r in ranked if r.trial is not best and r.same_as is None and r.trial is not None]
        values = holm([_p(r.trial, best) for r in others if r.trial is not None and best is not None])
        tied = {_key(row) for row, p in zip(others, values, strict=True) if p >= SIGNIFICANCE}
        ranked = [replace(row, tied_with_best=row.same_as is None and _key(row) in tied) for row in ranked]
    return ranked + rows[len(means) :]


def _key(row: ComparedFunction) -> int:
    assert row.trial is not None
    return row.trial.number


def _with_verdict(row: ComparedFunction, corrected: dict[int, float], direction: Direction) -> ComparedFunction:
    if row.p is None or row.difference is None:
        return row
    p = corrected[_key(row)]
    good = direction.merit(row.difference.difference) > 0
    return replace(row, p=p, verdict="tie" if p >= SIGNIFICANCE else "better" if good else "worse")


def _order(row: ComparedFunction, full: tuple[float, int]) -> tuple[float, ...]:
    trial = row.trial
    if trial is None or trial.merit is None:
        return (2.0, 0.0, 0.0)
    return (0.0 if _is_full(trial, full) else 1.0, -trial.budget, -trial.merit)
