"""Rows become trials; a row from disk that cannot be ours is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from symact.records import Outcome, Status
from symact.store.rows import Asked, Evaluation, as_trial, asked_row, evaluation_row, is_complete, problem

DOCUMENT = {"expressions": ["tanh(x)"], "parameters": []}


def row(number, **changes):
    return replace(Asked(number, 0, "random", 1.0, 2, None, None, "0", DOCUMENT), **changes)


def test_rows_as_they_are_written_are_no_problem():
    assert problem([row(0), row(1, known=0), row(2, promoted=0, budget=0.5)]) == ""


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row(1)], "missing"),
        ([row(0), row(0)], "missing"),
        ([row(0, batch=1.5)], "not as written"),
        ([row(0, batch=True)], "not as written"),
        ([row(0, known=0)], "not before it"),
        ([row(0), row(1, promoted=2)], "not before it"),
        ([row(0), row(1, known=-1)], "not before it"),
        ([row(0, repeats=0)], "not before it"),
        ([row(0), row(1, known=0), row(2, known=1)], "without outcomes"),
        ([row(0, budget=0.0)], "budget 0.0"),
        ([row(0, budget=1)], "budget 1"),
        ([row(0, origin=None)], "no origin"),
        ([row(0, candidate={})], "no expressions"),
        ([row(0, candidate={"expressions": []})], "no expressions"),
        ([row(0, candidate={"expressions": [1]})], "no expressions"),
        ([row(0, candidate=[])], "no expressions"),
    ],
)
def test_a_row_that_was_never_written_so_is_named(rows, reason):
    assert reason in problem(rows)
    assert f"row {len(rows) - 1}" in problem(rows)


def test_complete_is_all_repeats_or_one_failure():
    good, bad = Outcome.finished(0.5), Outcome.failed(Status.crashed, "boom")
    assert not is_complete(row(0), [])
    assert not is_complete(row(0), [good])
    assert is_complete(row(0), [good, good])
    assert is_complete(row(0), [bad])


def test_a_trial_has_what_its_row_has():
    trial = as_trial(
        row(3, batch=-1, origin="baseline", budget=0.5, known=1), "candidate", [Outcome.finished(0.5)], 2.0
    )
    assert (trial.candidate, trial.number, trial.batch, trial.origin) == ("candidate", 3, -1, "baseline")
    assert (trial.budget, trial.cached, trial.seconds, trial.score) == (0.5, True, 2.0, 0.5)


def test_values_of_a_row_are_plain():
    values = asked_row(row(0)) + evaluation_row(Evaluation(0, 1, 7, Outcome.finished(0.25, curve=(0.5, 1)), 1))
    assert all(isinstance(value, int | float | str | None) for value in values)
