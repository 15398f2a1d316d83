"""Successive halving: the rule of ASHA, on its own."""

from __future__ import annotations

import pytest

from symact.study.halving import Ladder, Rung, rungs


@pytest.mark.parametrize(
    ("budgets", "repeats", "expected"),
    [
        ((), 3, [(1.0, 3)]),
        ((0.1, 1.0), 1, [(0.1, 1), (1.0, 1)]),
        ((0.1, 1.0), 3, [(0.1, 1), (1.0, 1), (1.0, 3)]),
        ((1.0,), 5, [(1.0, 1), (1.0, 5)]),
    ],
)
def test_each_budget_is_a_rung_and_the_other_seeds_are_the_last(budgets, repeats, expected):
    assert [(r.budget, r.repeats) for r in rungs(budgets, repeats)] == expected


def ladder():
    return Ladder((Rung(0.1, 1), Rung(0.3, 1), Rung(1.0, 1)), eta=3)


def test_the_best_third_goes_up_best_first_and_each_once():
    steps = ladder()
    for number, score in enumerate([0.1, 0.9, 0.3, 0.8, 0.2, 0.4, 0.5]):
        steps.add(0, number, score)
    promoted = []
    while (found := steps.next()) is not None:
        promoted.append(found)
        steps.promote(found[0] - 1, found[1])
    assert promoted == [(1, 1), (1, 3)]


def test_the_highest_rung_comes_first():
    steps = ladder()
    for number in range(6):
        steps.add(0, number, number / 10)
    for number in (3, 4, 5):
        steps.promote(0, number)
        steps.add(1, number + 10, number / 10)
    assert steps.next() == (2, 15)


def test_what_failed_is_never_promoted_and_makes_no_room():
    steps = ladder()
    steps.add(0, 0, 0.5)
    for number in range(1, 10):
        steps.add(0, number, None)
    assert steps.next() is None


def test_of_equal_scores_the_earlier_goes_up():
    steps = ladder()
    for number in (4, 2, 9):
        steps.add(0, number, 0.5)
    assert steps.next() == (1, 2)


def test_nothing_goes_up_from_the_last_rung():
    steps = Ladder((Rung(1.0, 1),), eta=3)
    for number in range(9):
        steps.add(0, number, 0.5)
    assert steps.next() is None
