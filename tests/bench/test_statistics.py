"""What replays say: regret, evaluations to the top, intervals, paired differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from symact.bench import Table, compare, replay, summarize
from symact.bench.replaying import Replay, Search
from symact.bench.statistics import evaluations_to_top, interval, regret


def search_of(rows: list[int], made: Table, seen: int = 0, start: int = 2) -> Search:
    at = np.array(rows)
    return Search(at, made.scores[at, seen], made.scores[at][:, [1, 2, 3]].mean(1), start, (seen,), 0)


def test_regret_is_that_of_the_named_best_on_unseen_seeds(made):
    unseen = np.where(np.isfinite(made.scores).all(1), made.scores[:, [1, 2, 3]].mean(1), -np.inf)
    best = unseen[made.representatives].max()
    row = int(made.representatives[unseen[made.representatives].argmax()])
    values = regret(made, search_of([1, 2, 5, row], made))
    assert values == pytest.approx([best - unseen[2], best - unseen[5], 0.0])


def test_a_given_best_does_not_count_as_found(made):
    unseen = np.where(np.isfinite(made.scores).all(1), made.scores[:, [1, 2, 3]].mean(1), -np.inf)
    order = made.representatives[np.argsort(-unseen[made.representatives])].tolist()
    assert evaluations_to_top(made, search_of([order[0], 1, 2], made), 0.01) == math.inf
    assert evaluations_to_top(made, search_of([1, 2, 3, order[0]], made), 0.01) == 2


def test_searches_that_share_what_they_see_are_no_independent_draws():
    values, groups = [1.0] * 10 + [9.0] * 10, [0] * 10 + [1] * 10
    _, low, high = interval(values, np.mean)
    _, wide_low, wide_high = interval(values, np.mean, groups=groups)
    assert low > 2.0
    assert high < 8.0
    assert (wide_low, wide_high) == (1.0, 9.0)
    # Groups of one are the ordinary bootstrap.
    assert interval(values, np.mean, groups=range(20)) == interval(values, np.mean)


def test_intervals_hold_the_statistic():
    value, low, high = interval([1, 2, 3, 4, 100.0])
    assert (value, low <= 3 <= high) == (3.0, True)
    assert interval([math.inf] * 5) == (math.inf, math.inf, math.inf)


def test_a_paired_difference_of_a_search_with_itself_is_nothing(made):
    one = replay("random", made, 20, 3)
    found = compare(one, one)
    assert found["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert isinstance(replay("random", made, 20, 3), Replay)
    assert summarize(one)["searches"] == 3
