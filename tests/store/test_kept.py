"""Whatever an evaluation returns can be stored, and whatever is stored is read back as it was."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symact.records import Outcome, Status
from symact.store import Asked, Evaluation, Settings, Store, TaskSettings, outcomes

DOCUMENT = {"expressions": ["tanh(x)"], "parameters": []}


def new(folder):
    task = TaskSettings(kind="name", name="digits-deep")
    made = Settings.build(grammar='[unary]\ntanh = "tanh(x)"', space="main", task=task, optimizer="random")
    return Store.create(folder, made)


def ask(store, number):
    store.record_batch([Asked(number, 0, "random", 1.0, 1, None, None, "0", DOCUMENT)], {} if number else {0: DOCUMENT})


class Loud:
    """A value that raises whenever it is looked at."""

    def __str__(self):
        raise RuntimeError("looked at")

    __repr__ = tolist = __len__ = __float__ = __str__


class Long(dict):
    def items(self):
        return ((f"{number:01000}", 1.0) for number in range(20_000))


def nested(depth):
    value = 1.0
    for _ in range(depth):
        value = [value]
    return value


HOSTILE = {
    "9 MB of text": {"log": "x" * 9_000_000},
    "17 MB of text": {"log": "x" * 17_000_000},
    "40 MB of text": {"log": "x" * 40_000_000},
    "escapes that grow": {"log": "\x00" * 2_000_000},
    "800,000 floats": {"curve": [math.pi] * 800_000},
    "an array": {"weights": np.full(900_000, math.pi)},
    "a tensor": {"weights": torch.full((900_000,), math.pi, dtype=torch.float64)},
    "401 digits": {"big": 10**400},
    "5,000 digits": {"big": 10**5000},
    "just beyond float64": {"big": int(sys.float_info.max) + 10**300},
    "64 bits": {"big": 2**64},
    "half a surrogate pair": {"text": "a\ud800b"},
    "half a pair in a key": {"\udfff": 1},
    "zero bytes": {"text": "a\0b", "\0": 1},
    "NaN and infinities": {"a": math.nan, "b": [math.inf, -math.inf], "c": np.float32("nan")},
    "40 deep": {"a": nested(39)},
    "41 deep": {"a": nested(41)},
    "5,000 deep": {"a": nested(5000)},
    "an object": {"a": object()},
    "complex": {"a": 1j},
    "bytes": {"a": b"bytes"},
    "loud": {"a": Loud()},
    "a loud key": {Loud(): 1},
    "20 MB of keys": {"a": Long()},
    "sets and tuples": {"a": {1, 2}, "b": (1, (2, 3))},
    "keys of numbers": {1: "a", 1.5: "b", None: "c"},
    "an empty key": {"": ""},
    "subnormal": {"a": 5e-324, "b": -0.0},
}
CONSTANTS = {
    "text": ({"beta": "1"},),
    "a matrix": ({"beta": [[1.0]]},),
    "a tensor": ({"beta": torch.tensor([1.0, 2.0])},),
    "NaN": ({"beta": math.nan},),
    "no mapping": (3,),
    "8 MB": ({"beta": [math.pi] * 500_000},),
    "none": None,
}


def outcome_of(name):
    if name in HOSTILE:
        return Outcome(Status.finished, 0.5, "", HOSTILE[name], ())
    return Outcome(Status.finished, 0.5, "", {}, CONSTANTS[name.removeprefix("constants: ")])


@pytest.mark.parametrize("name", [*HOSTILE, *(f"constants: {name}" for name in CONSTANTS)])
def test_what_a_task_returns_never_makes_a_study_unreadable(tmp_path, name):
    with new(tmp_path / "run") as store:
        for number, outcome in enumerate([outcome_of(name), Outcome.failed("diverged", "why"), Outcome.finished(0.75)]):
            ask(store, number)
            if number == 1:
                outcome = Outcome(Status.diverged, None, "why", outcome_of(name).metrics)
            told = store.record_evaluation(Evaluation(number, 0, 7, outcome, 1.0))
            assert store.evaluations_of(number) == [told]
    with Store.open(tmp_path / "run", readonly=False) as store:
        first, second, third = store.evaluations()
    assert third.outcome.score == 0.75
    assert second.outcome.status is Status.diverged, "a failure keeps its own status"
    assert second.outcome.reason.startswith("why")
    if first.outcome.status is not Status.finished:
        assert first.outcome.status is Status.crashed
        assert first.outcome.reason.startswith("what the task returned cannot be kept: ")
        assert first.outcome.reason.isprintable()


@pytest.mark.parametrize("name", ["9 MB of text", "17 MB of text", "800,000 floats", "escapes that grow"])
def test_what_is_too_large_says_how_large_and_what_is_kept(name):
    kept = outcomes.storable(outcome_of(name))
    assert "characters; at most 8,000,000 are kept" in kept.reason


def test_the_limit_itself_is_kept_and_read_back(tmp_path):
    room = outcomes.MAXIMUM_CHARACTERS - len('{"log":""}') - len("[]")
    with new(tmp_path / "run") as store:
        ask(store, 0)
        told = store.record_evaluation(Evaluation(0, 0, 7, Outcome.finished(0.5, log="x" * room), 1.0))
        assert told.outcome.status is Status.finished
        ask(store, 1)
        more = store.record_evaluation(Evaluation(1, 0, 7, Outcome.finished(0.5, log="x" * (room + 1)), 1.0))
        assert more.outcome.status is Status.crashed
    with Store.open(tmp_path / "run") as store:
        assert store.evaluations() == [told, more]


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, 0, 1e300])
def test_any_time_can_be_kept(tmp_path, seconds):
    with new(tmp_path / "run") as store:
        ask(store, 0)
        told = store.record_evaluation(Evaluation(0, 0, 7, Outcome.finished(0.5), seconds))
        assert store.evaluations() == [told]


@pytest.mark.parametrize("reason", ["\ud800", "x" * 100_000, "a\0b", "é" * 3000, "\x1b[31m", "", "\U0001f41e" * 3000])
def test_any_reason_can_be_kept(tmp_path, reason):
    with new(tmp_path / "run") as store:
        ask(store, 0)
        told = store.record_evaluation(Evaluation(0, 0, 7, Outcome(Status.crashed, None, reason), 1.0))
        assert told.outcome.status is Status.crashed
    with Store.open(tmp_path / "run") as store:
        assert store.evaluations() == [told]


TEXT = st.text(st.characters(codec=None), max_size=20)
NUMBERS = st.floats() | st.integers() | st.integers(-(10**400), 10**400) | st.booleans() | st.none()
VALUES = st.recursive(
    NUMBERS | TEXT, lambda v: st.lists(v, max_size=4) | st.dictionaries(TEXT, v, max_size=4), max_leaves=12
)
OUTCOMES = st.builds(
    Outcome,
    st.sampled_from(Status),
    NUMBERS,
    TEXT,
    st.dictionaries(TEXT, VALUES, max_size=4),
    st.lists(st.dictionaries(TEXT, st.floats() | st.lists(st.floats(), max_size=3), max_size=3), max_size=2).map(tuple),
)


@given(st.lists(OUTCOMES, min_size=1, max_size=8))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_written_is_read_back_as_it_was(made):
    with new(None) as store:
        told = []
        for number, outcome in enumerate(made):
            ask(store, number)
            told.append(store.record_evaluation(Evaluation(number, 0, 7, outcome, 1.0)))
        assert store.evaluations() == told
        for evaluation in told:
            assert outcomes.storable(evaluation.outcome) == evaluation.outcome, "what is kept may be kept again"
