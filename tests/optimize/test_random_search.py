"""Random search: uniform over functions, each once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from symact.errors import InputError
from symact.optimize.pool import Pool
from symact.optimize.random_search import RandomSearch
from symact.program.loading import load_grammar, parse_grammar
from symact.records import Outcome, Trial

GRAMMAR = """
name = "twins"
[unary]
identity = "x"
same = "1*x"
again = "x + 0"
tanh = "tanh(x)"
sin = "sin(x)"
[spaces]
all = ["unary(x)"]
"""


def test_functions_are_equally_likely_however_many_names_they_have():
    space = parse_grammar(GRAMMAR).space().keeping_affine()
    first = Counter(str(RandomSearch(space, seed).ask(1)[0]) for seed in range(600))
    assert len(first) == 3
    assert min(first.values()) > 150


def test_members_are_distinct_and_usable():
    functions = Pool.of(load_grammar("aquasurf").space("bench"))
    assert functions.members is not None
    keys = [functions.index.key(expression) for expression in functions.members]
    assert len(set(keys)) == len(keys) > 1500
    assert "add(zero(x),zero(x))" not in set(map(str, functions.members))


def test_the_finite_filter_skips_what_features_call_not_finite():
    space = load_grammar("aquasurf").space("bench")

    def features(expressions):
        return {"finite": np.array(["relu" in str(expression) for expression in expressions])}

    asked = RandomSearch(space, 0, features=features, finite=True).ask(20)
    assert all("relu" in str(expression) for expression in asked)
    assert any("relu" not in str(expression) for expression in RandomSearch(space, 0, features=features).ask(20))


@pytest.mark.parametrize("grammar", ["aquasurf"])
def test_draws_from_a_sampled_space_are_played_back(grammar):
    space = load_grammar(grammar).space("large")
    optimizer = RandomSearch(space, 3)
    told = [Trial(c, (Outcome.finished(0.5),)) for c in optimizer.ask(10)]
    following = optimizer.ask(20)[10:]
    optimizer.tell(told)
    assert optimizer.ask(10) == following


def test_what_was_told_is_not_walked_over_again(monkeypatch):
    space = load_grammar("aquasurf").space("bench")
    optimizer = RandomSearch(space, 5)
    order = optimizer.ask(600)
    optimizer.tell([Trial(c, (Outcome.finished(0.5),)) for c in (*order[:500], order[510])])
    assert optimizer.ask(20) == [*order[500:510], *order[511:521]]
    starts = []
    draws = Pool.draws
    monkeypatch.setattr(Pool, "draws", lambda self, seed, start=0: starts.append(start) or draws(self, seed, start))
    assert optimizer.ask(20) == [*order[500:510], *order[511:521]]
    assert starts == [500]


def test_the_finite_filter_holds_after_more_trials_than_its_patience():
    space = load_grammar("aquasurf").space("bench")

    def features(expressions):
        return {"finite": np.array([len(str(expression)) % 2 == 0 for expression in expressions])}

    optimizer = RandomSearch(space, 0, features=features, finite=True)
    optimizer.tell([Trial(c, (Outcome.finished(0.5),)) for c in optimizer.ask(500)])
    assert all(len(str(expression)) % 2 == 0 for expression in optimizer.ask(20))


@pytest.mark.parametrize("space", ["bench", "large"])
def test_several_sites_are_drawn_independently_and_the_same_again(space):
    optimizer = RandomSearch(load_grammar("aquasurf").space(space), 1, sites=3)
    found = optimizer.ask(20)
    assert found == optimizer.ask(30)[:20]
    assert all(len(candidate) == 3 for candidate in found)
    assert len({part for candidate in found for part in candidate}) > 50
    optimizer.tell(Trial(candidate, (Outcome.finished(0.5),)) for candidate in found)
    assert not {optimizer.key(candidate) for candidate in optimizer.ask(20)} & set(map(optimizer.key, found))


def test_a_number_of_sites_that_is_none_is_refused():
    with pytest.raises(InputError, match="random: sites is a whole number from 1 to 1000, not 0"):
        RandomSearch(load_grammar("first").space(), 0, sites=0)
