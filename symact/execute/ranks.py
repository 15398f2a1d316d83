"""A job in several processes that train together, started as torchrun would start them.

A task says by its attribute `processes` how many evaluate a candidate. They are started for each job, with the job and
the settings as JSON text, and meet by the variables that torchrun sets (`RANK`, `WORLD_SIZE`, `LOCAL_RANK`,
`MASTER_ADDR`, `MASTER_PORT`). The process that starts them trains nothing: it listens, and where one dies or fails it
ends the others, since they would wait for it. What the first of them says is the outcome. Each
says when it has loaded and prepared the task: a limit of time counts the training alone, and the start has its own.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from symact.errors import SymactError
from symact.execute import global_state, processes, warm_up
from symact.execute import task_loading as tasks
from symact.execute.channel import ChannelLostError, GuardedPipe, Reader
from symact.execute.job import Job, failure, perform
from symact.execute.reporting import Report, Tell
from symact.execute.supervisor import CHANNEL_LOST, CLOSED, START_SECONDS
from symact.execute.watched_worker import command
from symact.records import Outcome, Status
from symact.store import TaskSettings, outcomes

ADDRESS = "127.0.0.1"
LOOK_SECONDS = 0.1
# For the others to end by themselves, where one has failed: the first to fail is not always the first to be heard.
GRACE_SECONDS = 3.0
# What torchrun sets, and other launchers likewise.
SIZES = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE")
GIVEN = {"RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT", *SIZES}
FAILED = (Status.crashed, Status.out_of_memory)


def evaluate(
    settings: Mapping[str, Any], count: int, job: Job, tell: Tell | None, begun: Callable[[], object] = tuple
) -> Outcome:
    """The outcome of a job that `count` processes do together.

    Args:
        settings: the fields grammar, task, file and data of `WorkerSettings`.
        count: how many.
        job: what to do.
        tell: called with what the first process reports; what it raises ends them all.
        begun: called once, when the last of them has prepared the task.
    """
    store = _store()
    message = json.dumps({"settings": dict(settings), "job": asdict(job)})
    ranks: list[_Rank] = []
    try:
        for number in range(count):
            ranks.append(_Rank(number, count, store.port))
        for rank in ranks:
            rank.begin(message)
        return _listen(ranks, tell, begun)
    finally:
        for rank in ranks:
            rank.end()


def without_launcher(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a worker, whose trainings would wait for the processes that a launcher's variables tell of."""
    return {k: v for k, v in environment.items() if k not in GIVEN and not k.startswith("TORCHELASTIC_")}


def _store() -> Any:
    """Where the processes find one another, for this machine alone: by itself it would listen to the network."""
    from torch import distributed

    with socket.socket() as listening:
        listening.bind((ADDRESS, 0))
        listening.listen()
        port = listening.getsockname()[1]
        return distributed.TCPStore(  # type: ignore[attr-defined]
            ADDRESS, port, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach()
        )


def _listen(ranks: list[_Rank], tell: Tell | None, begun: Callable[[], object]) -> Outcome:
    """Wait for the first process's outcome, or for the failure of any."""
    failed_since: float | None = None
    waiting, started = True, time.monotonic()
    with selectors.DefaultSelector() as selector:
        for rank in ranks:
            selector.register(rank.lines.descriptor, selectors.EVENT_READ, rank)
        while True:
            for key, _ in selector.select(LOOK_SECONDS):
                for report in key.data.read():
                    if tell is not None and key.data.number == 0:
                        tell(*report)
                if key.data.lines.ended:
                    selector.unregister(key.fileobj)
            if waiting and all(rank.ready for rank in ranks):
                waiting = False
                begun()
            first = ranks[0].outcome
            if first is not None and first.status not in FAILED:
                return first
            if failed_since is None and any(rank.failed for rank in ranks):
                failed_since = time.monotonic()
            if failed_since is not None:
                late = time.monotonic() - failed_since > GRACE_SECONDS
                if late or all(rank.outcome is not None or rank.died for rank in ranks):
                    return _cause(ranks)
            elif waiting and time.monotonic() - started > START_SECONDS:
                slow = next(rank.name for rank in ranks if not rank.ready)
                return Outcome.failed(Status.crashed, f"{slow} was not ready to train within {START_SECONDS:.0f} s")


