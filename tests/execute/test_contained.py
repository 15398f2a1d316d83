"""An evaluation in the process of the study is as contained as one in a worker, save for crashes of the process."""

from __future__ import annotations

import asyncio
import signal

import pytest

from symact.errors import InputError
from symact.execute.job import Job, failure, perform, unable
from symact.execute.local import InProcess
from symact.program.loading import parse_grammar
from symact.records import Outcome, Status
from symact.store import outcomes

GRAMMAR = parse_grammar('name = "g"\n[unary]\ntanh = "tanh(x)"\n')
JOB = Job(0, 0, 7, {"expressions": ["tanh(x)"], "parameters": []})


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Own(BaseException):
    """What test runners and event loops raise."""


class RecursiveError(Exception):
    def __str__(self):
        return str(self)


def endless(n=0):
    return endless(n + 1)


RAISED = {
    "a lone surrogate": lambda: ValueError("bad \ud800 text"),
    "a text that raises": MuteError,
    "a text without an end": RecursiveError,
    "no text": ValueError,
    "many lines": lambda: ValueError("one\ntwo\x1b[31m"),
    "a long text": lambda: ValueError("x" * 10_000_000),
    "a zero byte": lambda: ValueError("a\0b"),
    "sys.exit(0)": lambda: SystemExit(0),
    "sys.exit()": SystemExit,
    "sys.exit(text)": lambda: SystemExit("good bye"),
    "GeneratorExit": GeneratorExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "StopIteration": StopIteration,
    "CancelledError": asyncio.CancelledError,
    "its own": Own,
    "a group": lambda: ExceptionGroup("two", [ValueError("a"), TypeError("b")]),
    "MemoryError": MemoryError,
    "a mute MemoryError": lambda: type("Mine", (MemoryError, MuteError), {})(),
    "out of memory": lambda: RuntimeError("CUDA out of memory"),
    "arguments that are no text": lambda: KeyError(object()),
    "InputError": lambda: InputError("no data\nin two lines"),
    "an error of the system": lambda: FileNotFoundError(2, "No such file", "data.bin"),
}


class Raises:
    def __init__(self, make):
        self.make = make

    def evaluate(self, make_activation, seed, budget=1.0):
        raise self.make()


@pytest.mark.parametrize("name", RAISED)
def test_whatever_an_evaluation_raises_is_an_outcome_that_can_be_kept(name):
    executor = InProcess(Raises(RAISED[name]), GRAMMAR)
    executor.submit(JOB)
    result = executor.next()
    executor.close()
    assert result is not None
    outcome = result.outcome
    memory = "emory" in name or name == "out of memory"
    assert outcome.status is (Status.out_of_memory if memory else Status.crashed)
    assert outcomes.storable(outcome) == outcome
    assert outcome.reason
    assert len(outcome.reason) < 1000
    outcome.reason.encode()
    assert unable(outcome) == ("no data" if name == "InputError" else "")


def test_recursion_without_an_end_is_an_outcome():
    outcome = perform(Raises(endless), GRAMMAR, JOB)
    assert outcome.status is Status.crashed
    assert outcome.reason.startswith("RecursionError")


def test_ctrl_c_is_told_from_an_interrupt_that_a_task_raises():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        executor = InProcess(Raises(lambda: signal.raise_signal(signal.SIGINT)), GRAMMAR)
        executor.submit(JOB)
        with pytest.raises(KeyboardInterrupt):
            executor.next()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_place_is_the_line_in_the_tasks_own_file():
    import json

    class Task:
        def evaluate(self, make_activation, seed, budget=1.0):
            json.loads("{")

    reason = perform(Task(), GRAMMAR, JOB).reason
    line = Task.evaluate.__code__.co_firstlineno + 1
    assert reason.startswith("JSONDecodeError: Expecting property name")
    assert f"(test_contained.py:{line}, in decoder.py:" in reason
    assert perform(Raises(ValueError), GRAMMAR, JOB).reason.startswith("ValueError (test_contained.py:")


def test_a_failure_without_a_traceback_has_an_outcome_too():
    assert failure(ValueError("made elsewhere"), 0.0).status is Status.crashed


@pytest.mark.parametrize("returned", [None, 0.5, "text", Outcome, {"score": 1}, float("nan")])
def test_what_is_no_outcome_is_a_failure(returned):
    class Task:
        def evaluate(self, make_activation, seed, budget=1.0):
            return returned

    outcome = perform(Task(), GRAMMAR, JOB)
    assert outcome.status is Status.crashed
    assert "it must return a symact.Outcome" in outcome.reason
