"""Nobody waits in vain: stopped and broken supervisors, clocks that count the candidate alone, forged messages."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symact.backends.cpu import library
from symact.errors import SymactError
from symact.execute import local, marks, processes
from symact.execute.channel import ChannelLostError, GuardedPipe, Reader, Writer
from symact.execute.job import Job, WorkerSettings
from symact.execute.local import WorkerProcesses
from symact.execute.task_loading import describe
from symact.execute.watched_worker import WatchedWorker
from symact.records import Status
from tests.execute import stub_tasks as stubs

pytestmark = pytest.mark.usefixtures("family")
TEXT = stubs.grammar_text()


def settings(task, **changes):
    described, file = describe(task)
    return WorkerSettings(TEXT, described.model_dump(), file, **changes)


def job(number, text="add(sine(x),tanh(x))"):
    return Job(number, 0, 5, {"expressions": [text], "parameters": []})


def run(executor, count=1):
    for number in range(count):
        executor.submit(job(number))
    results = [executor.next(60) for _ in range(count)]
    assert None not in results, "nothing came within a minute"
    return [result.outcome for result in sorted(results, key=lambda r: r.job.number)]


def write(folder, text, name="task.py"):
    file = folder / name
    file.write_text(textwrap.dedent(text))
    return f"{file}:Task"


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


SLOW_NEIGHBOUR = "import time\ntime.sleep({seconds})\n"
LAZY = {
    "symact alone": "act = make_activation()",
    "torch": "import torch\nact = make_activation()",
    "torch first": "import torch\nlayer = torch.nn.Linear(2, 2)\nmake_activation()",
    "part of torch": "from torch import nn\nmake_activation()",
    "renamed": "import torch.nn.functional as F\nF.relu",
    "by name": "import importlib\nimportlib.import_module('slow_neighbour')\nmake_activation()",
    "by its own name": "from importlib import import_module\nimport_module('slow_neighbour')",
    "by the built-in": "__import__('slow_neighbour')",
    "a neighbour": "import slow_neighbour",
    "from a neighbour": "from slow_neighbour import time",
    "nested": "def inner():\n    import slow_neighbour\ninner()",
    "conditional": "if budget:\n    import slow_neighbour",
    "tried": "try:\n    import no_such_module\nexcept ImportError:\n    import slow_neighbour",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LAZY)
def test_imports_are_no_part_of_the_time_of_a_candidate(tmp_path, kind):
    """Nor are those of the worker that replaces one whose candidate has timed out."""
    (tmp_path / "slow_neighbour.py").write_text(SLOW_NEIGHBOUR.format(seconds=8))
    body = textwrap.indent(LAZY[kind], " " * 8)
    text = (
        f"from symact import Outcome\nclass Task:\n    def evaluate(self, make_activation, seed, budget=1.0):\n{body}\n"
    )
    task = write(tmp_path, text + "        return Outcome.finished(1.0)\n")
    executor = WorkerProcesses(settings(task, timeout=5.0), 1)
    try:
        for _ in range(2):
            (outcome,) = run(executor)
            assert outcome.status is Status.finished, outcome.reason
            os.kill(executor.workers[0], signal.SIGKILL)
    finally:
        executor.close()


def test_what_a_task_prepares_is_no_part_of_the_time_of_a_candidate(tmp_path):
    task = write(
        tmp_path,
        """
        import time
        from symact import Outcome
        class Task:
            def prepare(self):
                time.sleep(2)
                self.ready = True
            def evaluate(self, make_activation, seed, budget=1.0):
                return Outcome.finished(float(self.ready))
        """,
    )
    executor = WorkerProcesses(settings(task, timeout=1.0), 1)
    try:
        assert [o.score for o in run(executor, 2)] == [1.0, 1.0]
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


def test_a_pipe_is_used_while_it_is_that_pipe_and_no_longer(tmp_path):
    reading, writing = os.pipe()
    pipe = GuardedPipe(writing)
    number = pipe.check()
    assert number > 200
    pipe.write("a line")
    assert os.read(reading, 100) == b"a line\n"
    with open(tmp_path / "own", "w+b") as own:
        os.dup2(own.fileno(), number)
        with pytest.raises(ChannelLostError, match="reused"):
            pipe.write("a result")
        os.close(number)
        with pytest.raises(ChannelLostError, match="closed"):
            pipe.write("a result")
        assert own.read() == b""
    os.close(reading)


def test_writing_does_not_wait_for_a_reader_that_does_not_read():
    reading, writing = os.pipe()
    writer, reader, text = Writer(writing), Reader(reading), "x" * 3_000_000
    writer.send(text)
    writer.send("end")
    lines = []
    while len(lines) < 2:
        lines += reader.read()
        writer.flush()
    assert lines == [text, "end"]
    os.close(reading)
    writer.send("to nobody")
    assert writer.lost
    os.close(writing)


def test_a_process_is_known_by_its_start_on_the_kernels_clock():
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        seen = processes.look(child.pid)
        assert (seen.parent, seen.is_alive) == (os.getpid(), True)
        ticks = os.sysconf("SC_CLK_TCK")
        assert abs(seen.start / ticks - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60
        other = processes.Process(seen.pid, seen.start + 1, seen.parent, seen.session, seen.state)
        processes.send(other, signal.SIGKILL)  # whose id it has now is nobody's business
        time.sleep(0.1)
        assert child.poll() is None
        processes.send(seen, signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL


@pytest.fixture(scope="module")
def driver():
    """A living process with a mark of its own, and one that has ended."""
    code = "from symact.execute import marks; print(marks.mark(), flush=True); input()"
    with (
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as alive,
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as ended,
    ):
        marks_of = alive.stdout.readline().strip(), ended.stdout.readline().strip()
        ended.kill()
        ended.wait()
        yield marks_of
        alive.kill()


def changed(mark, index, value):
    fields = mark.split(":")
    fields[index] = value
    return ":".join(fields)


# Of a mark whose driver lives, in whole or in part: any of these is spared.
SPARED = [
    lambda alive, ended: alive,
    lambda alive, ended: alive + ":more",
    *(
        lambda alive, ended, step=step: changed(alive, 1, str(int(alive.split(":")[1]) + step))
        for step in (-500, 1, 500)
    ),
    lambda alive, ended: changed(alive, 4, "0" * 16),
    lambda alive, ended: changed(alive, 0, ended.split(":")[0]),
    lambda alive, ended: changed(ended, 4, alive.split(":")[4]),
    lambda alive, ended: changed(ended, 2, "another boot"),
    lambda alive, ended: changed(ended, 3, "1"),
    lambda alive, ended: changed(ended, 0, "x"),
    lambda alive, ended: changed(ended, 1, ""),
    lambda alive, ended: "",
    lambda alive, ended: ":::::",
    lambda alive, ended: f"{ended.split(':')[0]}:1700000000.00:4026531836",
    lambda alive, ended: ended.rpartition(":")[0],
]


@pytest.mark.parametrize("variant", range(len(SPARED)))
def test_what_a_living_process_or_a_held_lock_protects_is_not_swept(driver, variant):
    assert marks.is_driver_alive(SPARED[variant](*driver))


def test_what_an_ended_driver_has_left_is_swept(driver):
    _, ended = driver
    assert not marks.is_driver_alive(ended)
    assert not marks.is_driver_alive(ended + ":slot")
    left = subprocess.Popen(["sleep", "1000"], env={**os.environ, marks.MARK: ended})
    try:
        assert marks.sweep() >= 1
        assert left.wait(5) == -signal.SIGKILL
    finally:
        left.kill()


def test_the_clock_of_the_wall_is_not_asked(monkeypatch, driver):
    """Whatever the time of day is, and whatever psutil makes of it."""
    alive, ended = driver
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(psutil, "boot_time", lambda: 1e9)
    assert marks.is_driver_alive(alive)
    assert not marks.is_driver_alive(ended)
    assert marks.mark().split(":")[:4] == marks.mark().split(":")[:4]


def test_the_native_library_is_built_once_before_any_clock_starts(tmp_path, monkeypatch):
    """A build in each worker would take its candidate's time and memory."""
    if library.load() is None:
        pytest.skip("no C++ compiler here")
    plain = library.build().read_bytes()[: -len(library._END) - library._DIGEST]
    built = []

    def compile_library(compiler, folder):
        built.append(os.getpid())
        time.sleep(3)
        (folder / "library.so").write_bytes(plain)
        return folder / "library.so"

    cache = tmp_path / "cache"
    monkeypatch.setenv("SYMACT_CACHE", str(cache))
    monkeypatch.setattr(library, "compile_library", compile_library)
    task = write(
        tmp_path,
        """
        import torch
        from symact import Outcome
        from symact.backends.cpu import library
        class Task:
            def evaluate(self, make_activation, seed, budget=1.0):
                make_activation()(torch.ones(3))
                return Outcome.finished(1.0, isa=library.isa())
        """,
    )
    executor = WorkerProcesses(settings(task, timeout=2.0, memory=2**30), 2)
    try:
        found = run(executor, 4)
    finally:
        executor.close()
    assert [o.status for o in found] == [Status.finished] * 4, [o.reason for o in found]
    assert {o.metrics["isa"] for o in found} == {library.isa()}
    assert built == [os.getpid()]
    assert {entry.suffix for entry in cache.iterdir()} == {".so", ".lock"}