def _cause(ranks: list[_Rank]) -> Outcome:
    """The failure that led to the others: a death, a lack of memory, or what was heard first."""
    for rank in ranks:
        if rank.died:
            return Outcome.failed(Status.crashed, f"{rank.name} {rank.how_it_ended}")
    failed = [rank for rank in ranks if rank.failed and rank.outcome is not None]
    chosen = min(failed, key=lambda rank: (rank.outcome.status is not Status.out_of_memory, rank.heard))  # type: ignore[union-attr]
    assert chosen.outcome is not None
    if chosen.outcome.metrics.get("input_error") is True:
        return chosen.outcome
    return replace(chosen.outcome, reason=f"{chosen.name}: {chosen.outcome.reason}")


class _Rank:
    """One of the processes, as the one that started it sees it.

    Attributes:
        number: which.
        name: for messages.
        lines: what it sends.
        ready: whether it has prepared the task.
        outcome: once it has told it.
        heard: when that was.
    """

    def __init__(self, number: int, count: int, port: int):
        self.number, self.name = number, f"process {number + 1} of {count}"
        own = {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
        # The store is here, so that no port is taken by somebody else in the meantime.
        own |= {"MASTER_ADDR": ADDRESS, "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": str(True)}
        reading, writing = os.pipe()
        starter = os.getpid()

        def prepare() -> None:
            processes.die_with_parent(signal.SIGKILL)
            if os.getppid() != starter:
                os._exit(1)

        try:
            self._process = subprocess.Popen(
                command("ranks", writing),
                stdin=subprocess.PIPE,
                pass_fds=(writing,),
                env={"GLOO_SOCKET_IFNAME": "lo", **os.environ, **own},
                start_new_session=True,
                preexec_fn=prepare,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self.lines, self.heard, self.ready = Reader(reading), 0.0, False
        self.outcome: Outcome | None = None

    def begin(self, message: str) -> None:
        """Hand over the job; that it is gone is noticed elsewhere."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError), self._process.stdin as pipe:
            pipe.write(message.encode() + b"\n")

    def read(self) -> list[Report]:
        """What it reports; its outcome is kept."""
        reports: list[Report] = []
        for line in self.lines.read():
            with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError, RecursionError):
                message = outcomes.load(line)
                if "ready" in message:
                    self.ready = True
                elif "report" in message:
                    step, score, of = message["report"]
                    reports.append((int(step), float(score), of if of is None else int(of)))
                else:
                    self.outcome, self.heard = outcomes.from_document(message["result"]), time.monotonic()
        return reports

    @property
    def died(self) -> bool:
        """Whether it has ended without an outcome; what it forked may live on and hold its pipe."""
        return self.outcome is None and self._process.poll() is not None and not self.lines.has_more()

    @property
    def failed(self) -> bool:
        """Whether it died, or its outcome is a failure that the others need not share."""
        return self.died or (self.outcome is not None and self.outcome.status in FAILED)

    @property
    def how_it_ended(self) -> str:
        """In words."""
        code = self._process.poll() or 0
        if code == CHANNEL_LOST:
            return f"ended: {CLOSED}"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def end(self) -> None:
        """Kill it, its descendants if it is still there, and whatever is in its session."""
        pid, family = self._process.pid, []
        if self._process.poll() is None:
            family = processes.descendants(pid)
            self._process.kill()
        self._process.wait()
        processes.end_all(family + [p for p in processes.everybody() if p.session == pid and p.is_alive])
        os.close(self.lines.descriptor)


def main(arguments: list[str]) -> None:
    """Do one job, as one of several processes. `arguments`: the descriptor to write to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    pipe, is_first = GuardedPipe(int(arguments[0])), os.environ["RANK"] == "0"
    message = outcomes.load(sys.stdin.readline())
    job, started = Job(**message["job"]), time.perf_counter()

    def send(found: dict[str, Any]) -> None:
        pipe.write(outcomes.dump(found))

    def tell(step: int, score: float, of: int | None) -> None:
        send({"report": [step, score, of]})

    try:
        try:
            task, grammar = _loaded(message["settings"])
            send({"ready": True})
            global_state.seed(job.seed)
            outcome = perform(task, grammar, job, tell=tell if is_first else None)
        except SymactError as error:
            outcome = outcomes.storable(failure(error, started))
        send({"result": outcomes.to_document(outcome)})
    except ChannelLostError:  # or this is a child that the task forked and let return
        os._exit(CHANNEL_LOST)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # the task has closed it
            stream.flush()
    os._exit(0)  # nothing of what the task has left is waited for


def _loaded(settings: Mapping[str, Any]) -> tuple[Any, Any]:
    from symact.program.loading import parse_grammar

    grammar, described = parse_grammar(settings["grammar"]), TaskSettings(**settings["task"])
    task = tasks.load(described, settings["file"], settings["data"])
    warm_up.first_training()
    warm_up.prepare(task)
    return task, grammar
