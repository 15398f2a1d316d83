"""What a tuned search found: every function at the task's own settings and at its own best, and the verdict."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from symact.records import Metric, Outcome
from symact.report.leaderboard import Difference, paired_difference

Place = TypeVar("Place")
# Of the table, a row a function.
HEADINGS = ("function", "from", "tuned", "untuned", "its best settings")


@dataclass(frozen=True)
class Tuned:
    """One function.

    Attributes:
        expression: its text.
        origin: `baseline`, or the optimizer's name.
        settings: its best ones that differ from the task's own; none where those are the best.
        search_score: its score there in the tuning, on the seed of the search.
        own_score: likewise at the task's own settings.
        trainings: how many settings it was tried with.
        tuned: scores on the fresh seeds at its best settings; none where one failed.
        untuned: likewise at the task's own settings.
    """

    expression: str
    origin: str
    settings: Mapping[str, Any]
    search_score: float | None
    own_score: float | None
    trainings: int
    tuned: tuple[float, ...]
    untuned: tuple[float, ...]


@dataclass(frozen=True)
class TuneResult:
    """The table of a tuned search.

    Attributes:
        rows: the functions.
        metric: of their scores.
        head: what was searched, for documents.
    """

    rows: tuple[Tuned, ...]
    metric: Metric
    head: Mapping[str, Any]

    def _best(self, is_baseline: bool, attribute: str) -> Tuned | None:
        """By the scores of the tuning, so that the fresh seeds choose nobody."""
        some = [row for row in self.rows if (row.origin == "baseline") == is_baseline]
        known = [row for row in some if getattr(row, attribute) is not None]
        return max(known, key=lambda row: self.metric.merit(getattr(row, attribute)), default=None)

    @property
    def found(self) -> Tuned | None:
        """The best found function when all are tuned."""
        return self._best(False, "search_score")

    @property
    def leads(self) -> dict[str, tuple[Tuned, Tuned, Difference | None]]:
        """`untuned` and `tuned`: the found function, its best rival among the baselines, and the paired difference."""
        found, leads = self.found, {}
        for name, attribute in (("untuned", "own_score"), ("tuned", "search_score")):
            rival = self._best(True, attribute)
            if found is not None and rival is not None:
                pair = (getattr(found, name), getattr(rival, name))
                leads[name] = found, rival, paired_difference(*pair, self.metric.direction)
        return leads

    @property
    def verdict(self) -> str:
        """Whether the lead survives, in a sentence."""
        leads = self.leads
        if len(leads) < 2 or any(lead[2] is None for lead in leads.values()):
            return "Nothing can be said: fewer than three fresh seeds, or a training on them failed."
        before, after = (leads[name][2] for name in ("untuned", "tuned"))
        assert before is not None
        assert after is not None
        name, rival = leads["tuned"][0].expression, leads["tuned"][1].expression
        if not before.better:
            words = "does not lead at the task's own settings"
            end = "leads when both are tuned" if after.better else "does not when both are tuned"
            return f"{name} {words}, and {end} (rival: {rival})."
        if after.better:
            return f"The lead of {name} survives tuning (rival: {rival})."
        fate = "is turned round by" if after.worse else "does not survive"
        return f"The lead of {name} {fate} tuning (rival: {rival})."

    @property
    def spent(self) -> str:
        """What the evaluations went to, in a sentence."""
        searched, tuned, total = (int(self.head[key]) for key in ("searched", "tuned", "evaluations"))
        unsearched, left = total // 2 - searched, total - total // 2 - tuned
        each = f"{tuned} to tune {len(self.rows)} functions {tuned // len(self.rows)} times each"
        words = f"{searched + tuned} of {total} trainings: {searched} to search, {each}"
        if unsearched > 0:
            words += f"; the space has no function for {unsearched} more"
        if left > 0:
            words += f"; {left} left over, too few for one more of each, for all are tuned equally often"
        return f"{words}."

    def document(self) -> dict[str, Any]:
        """As JSON types, the best on fresh seeds first."""
        metric = asdict(self.metric)
        leads = {
            name: {
                "function": found.expression,
                "rival": rival.expression,
                **({} if gap is None else {k: getattr(gap, k) for k in ("difference", "low", "high", "pairs", "p")}),
            }
            for name, (found, rival, gap) in self.leads.items()
        }
        head = {**self.head, "metric": metric.pop("name"), **metric, "verdict": self.verdict, "leads": leads}
        head["spent"] = self.spent
        functions = [{**asdict(row), **_means(row)} for row in self.ranked()]
        return {**head, "functions": functions, "table": [list(row) for row in self.cells()]}

    def ranked(self) -> list[Tuned]:
        """Best on the fresh seeds, tuned, first; what failed there last."""
        return sorted(
            self.rows,
            key=lambda row: (not row.tuned, -self.metric.merit(statistics.fmean(row.tuned)) if row.tuned else 0.0),
        )

    def cells(self) -> list[tuple[str, ...]]:
        """The table as text: function, from, tuned, untuned, settings."""
        text = self.metric.text
        return [
            (
                row.expression,
                row.origin,
                text(statistics.fmean(row.tuned)) if row.tuned else "failed",
                text(statistics.fmean(row.untuned)) if row.untuned else "failed",
                settings_text(row.settings),
            )
            for row in self.ranked()
        ]


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings of a training in words."""
    listed = (f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in settings.items())
    return ", ".join(listed) or "the task's own"


def _means(row: Tuned) -> dict[str, float | None]:
    return {
        f"{name}_mean": statistics.fmean(scores) if scores else None
        for name, scores in (("tuned", row.tuned), ("untuned", row.untuned))
    }


def leading(tried: Sequence[tuple[Place, Outcome]], metric: Metric) -> tuple[Place, Outcome]:
    """The best of some trainings, the earlier among equals; the first where all failed."""
    done = [pair for pair in tried if pair[1].score is not None]
    return max(done, key=lambda pair: metric.merit(float(pair[1].score or 0.0)), default=tried[0])
