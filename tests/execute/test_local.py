"""Executors on this machine: whatever a candidate does is an outcome, and nothing outlives its study."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import asdict

import numpy as np
import psutil
import pytest

from symact.execute import devices, marks
from symact.execute.job import Job, WorkerSettings, decode_arrays, unable
from symact.execute.local import InProcess, WorkerProcesses
from symact.execute.task_loading import describe
from symact.program.loading import parse_grammar
from symact.records import Outcome, Status
from tests.execute import stub_tasks as stubs

pytestmark = pytest.mark.usefixtures("family")
TEXT = stubs.grammar_text(*stubs.MODES)


def settings(task="Wild", **changes):
    described, file = describe(stubs.named(task))
    return WorkerSettings(**{"grammar": TEXT, "task": described.model_dump(), "file": file, **changes})


def job(number, text="add(sine(x),tanh(x))", kind="evaluate"):
    return Job(number, 0, 5, {"expressions": [text], "parameters": []}, kind=kind)


def outcomes(executor, jobs):
    for each in jobs:
        executor.submit(each)
    results = {}
    while len(results) < len(jobs):
        result = executor.next(60)
        assert result is not None
        results[result.job.number] = result.outcome
    return results


@pytest.fixture
def pool(request):
    made = []

    def make(workers=1, **changes):
        made.append(WorkerProcesses(settings(**changes), workers))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_worker_gives_the_outcome_that_this_process_gives(pool):
    jobs = [job(n, t) for n, t in enumerate(["sine(x)", "add(sine(x),tanh(x))", "x*sigmoid(x)", "bell(cube(x))"])]
    here = InProcess(stubs.Wild(), parse_grammar(TEXT))
    expected = outcomes(here, jobs)
    found = outcomes(pool(2), jobs)
    assert {n: o.score for n, o in found.items()} == {n: o.score for n, o in expected.items()}
    assert all(o.metrics["process"] != os.getpid() for o in found.values())


@pytest.mark.parametrize(
    ("mode", "status", "reason"),
    [
        ("hang", Status.timed_out, "not finished within 1 s"),
        ("segfault", Status.crashed, "SIGSEGV"),
        ("exit", Status.crashed, "exit code 3"),
        ("raises", Status.crashed, "ValueError: this candidate raises (stub_tasks.py:"),
        ("memory", Status.out_of_memory, "more than the limit of 300 MB"),
        ("memoryerror", Status.out_of_memory, "MemoryError"),
        ("killed", Status.crashed, "SIGKILL (3 times)"),
        ("quits", Status.crashed, "SystemExit: enough"),
        ("garbage", Status.crashed, "evaluate returned dict"),
        ("nan", Status.nonfinite, "nan"),
    ],
)
def test_a_misbehaviour_is_an_outcome_with_its_reason_and_the_next_candidate_is_evaluated(pool, mode, status, reason):
    found = outcomes(pool(timeout=1.0, memory=300 * 2**20), [job(0, f"add({mode}(x),x)"), job(1), job(2)])
    assert found[0].status is status
    assert reason in found[0].reason
    assert "\n" not in found[0].reason
    assert found[0].score is None
    assert found[1].status is found[2].status is Status.finished


def test_two_hundred_processes_of_a_candidate_are_ended_with_it(pool, tmp_path):
    sign = tmp_path / "started"
    found = outcomes(pool(timeout=6.0, data=str(sign)), [job(0, "bomb(x)"), job(1)])
    assert sign.exists(), "the candidate was stopped before it had started them all"
    assert found[0].status is Status.timed_out
    assert found[1].status is Status.finished
    started = [p for p in psutil.process_iter() if "time.sleep(3600)" in " ".join(_command(p))]
    assert not started


def _command(process):
    try:
        return process.cmdline() if process.status() != psutil.STATUS_ZOMBIE else []
    except psutil.Error:
        return []


def test_memory_of_the_children_of_a_worker_counts(pool):
    found = outcomes(pool(timeout=30.0, memory=400 * 2**20), [job(0, "bomb(x)")])
    assert found[0].status is Status.out_of_memory


def test_a_candidate_that_cannot_be_read_or_compiled_is_rejected(pool):
    found = outcomes(pool(), [job(0, "add(sine(x)"), job(1, "unknown(x)"), job(2)])
    assert [found[n].status for n in range(3)] == [Status.rejected, Status.rejected, Status.finished]


def test_workers_use_one_thread_each(pool, tmp_path):
    file = tmp_path / "threads.py"
    file.write_text(
        "import os, torch\nfrom symact import Outcome\nclass Threads:\n"
        "    def evaluate(self, make_activation, seed, budget=1.0):\n"
        "        return Outcome.finished(torch.get_num_threads(), omp=os.environ['OMP_NUM_THREADS'])\n"
    )
    described, path = describe(f"{file}:Threads")
    executor = WorkerProcesses(WorkerSettings(TEXT, described.model_dump(), path), 1)
    try:
        assert outcomes(executor, [job(0)])[0].metrics["omp"] == "1"
        assert outcomes(executor, [job(1)])[1].score == 1.0
    finally:
        executor.close()


def test_each_worker_gets_a_device_in_turn(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert devices.devices() == ["3", "5"]
    executor = WorkerProcesses(settings(), 3)
    try:
        assert [slot.device for slot in executor._slots] == ["3", "5", "3"]
    finally:
        executor.close()


def test_an_error_that_the_task_declares_its_own_is_told_from_one_of_the_candidate(pool):
    executor = pool(task="WithoutData")
    executor.submit(job(0))
    result = executor.next()
    assert result is not None
    assert unable(result.outcome) == "the data set is not there; give --data DIR"
    assert unable(Outcome.failed("crashed", "InputError: said by another")) == ""


def test_features_come_back_as_arrays(pool):
    outcome = outcomes(pool(task="Featured"), [job(0, "sine(x)", kind="features")])[0]
    arrays = decode_arrays(outcome.metrics["features"])
    assert arrays["outputs"].shape == (3,)
    assert bool(arrays["finite"])


def test_a_job_whose_worker_or_supervisor_is_killed_from_outside_is_done_again(pool):
    executor = pool(2, task="Slow")
    for number in range(40):
        executor.submit(job(number, f"sine(x) + {number}"))
    found, killed = {}, 0
    while len(found) < 40:
        result = executor.next(60)
        found[result.job.number] = result.outcome.status
        if len(found) in (5, 12, 20, 28):
            victims = executor.workers if killed % 2 else executor.supervisors
            os.kill(victims[killed % len(victims)], signal.SIGKILL)
            killed += 1
    assert killed == 4
    assert set(found.values()) == {Status.finished}


DRIVER = """
import sys, time
from symact.execute.job import Job, WorkerSettings
from symact.execute.local import WorkerProcesses
from symact.execute.task_loading import describe
described, file = describe({task!r})
executor = WorkerProcesses(WorkerSettings({grammar!r}, described.model_dump(), file, data={data!r}), 2)
executor.submit(Job(0, 0, 5, {{"expressions": ["hang(x)"], "parameters": []}}))
executor.submit(Job(1, 0, 5, {{"expressions": [{second!r}], "parameters": []}}))
executor.next(1.0)
while not (executor.workers and all(slot.ready for slot in executor._slots)):
    executor.next(0.1)
