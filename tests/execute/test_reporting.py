"""What a task reports while it trains: the curve that is kept, the bars that end a training, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from symact.execute.job import Job, perform
from symact.execute.reporting import MOST_REPORTS, REPORTED, Pruned, Reporter
from symact.program.loading import parse_grammar
from symact.records import Direction, Outcome, Status
from tests.execute import stub_tasks

GRAMMAR = parse_grammar(stub_tasks.grammar_text())
CANDIDATE = {"expressions": ["add(sine(x),tanh(x))"], "parameters": []}


@given(
    scores=st.lists(st.floats(-10, 10) | st.just(math.nan), min_size=1, max_size=8),
    bars=st.lists(st.floats(-10, 10), min_size=8, max_size=8),
    direction=st.sampled_from(Direction),
)
def test_a_training_ends_at_the_first_step_where_its_best_score_so_far_is_below_the_bar(scores, bars, direction):
    report = Reporter(list(enumerate(bars)), direction)
    best, expected = -math.inf, None
    for step, score in enumerate(scores):
        best = max(best, direction.merit(score)) if math.isfinite(score) else best
        if best < bars[step]:
            expected = step
            break
    ended = None
    try:
        for step, score in enumerate(scores):
            report(step, score)
    except Pruned as stop:
        ended = str(stop).partition(":")[0]
    assert ended == (None if expected is None else f"stopped at step {expected}")


@pytest.mark.parametrize(
    "score", [0.5, np.float32(0.5), torch.tensor(0.5), torch.tensor([0.5]), torch.tensor(0.5, requires_grad=True)]
)
def test_a_score_may_be_any_one_number(score):
    report = Reporter((), Direction.maximize)
    report(np.int64(3), score)
    assert report.curve == [(3, 0.5)]


@pytest.mark.parametrize("step", [1, 2, -1, 2.5, True, "3", None])
def test_steps_are_whole_numbers_that_go_up(step):
    report = Reporter((), Direction.maximize)
    report(2, 0.1)
    with pytest.raises(ValueError, match="report: "):
        report(step, 0.1)


@pytest.mark.parametrize("score", [None, "good", True, torch.zeros(2)])
def test_a_report_of_no_number_is_refused(score):
    with pytest.raises(ValueError, match="report: the task gave"):
        Reporter((), Direction.maximize)(0, score)


def test_so_many_reports_are_kept_and_no_more():
    report = Reporter([[MOST_REPORTS + 5, 9.0]], Direction.maximize)
    for step in range(MOST_REPORTS + 10):
        report(step, 0.0)
    assert len(report.curve) == MOST_REPORTS


class CatchesAll:
    """Reports within a handler of all exceptions."""

    left = 0

    def evaluate(self, make_activation, seed, budget=1.0, report=None):
        try:
            report(1, 0.2)
        except Exception:
            return Outcome.finished(1.0)
        finally:
            self.left += 1
        return Outcome.finished(0.7)


@pytest.mark.parametrize(("bar", "status"), [(0.1, Status.finished), (0.3, Status.pruned)])
def test_a_stopped_training_is_an_outcome_with_its_curve_whatever_the_task_catches(bar, status):
    task = CatchesAll()
    outcome = perform(task, GRAMMAR, Job(0, 0, 5, CANDIDATE, bars=[[1, bar]]))
    assert (outcome.status, outcome.metrics[REPORTED], task.left) == (status, [[1, 0.2]], 1)
    assert (outcome.score is None) == (status is Status.pruned)


def test_a_task_without_the_argument_is_evaluated_as_ever():
    outcome = perform(stub_tasks.Quick(), GRAMMAR, Job(0, 0, 5, CANDIDATE, bars=[[1, 9.0]]))
    assert outcome.status is Status.finished
    assert REPORTED not in outcome.metrics
