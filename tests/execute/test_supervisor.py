"""Nobody waits in vain: supervisors and workers that are stopped, or cannot start, and what one candidate leaves."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from symact.errors import SymactError
from symact.execute import local
from symact.execute.local import WorkerProcesses
from symact.records import Status
from tests.execute import stub_tasks as stubs
from tests.execute.running import job, run, settings, write

pytestmark = pytest.mark.usefixtures("family")


@pytest.mark.parametrize("victim", ["supervisor", "worker", "both"])
@pytest.mark.parametrize("when", ["idle", "busy"])
def test_whoever_is_stopped_is_noticed(victim, when):
    executor = WorkerProcesses(settings(stubs.named("Timed")), 1)
    try:
        run(executor)
        if when == "busy":
            executor.submit(job(7))
            time.sleep(0.1)
        pids = {"supervisor": executor.supervisors, "worker": executor.workers}
        for pid in pids.get(victim, executor.supervisors + executor.workers):
            os.kill(pid, signal.SIGSTOP)
        if when == "idle":
            executor.submit(job(7))
        result = executor.next(60)
        assert result is not None, "the study hangs"
        assert result.outcome.status is Status.finished
    finally:
        executor.close()


BROKEN = {
    "ends": "pass",
    "fails": "raise RuntimeError('this module is broken')",
    "syntax": "this is no Python",
    "import": "import symact.no_such_module",
    "exit": "raise SystemExit(0)",
    "leaves": "import os; os._exit(3)",
    "segfault": "import os; os.kill(os.getpid(), 11)",
    "killed": "import os; os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_supervisors_that_cannot_start_end_the_study_with_one_line(monkeypatch, kind):
    monkeypatch.setattr(local, "command", lambda *arguments: [sys.executable, "-S", "-c", BROKEN[kind]])
    executor = WorkerProcesses(settings(stubs.named("Quick")), 2)
    try:
        with pytest.raises(SymactError, match="a worker process cannot be started: ") as failure:
            run(executor)
        assert "\n" not in str(failure.value)
    finally:
        executor.close()


@pytest.mark.parametrize(
    "line",
    ["raise SystemExit(3)", "import os; os._exit(3)", "import os; os.kill(os.getpid(), 11)", "import os; os.abort()"],
)
def test_workers_that_cannot_start_end_the_study_with_one_line(tmp_path, line):
    executor = WorkerProcesses(settings(write(tmp_path, f"{line}\nclass Task: pass")), 1)
    try:
        with pytest.raises(SymactError, match=r"worker could not start|cannot be imported") as failure:
            run(executor)
        assert "\n" not in str(failure.value)
    finally:
        executor.close()


def test_memory_that_one_candidate_has_left_is_not_held_against_the_next(tmp_path):
    task = write(
        tmp_path,
        """
        import os
        from symact import Outcome
        LEFT = []
        class Task:
            def evaluate(self, make_activation, seed, budget=1.0):
                LEFT.append(bytearray(os.urandom(1 << 20)) * 150)
                import time; time.sleep(0.2)
                return Outcome.finished(len(LEFT))
        """,
    )
    executor = WorkerProcesses(settings(task, memory=600 * 2**20), 1)
    try:
        found = run(executor, 6)
    finally:
        executor.close()
    assert [o.status for o in found] == [Status.finished] * 6, [o.reason for o in found]
    assert 1.0 in [o.score for o in found[1:]], "no worker was replaced, so this shows nothing"