executor.next(2.0)
print(*executor.supervisors, *executor.workers, flush=True)
executor.next(1000)
"""


@pytest.mark.parametrize("also", ["driver", "driver and supervisors"])
def test_no_worker_outlives_a_driver_that_is_killed(tmp_path, also):
    sign = tmp_path / "started"
    code = DRIVER.format(task=stubs.named("Wild"), grammar=TEXT, data=str(sign), second="bomb(x)")
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as driver:
        pids = list(map(int, driver.stdout.readline().split()))
        while not sign.exists():
            time.sleep(0.05)
        assert len(pids) == 4
        driver.kill()
        if also != "driver":
            for supervisor in pids[:2]:
                os.kill(supervisor, signal.SIGKILL)
        driver.wait()
    deadline = time.monotonic() + 10
    while any(_command_of(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if _command_of(pid)], "a worker outlived its driver"
    marks.sweep()  # what the children of workers do when driver and supervisors were killed at once
    assert not [p for p in psutil.process_iter() if "time.sleep(3600)" in " ".join(_command(p))]


def _command_of(pid):
    try:
        return _command(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return []


def test_sweeping_spares_the_workers_of_a_living_driver(pool):
    executor = pool(task="Slow")
    outcomes(executor, [job(0)])
    marks.sweep()
    assert outcomes(executor, [job(1)])[1].status is Status.finished
    assert all(_command_of(pid) for pid in executor.workers)


def test_results_in_this_process_do_not_depend_on_its_threads(set_threads):
    import torch

    set_threads(2)
    seen = []

    class Task:
        def evaluate(self, make_activation, seed, budget=1.0):
            seen.append(torch.get_num_threads())
            return stubs.Outcome.finished(np.float32(0.5))

    executor = InProcess(Task(), parse_grammar(TEXT))
    assert outcomes(executor, [job(0)])[0].score == 0.5
    executor.close()
    assert (seen, torch.get_num_threads()) == ([1], 2)


def test_settings_of_workers_are_plain_data():
    import json

    assert json.loads(json.dumps(asdict(settings()))) == asdict(settings())
