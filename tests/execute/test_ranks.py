"""Several processes train one network: the same training, and no hang where one of them dies."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from symact.execute import ranks, supervisor
from symact.execute.channel import Reader
from symact.execute.job import Job, WorkerSettings, perform
from symact.execute.local import WorkerProcesses
from symact.execute.reporting import REPORTED
from symact.execute.task_loading import describe, load
from symact.expr.operators import Vocabulary
from symact.expr.tree import parse, to_document
from symact.records import Outcome, Status

JOB = Job(0, 0, 3, to_document(parse("x*sigmoid(x)"), Vocabulary()))
# The last batch of an epoch is smaller, and of an odd number of rows.
TRAINING = {"subset": 223, "epochs": 3.0, "batch": 50, "ema": 0.9, "mixup": 0.3, "clip": 1.0, "label_smoothing": 0.1}
DEADLY = 7
DYING = f"""import os
import torch
from symact.tasks.builtin import DigitsDeep
class Dying(DigitsDeep):
    def network(self, make_activation):
        if torch.initial_seed() == {DEADLY} and os.environ["RANK"] == "1":
            os.kill(os.getpid(), 9)
        return super().network(make_activation)
"""

# The child keeps whatever its parent had open, and so does what the parent has started.
FORKING = """import os, signal, subprocess, sys, time
from symact.records import Outcome
class Forking:
    processes = 2
    def evaluate(self, make_activation, seed):
        if os.environ["RANK"] == "0":
            print("the first is here", flush=True)
            time.sleep(60)
        subprocess.Popen(["sleep", "61"], close_fds=False)
        if os.fork() == 0:
            return Outcome.finished(1.0)  # which is not this child's to tell
        if os.fork() == 0:
            time.sleep(60)
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)
"""

LAUNCHED = """import os
from symact.records import Outcome
class Launched:
    def evaluate(self, make_activation, seed):
        names = "RANK", "WORLD", "MASTER", "TORCHELASTIC"
        return Outcome.finished(0.0, seen={k: v for k, v in os.environ.items() if any(name in k for name in names)})
"""
LAUNCHER = dict.fromkeys(("RANK", "WORLD_SIZE", "MASTER_ADDR", "GROUP_RANK", "TORCHELASTIC_RUN_ID"), "2")

# To prepare takes longer than the limit, and the training does not end.
SLOW = """import os, time
class Slow:
    processes = 2
    def prepare(self):
        if "RANK" in os.environ:
            time.sleep(1)
            open(__file__ + os.environ["RANK"], "w").close()
    def evaluate(self, make_activation, seed):
        while True:
            time.sleep(1)
"""

FILLING = """import os
from symact.records import Outcome
class Filling:
    processes = 1
    def configure(self, settings):
        self.processes = settings["processes"]
    def evaluate(self, make_activation, seed):
        if self.processes == 1:
            return Outcome.finished(0.0)
        with open(__file__ + os.environ["RANK"], "a") as file:
            file.write("once ")
        raise MemoryError
"""

# The second process is told of another folder, as on a machine that does not share the first one's.
APART = """import os
from dataclasses import replace
from symact.tasks.builtin import DigitsDeep
class Apart(DigitsDeep):
    def configure(self, settings):
        super().configure(settings)
        if self.config.checkpoints and os.environ.get("RANK") == "1":
            self.config = replace(self.config, checkpoints=self.config.checkpoints + "-of-another")
