"""Replays: every score is read from the table, and a search is the same twice."""

from __future__ import annotations

import json

import numpy as np
import pytest

from symact.bench import Table, replay
from symact.bench.replaying import baseline_rows
from symact.bench.statistics import document as describe
from symact.errors import InputError


@pytest.mark.parametrize("start", ["baselines", "random"])
@pytest.mark.parametrize("optimizer", ["random", "evolution", "rl", "surrogate"])
def test_every_score_is_read_from_the_table(made, optimizer, start):
    document = describe(replay(optimizer, made, 20, 2, seed=1, start=start))
    json.dumps(document, allow_nan=False)
    assert [document[key] for key in ("optimizer", "table", "evaluations")] == [optimizer, "made-up.parquet", 20]
    for search in document["repeats"]:
        assert len(search["expressions"]) == len(search["scores"]) == 20
        assert len(set(search["expressions"])) == 20
        (seed,) = search["seen_seeds"]
        for text, score in zip(search["expressions"], search["scores"], strict=True):
            cell = made.scores[made.expressions.index(text), seed]
            assert (score is None) == bool(np.isnan(cell))
            assert score is None or score == cell


def test_baselines_come_first_in_the_words_of_the_table(made):
    document = describe(replay("random", made, 8, 1))
    expected = [made.expressions[row] for row in baseline_rows(made)]
    assert "elu" in expected[0]
    assert document["repeats"][0]["expressions"][: len(expected)] == expected
    assert document["repeats"][0]["start"] == len(expected)


def test_a_replay_is_the_same_twice_and_another_with_another_seed(made):
    first, again, other = (describe(replay("evolution", made, 25, 2, seed=s))["repeats"] for s in (1, 1, 2))
    assert first == again
    assert first != other
    assert first[0] != first[1]


def test_what_is_not_in_the_table_is_rejected_and_not_counted(made):
    few = Table(made.expressions[10:30], made.scores[10:30], made.statuses[10:30], about=made.about)
    search = replay("random", few, 12, 1).searches[0]
    assert len(search.rows) == 12
    assert search.rejected > 0


def test_a_search_ends_when_the_table_is_used_up(made):
    search = replay("random", made, 10_000, 1).searches[0]
    assert 0 < len(search.rows) <= len(made.representatives)


def test_a_mixture_cannot_replay(made):
    with pytest.raises(InputError, match="cannot replay"):
        replay("mixture", made)


def test_wrong_arguments_of_a_replay_are_named(made):
    with pytest.raises(InputError, match="annealing"):
        replay("annealing", made)
    with pytest.raises(InputError, match="nonsense"):
        replay("random", made, start="nonsense")
    with pytest.raises(InputError, match="colour"):
        replay("random", made, settings={"colour": 3})


def test_every_seed_of_a_table_is_seen_equally_often(made):
    seen = [search.seen for search in replay("random", made, 9, 8, seed=3).searches]
    assert sorted(seen) == sorted([(0,), (1,), (2,), (3,)] * 2)
    assert seen[:4] != seen[4:] or seen != sorted(seen)
    pairs = [search.seen for search in replay("random", made, 9, 4, seen=2).searches]
    assert sorted(sum(pairs, ())) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_random_starts_are_the_same_for_every_optimizer(made):
    one, two = (replay(name, made, 10, 3, start="random").searches for name in ("random", "surrogate"))
    assert all(a.rows[: a.start].tolist() == b.rows[: b.start].tolist() for a, b in zip(one, two, strict=True))
    assert [a.seen for a in one] == [b.seen for b in two]
