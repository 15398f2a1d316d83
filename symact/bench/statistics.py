"""What replays say: best so far, regret, evaluations to the best, each with an interval.

The target is fixed before a search is looked at: the best rows of the table by their mean over the
seeds that this search did not see (all seeds if it saw all). A row that failed on any of them is
never among the best. Regret after n evaluations is the best such mean less that of the row which the
search itself would name after n: the best by what it was told. Intervals are percentile bootstraps
over searches; searches that have both the start and the seeds seen in common are no independent draws,
so the bootstrap draws such groups first, and then searches within them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symact.bench.replaying import Replay, Search
from symact.bench.table import Table

AFTER = (10, 25, 50, 100)
_RESAMPLES = 4_000


def unseen_scores(table: Table, search: Search) -> np.ndarray:
    """The value of every row to this search's judge, ``(rows,)``; -inf where a training failed."""
    hidden = [seed for seed in range(table.seeds) if seed not in search.seen] or list(range(table.seeds))
    scores = table.scores[:, hidden]
    return np.where(np.isfinite(scores).all(1), np.nan_to_num(scores, nan=0.0).mean(1), -np.inf)


def regret(table: Table, search: Search) -> np.ndarray:
    """Regret after 1, 2, ... evaluations beyond the start; position 0 is the start alone."""
    value = unseen_scores(table, search)
    best = value[table.representatives].max()
    told = np.nan_to_num(search.scores, nan=-np.inf)
    out = []
    for count in range(max(search.start, 1), len(search.rows) + 1):
        named = search.rows[int(told[:count].argmax())]
        out.append(best - value[named] if np.isfinite(value[named]) else np.inf)
    return np.array(out if search.start else [np.inf, *out])


def evaluations_to_top(table: Table, search: Search, share: float = 0.01) -> float:
    """Evaluations beyond the start until the search itself tried a function of the top `share`; inf if never.

    A function of the start does not count, however good: it was given, not found.
    """
    value = unseen_scores(table, search)
    rows = table.representatives
    count = max(1, round(share * len(rows)))
    top = set(rows[np.argsort(-value[rows], kind="stable")[:count]].tolist())
    for position, row in enumerate(search.rows[search.start :]):
        if int(row) in top:
            return float(position + 1)
    return float("inf")


def interval(
    values: Sequence[float], statistic: Any = np.median, level: float = 0.95, groups: Sequence[Any] | None = None
) -> tuple[float, float, float]:
    """A statistic of values over searches with its bootstrap interval: (value, low, high).

    Args:
        values: one per search.
        statistic: of an array along an axis.
        level: of the interval.
        groups: of each search; None: every search is one of its own.
    """
    sample = np.asarray(values, dtype=float)
    drawn = sample[_resampled(list(range(len(sample)) if groups is None else groups))]
    with np.errstate(invalid="ignore"):
        resampled = np.sort(np.nan_to_num(statistic(drawn, axis=1), nan=np.inf, posinf=np.inf))
    tail = (1 - level) / 2
    low, high = resampled[int(tail * _RESAMPLES)], resampled[int((1 - tail) * _RESAMPLES) - 1]
    return float(statistic(sample)), float(low), float(high)


def _resampled(groups: list[Any]) -> np.ndarray:
    """Positions of the searches of each resample, ``(resamples, searches)``: groups first, then within them."""
    generator = np.random.default_rng(0)
    members: dict[Any, list[int]] = {}
    for position, group in enumerate(groups):
        members.setdefault(group, []).append(position)
    names = list(members)
    sizes = np.array([len(members[name]) for name in names])
    places = np.zeros((len(names), sizes.max()), dtype=int)
    for row, name in enumerate(names):
        places[row, : sizes[row]] = members[name]
    # Every group is replaced by one drawn, and each of its searches by one of that.
    drawn = generator.integers(len(names), size=(_RESAMPLES, len(names)))[:, [names.index(group) for group in groups]]
    resampled: np.ndarray = places[drawn, (generator.random(drawn.shape) * sizes[drawn]).astype(int)]
    return resampled


def grouped(replay: Replay) -> list[Any]:
    """A mark of each search, equal for searches of one start that see the same seeds."""
    return [(tuple(search.rows[: search.start].tolist()), search.seen) for search in replay.searches]


def summarize(replay: Replay, after: Sequence[int] = AFTER, share: float = 0.01) -> dict[str, Any]:
    """Median regret after so many evaluations and evaluations to the top, as JSON types."""
    table = replay.table
    regrets = [regret(table, search) for search in replay.searches]
    reached = [evaluations_to_top(table, search, share) for search in replay.searches]
    groups = grouped(replay)
    document: dict[str, Any] = {"searches": len(replay.searches), "groups": len(set(groups)), "regret": {}}
    for count in after:
        at = [values[min(count, len(values) - 1)] for values in regrets if len(values) > count]
        if len(at) == len(regrets):
            document["regret"][str(count)] = _row(interval(at, groups=groups))
    document["evaluations_to_top"] = _row(interval(reached, groups=groups)) | {
        "share": share,
        "each": list(map(_number, reached)),
    }
    winners = [search.rows[int(np.nan_to_num(search.scores, nan=-np.inf).argmax())] for search in replay.searches]
    values = [unseen_scores(table, s)[row] for s, row in zip(replay.searches, winners, strict=True)]
    document["winner_unseen"] = _row(
        interval([v if np.isfinite(v) else np.nan for v in values], np.nanmedian, groups=groups)
    )
    return document


def document(replay: Replay) -> dict[str, Any]:
    """A replay as JSON types: expressions in order of evaluation, their scores, and the summary."""
    table = replay.table
    repeats = [
        {
            "expressions": [table.expressions[row] for row in search.rows],
            "scores": [None if np.isnan(score) else float(score) for score in search.scores],
            "unseen": [None if np.isnan(score) else float(score) for score in search.unseen],
            "seen_seeds": list(search.seen),
            "start": search.start,
            "rejected": search.rejected,
        }
        for search in replay.searches
    ]
    return {
        "optimizer": replay.optimizer,
        "table": table.path,
        "evaluations": replay.evaluations,
        "start": replay.start,
        "noise": None if np.isnan(table.noise) else table.noise,
        "repeats": repeats,
        "summary": summarize(replay),
    }


def compare(replay: Replay, other: Replay, share: float = 0.01, cap: float | None = None) -> dict[str, Any]:
    """Paired difference in evaluations to the top, mean over repeats that share start and seeds seen.

    Args:
        replay: the one that should need fewer.
        other: the one to compare with, of the same table, seed and repeats.
        share: of the top.
        cap: what a search that never reached it counts as; None: the evaluations of a search plus one.
    """
    table = replay.table
    cap = float(replay.evaluations + 1) if cap is None else cap
    pairs = [
        (min(evaluations_to_top(table, a, share), cap), min(evaluations_to_top(table, b, share), cap))
        for a, b in zip(replay.searches, other.searches, strict=True)
    ]
    mine, theirs = np.array(pairs).T
    return {
        "difference": _row(interval(mine - theirs, np.mean, groups=grouped(replay))),
        "ratio_of_means": float(mine.mean() / max(theirs.mean(), 1e-12)),
        "ratio_of_medians": float(np.median(mine) / max(np.median(theirs), 1e-12)),
    }


def _row(triple: tuple[float, float, float]) -> dict[str, Any]:
    return dict(zip(("value", "low", "high"), map(_number, triple), strict=True))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
