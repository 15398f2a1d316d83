"""Only what the worker process itself says of the job at hand is an answer."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from symact.execute.job import Job
from symact.execute.local import WorkerProcesses
from symact.execute.watched_worker import WatchedWorker


def job(number):
    return Job(number, 0, 5, {"expressions": ["x"], "parameters": []})


def watched(nonce):
    made = WatchedWorker.__new__(WatchedWorker)
    made._nonce = nonce
    return made


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | json_values.map(json.dumps) | st.binary().map(lambda b: b.decode("latin-1")))
def test_no_line_without_the_word_of_the_process_is_a_message(line):
    assert watched("5f0c").message(line) is None


@given(st.dictionaries(st.sampled_from(["job", "result", "ready", "hold", "lost", "nonce"]), json_values))
def test_no_answer_that_is_not_for_the_job_is_taken(message):
    executor = WorkerProcesses.__new__(WorkerProcesses)
    executor._results, executor._tries = [], {}
    slot = type("Slot", (), {"nonce": "a1", "job": job(3), "number": 12, "ready": True, "session": 0})()
    if message.get("nonce") == "a1" and message.get("job") == 12:
        return
    executor._hear(slot, {key: value for key, value in message.items() if key not in ("failed", "worker")})
    assert slot.job is not None
    assert executor._results == []
