"""What a task does to its process changes no row, and rows are their candidates' own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.execute import meddling_tasks as meddling

# In a process of its own: what pytest has changed in this one is not what is tested here.
CODE = f"""
import os, sys
os.environ["MEDDLING_FOLDER"] = os.getcwd()
from symact.program.loading import parse_grammar
from symact.expr.tree import candidate_text
from symact.study import Study
from tests.execute import stub_tasks
task, workers = sys.argv[1], int(sys.argv[2])
space = parse_grammar(stub_tasks.grammar_text()).space("wide")
with Study(space, "{meddling.__file__}:" + task, "random", workers=workers, confirm=0, seed=3) as study:
    for t in study.run(int(sys.argv[3])):
        # A constant of an outcome is made of the candidate's text.
        print(t.number, candidate_text(t.candidate), t.status.value, t.scores, [o.constants for o in t.outcomes])
"""


def rows(task, workers, count):
    command = [sys.executable, "-c", CODE, task, str(workers), str(count)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=550)
    assert found.returncode == 0, found.stderr[-2000:]
    lines = found.stdout.splitlines()
    assert len(lines) == count
    assert all(" finished " in line for line in lines)
    return lines


@pytest.fixture(scope="module")
def expected():
    return rows("MeddlingStudy", 0, 64)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 4])
def test_a_task_that_changes_all_it_can_makes_the_same_rows_with_any_number_of_workers(expected, workers):
    assert rows("MeddlingStudy", workers, 64) == expected


@pytest.mark.slow
def test_a_task_that_forks_and_leaves_things_behind_makes_the_same_rows(expected):
    """The first candidates are the same; fewer, for each worker that is replaced imports PyTorch."""
    assert rows("ForkingStudy", 4, 10) == expected[:10]
