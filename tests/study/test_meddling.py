"""What a task does to its process changes no row, and rows are their candidates' own."""

from __future__ import annotations

import os

import pytest

from symact.expr.tree import candidate_text
from symact.study import Study
from tests.execute import meddling_tasks as meddling


def rows(trials):
    constants = [[o.constants for o in t.outcomes] for t in trials]
    return [(t.number, candidate_text(t.candidate), t.status, t.scores) for t in trials], constants


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_task_that_changes_all_it_can_makes_the_same_rows_with_any_number_of_workers(wide, monkeypatch, workers):
    """And each row is its own candidate's: a constant of an outcome is made of the candidate's text."""
    monkeypatch.setenv("MEDDLING_FOLDER", os.getcwd())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def found(task, workers):
        with Study(wide, f"{meddling.__file__}:{task}", "random", workers=workers, confirm=0, seed=3) as study:
            return rows(study.run(32))

    expected = found("MeddlingStudy", 0)
    assert found("MeddlingStudy", workers) == expected
    assert found("ForkingStudy", workers) == expected
