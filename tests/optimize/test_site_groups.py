"""Groups of activation sites: what a setting means, and candidates with one function a group, in every optimizer."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.errors import InputError
from symact.expr.tree import parse
from symact.optimize import OPTIMIZERS
from symact.optimize.actions import ActionSpace
from symact.optimize.site_groups import SiteGroups
from symact.records import Outcome, Trial
from tests.optimize.test_contract import SPACE, keys, searched

ABLE = [name for name, cls in OPTIMIZERS.items() if "sites" in inspect.signature(cls).parameters]
SETTINGS: list[object] = [3, [[1, 3], [2]], [[2], [1, 3, 4]]]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_functions_of_groups_come_back_from_the_candidate(of):
    setting = [[site for site, own in enumerate(of, 1) if own == group] for group in sorted(set(of))]
    groups = SiteGroups.read("x", setting)
    functions = tuple(parse(f"x + {number}") for number in range(len(groups)))
    candidate = groups.candidate(functions)
    assert groups.functions(candidate) == functions
    if len(groups) > 1:
        assert [candidate[a - 1] == candidate[b - 1] for a in range(1, len(of) + 1) for b in range(1, a)] == [
            of[a - 1] == of[b - 1] for a in range(1, len(of) + 1) for b in range(1, a)
        ]


def test_a_candidate_of_other_groups_is_none_of_these():
    groups = SiteGroups.read("x", [[1, 2], [3]])
    one, two = parse("relu(x)"), parse("tanh(x)")
    assert groups.functions((one, two, two)) is None
    assert groups.functions((one, one)) is None
    assert groups.functions(one) == (one, one)
    assert SiteGroups().functions((one, two)) is None
    assert [groups.name(0), groups.name(1)] == ["sites 1-2", "site 3"]


@pytest.mark.parametrize("setting", [0, 1001, [[1], [3]], [[1], [1, 2]], [[1], []], [["1"]], [1, 2], [], [[0, 1]]])
def test_settings_that_are_no_groups_are_refused(setting):
    with pytest.raises(InputError, match="x: "):
        SiteGroups.read("x", setting)


def test_all_optimizers_that_look_for_functions_search_by_site():
    assert set(ABLE) == {"random", "evolution", "rl", "surrogate"}


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("name", ABLE)
def test_every_candidate_has_one_function_a_group_and_none_comes_twice(name, setting):
    groups = SiteGroups.read(name, setting)
    optimizer, told = searched(name, batches=4, sites=setting)
    assert len(told) == 16
    for trial in told:
        functions = groups.functions(trial.candidate)
        assert functions is not None
        assert all(function in SPACE for function in functions)
    assert any(len(set(trial.candidate)) > 1 for trial in told)
    assert len(set(keys(optimizer, [trial.candidate for trial in told]))) == 16


@pytest.mark.parametrize("name", ABLE)
def test_a_fresh_one_that_is_told_all_goes_on_alike(name):
    optimizer, told = searched(name, batches=4, sites=[[1, 3], [2]])
    fresh = OPTIMIZERS[name](SPACE, 0, sites=[[1, 3], [2]])
    fresh.tell(told)
    assert fresh.ask(5) == optimizer.ask(5)
    assert len(fresh.explain(fresh.ask(2))) == 2


@pytest.mark.parametrize("name", ["evolution", "surrogate", "rl"])
def test_a_search_by_site_learns_which_function_belongs_where(name):
    wanted = ("tanh", "sin", "softplus")
    optimizer = OPTIMIZERS[name](SPACE, 0, sites=3)
    found: list[float] = []
    for _ in range(9):
        asked = optimizer.ask(8)
        scores = [sum(w in str(f) for f, w in zip(candidate, wanted, strict=True)) / 3 for candidate in asked]
        told = zip(asked, scores, strict=True)
        optimizer.tell([Trial(c, (Outcome.finished(s),), name, len(found) + i) for i, (c, s) in enumerate(told)])
        found += scores
    assert sum(found[-24:]) > 1.25 * sum(found[:24])


def test_a_sequence_of_several_functions_reads_back_and_tells_the_controller_where_it_is():
    actions = ActionSpace(SPACE, SiteGroups.read("rl", [[1, 3], [2]]))
    listed = list(SPACE)
    first, second = listed[5], listed[17]
    sequence = actions.sequence((first, second, first))
    assert sequence is not None
    assert sequence.finished
    assert actions.expression(sequence) == (first, second, first)
    assert len(sequence.tokens) == 6
    assert sequence.parents[0] != sequence.parents[3], "the roots of the two functions"
    assert not any(mask[sequence.parents[3]] for mask in sequence.masks), "what stands above a root is no choice"