"""


def settings(task: str, **train: Any) -> dict[str, Any]:
    described, file = describe(task, train)
    return asdict(WorkerSettings('[unary]\nrelu = "max(x, 0)"\n', described.model_dump(), file))


class Both(NamedTuple):
    """A training in two processes, what it has reported, and where it keeps checkpoints."""

    outcome: Outcome
    seen: list[tuple[int, int | None]]
    kept: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Both:
    seen: list[tuple[int, int | None]] = []
    kept = tmp_path_factory.mktemp("both") / "kept"
    outcome = ranks.evaluate(
        settings("digits-deep", processes=2, checkpoints=str(kept), **TRAINING),
        2,
        JOB,
        lambda step, score, of: seen.append((step, of)),
    )
    return Both(outcome, seen, kept)


@pytest.mark.slow
def test_two_processes_make_the_steps_of_one_and_the_first_reports(trained: Both) -> None:
    described, file = describe("digits-deep", TRAINING)
    alone = perform(load(described, file, None), Vocabulary(), JOB)
    both = trained.outcome
    assert both.status is Status.finished, both.reason
    assert trained.seen == [(1, 3), (2, 3), (3, 3)]
    assert both.metrics["steps"] == alone.metrics["steps"] == 15
    for name in ("train_loss", "loss", "accuracy"):
        rows = [[row[name] for row in found.metrics["curve"]] for found in (both, alone)]
        assert rows[0] == pytest.approx(rows[1], rel=1e-4)
    assert list(trained.kept.iterdir()) == []


@pytest.mark.slow
def test_a_training_goes_on_from_what_the_first_has_kept_and_one_that_is_pruned_leaves_nothing(
    trained: Both, tmp_path: Path
) -> None:
    (tmp_path / "task.py").write_text(APART)
    kept = tmp_path / "kept"
    known = settings(f"{tmp_path / 'task.py'}:Apart", processes=2, checkpoints=str(kept), **TRAINING)

    def kill(step: int, score: float, of: int | None) -> None:
        if step == 2:
            (second,) = (p for p in psutil.Process().children() if p.environ().get("RANK") == "1")
            second.kill()

    killed = ranks.evaluate(known, 2, JOB, kill)
    assert (killed.status, killed.reason) == (Status.crashed, "process 2 of 2 was killed by SIGKILL")
    assert len(list(kept.iterdir())) == 1
    assert ranks.evaluate(known, 2, JOB, None).metrics["curve"] == trained.outcome.metrics["curve"]
    pruned = ranks.evaluate(known, 2, replace(JOB, bars=((2, 2.0),)), None)
    assert pruned.status is Status.pruned
    assert len(pruned.metrics[REPORTED]) == 2
    assert list(kept.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("kept")) == ["kept"]


@pytest.mark.slow
def test_a_process_that_dies_is_a_failed_evaluation_and_the_worker_goes_on(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(DYING)
    known = WorkerSettings(**settings(f"{tmp_path / 'task.py'}:Dying", processes=2, subset=60, epochs=1.0))
    workers = WorkerProcesses(known, 1)
    try:
        for job in (JOB, replace(JOB, number=1, seed=DEADLY)):
            workers.submit(job)
        found = {result.job.number: result.outcome for result in (workers.next(), workers.next()) if result}
    finally:
        workers.close()
    assert found[0].status is Status.finished, found[0].reason
    assert (found[1].status, found[1].reason) == (Status.crashed, "process 2 of 2 was killed by SIGKILL")


@pytest.mark.slow
def test_a_process_that_dies_is_noticed_and_ends_with_its_family_whoever_holds_its_pipe(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "task.py").write_text(FORKING)
    monkeypatch.setenv("SYMACT_TEST", str(tmp_path))
    found = ranks.evaluate(settings(f"{tmp_path / 'task.py'}:Forking"), 2, JOB, None)
    assert (found.status, found.reason) == (Status.crashed, "process 2 of 2 was killed by SIGKILL")
    assert "the first is here" in capfd.readouterr().out
    assert [p for p in psutil.process_iter() if p.pid != os.getpid() and marked(p, str(tmp_path))] == []


def marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get("SYMACT_TEST") == mark
    except psutil.Error:
        return False


def test_a_limit_of_time_begins_when_all_processes_have_prepared_the_task(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(SLOW)
    workers = WorkerProcesses(WorkerSettings(**settings(f"{tmp_path / 'task.py'}:Slow") | {"timeout": 0.5}), 1)
    try:
        workers.submit(JOB)
        result = workers.next(300)
    finally:
        workers.close()
    assert result is not None
    assert (result.outcome.status, result.outcome.reason) == (Status.timed_out, "not finished within 0.5 s")
    assert {path.name for path in tmp_path.glob("task.py?")} == {"task.py0", "task.py1"}


def test_a_process_that_is_not_ready_in_time_is_a_failed_training(monkeypatch: pytest.MonkeyPatch) -> None:
    class Started:
        outcome, failed, died = None, False, False

        def __init__(self, number: int, count: int, port: int):
            self.ready, self.name = number != 1, f"process {number + 1} of {count}"
            reading, self.writing = os.pipe()
            self.lines = Reader(reading)

        def begin(self, message: str) -> None:
            pass

        def end(self) -> None:
            os.close(self.lines.descriptor)
            os.close(self.writing)

    begun: list[bool] = []
    monkeypatch.setattr(ranks, "_Rank", Started)
    monkeypatch.setattr(ranks, "START_SECONDS", 0.0)
    found = ranks.evaluate({}, 3, JOB, None, lambda: begun.append(True))
    assert (found.status, found.reason) == (Status.crashed, "process 2 of 3 was not ready to train within 0 s")
    assert begun == []
    assert supervisor.HOLD_SECONDS > supervisor.START_SECONDS, "else the study ends before the training has failed"


def test_processes_that_run_out_of_memory_are_believed_whomever_their_worker_has_served(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(FILLING)
    workers = WorkerProcesses(WorkerSettings(**settings(f"{tmp_path / 'task.py'}:Filling")), 1)
    try:
        for job in (JOB, replace(JOB, number=1, train={"processes": 2})):
            workers.submit(job)
        found = [result.outcome.status for result in (workers.next(), workers.next()) if result]
    finally:
        workers.close()
    assert found == [Status.finished, Status.out_of_memory]
    assert (tmp_path / "task.py0").read_text() == "once "


def test_the_processes_meet_where_no_other_machine_reaches() -> None:
    store = ranks._store()
    listening = [c.laddr.ip for c in psutil.Process().net_connections("tcp") if c.laddr.port == store.port]
    assert listening
    assert set(listening) == {"127.0.0.1"}


def test_the_first_is_ended_where_the_second_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []

    class Only:
        def __init__(self, number: int, count: int, port: int):
            if number:
                raise OSError("no more processes")
            begun.append(self)

        def end(self) -> None:
            begun.remove(self)

    monkeypatch.setattr(ranks, "_Rank", Only)
    with pytest.raises(OSError, match="no more processes"):
        ranks.evaluate({}, 2, JOB, None)
    assert begun == []


def test_a_worker_is_told_nothing_of_the_processes_that_a_launcher_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "task.py").write_text(LAUNCHED)
    for name, value in LAUNCHER.items():
        monkeypatch.setenv(name, value)
    workers = WorkerProcesses(WorkerSettings(**settings(f"{tmp_path / 'task.py'}:Launched")), 1)
    try:
        workers.submit(JOB)
        result = workers.next()
    finally:
        workers.close()
    assert result is not None
    assert result.outcome.metrics["seen"] == {}
