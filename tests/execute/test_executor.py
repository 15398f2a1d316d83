"""Where candidates are evaluated is checked, and chooses the executor."""

from __future__ import annotations

import pytest

from symact.errors import InputError
from symact.execute import executor
from symact.execute.executor import EXECUTORS, ExecutorSettings
from symact.execute.job import WorkerSettings
from symact.execute.local import InProcess
from symact.program.loading import parse_grammar
from tests.execute import stub_tasks as stubs


@pytest.mark.parametrize(
    "wrong",
    [{"executor": "cloud"}, {"workers": -1}, {"executor": "ray", "cpus": -1.0}, {"executor": "ray", "gpus": -0.5}],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(InputError):
        ExecutorSettings(**wrong)


def test_only_no_worker_at_all_is_here():
    assert ExecutorSettings().is_here
    assert not ExecutorSettings(workers=1).is_here
    assert not ExecutorSettings(executor="ray").is_here
    assert EXECUTORS == ("local", "ray")


def test_an_executor_here_evaluates_in_this_process():
    text = stubs.grammar_text()
    settings = WorkerSettings(text, {"kind": "name", "name": "digits-deep"}, "")
    made = executor.start(ExecutorSettings(), settings, stubs.Quick(), parse_grammar(text))
    assert isinstance(made, InProcess)
    assert made.capacity == 1
    made.close()
