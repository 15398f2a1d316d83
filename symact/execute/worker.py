"""The worker process: reads one JSON line per job, evaluates, writes one JSON line back.

Started by a supervisor (`supervisor.py`) with two pipes of its own, so that whatever a task prints, or reads
from its standard input, disturbs nothing. Imports are paid once, before the first job. Every message carries the
word that this very process was given, and an answer the number of its job. Global state is put back after each job; a
process in which that fails says so and is replaced.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from symact.errors import InputError, SymactError
from symact.execute import global_state, warm_up
from symact.execute import task_loading as tasks
from symact.execute.channel import ChannelLostError, GuardedPipe
from symact.execute.job import Job, failure, perform
from symact.execute.reporting import Report, Tell
from symact.execute.supervisor import CHANNEL_LOST
from symact.records import Outcome, Status
from symact.store import TaskSettings, outcomes

SECONDS_BETWEEN_REPORTS = 0.2


class Worker:
    """Serves jobs in this process.

    Args:
        reading: the pipe that jobs come from.
        writing: the pipe that results go to.
    """

    def __init__(self, reading: GuardedPipe, writing: GuardedPipe):
        self._reading, self._writing, self._pid = reading, writing, os.getpid()
        self._state = global_state.GlobalState(global_state.WORKER_PIECES)
        self._nonce, self._held, self._seed, self._apart = "", 0.0, 0, False
        self._lost: list[str] = []
        self._known: dict[str, Any] = {}
        self._task: Any = None
        self._grammar: Any = None

    def serve(self) -> None:
        """Until the pipe ends, or this process has to be replaced."""
        line = self._reading.read()
        if line is None:
            return
        try:
            self._prepare(outcomes.load(line))
            self._send({"ready": True})
            while (line := self._reading.read()) is not None and self._do(outcomes.load(line)):
                pass
        except SymactError as error:
            self._send({"failed": str(error), "input": isinstance(error, InputError)})

    def _prepare(self, settings: dict[str, Any]) -> None:
        from symact.program.loading import parse_grammar

        self._nonce = settings["nonce"]
        self._known = {name: settings[name] for name in ("grammar", "task", "file", "data")}
        self._grammar = parse_grammar(settings["grammar"])
        described = TaskSettings(**settings["task"])
        self._task = tasks.load(described, settings["file"], settings["data"])
        warm_up.import_what_is_named(described.text)
        if "torch" in sys.modules or settings["warm"]:
            warm_up.first_training()
        warm_up.prepare(self._task)
        self._state.take()

    def _do(self, message: dict[str, Any]) -> bool:
        """Do one job; False when this process has to be replaced."""
        job = Job(**message["task"])
        self._held, self._seed, self._lost, self._apart = 0.0, job.seed, [], False
        global_state.seed(job.seed)
        started = time.perf_counter()
        try:
            tell = self._teller(message["job"])
            before, after = self._before_activation, self._after
            outcome = perform(self._task, self._grammar, job, before, after, tell, self._spread)
        except KeyboardInterrupt as error:  # nobody's but the task's: this process ignores Ctrl-C
            outcome = outcomes.storable(failure(error, started))
        seconds = time.perf_counter() - started - self._held
        document = outcomes.to_document(outcome)
        found = {"result": document, "seconds": seconds, "lost": self._lost, "apart": self._apart}
        self._send({"job": message["job"], **found})
        return not self._lost and outcome.status is not Status.out_of_memory

    def _spread(self, count: int, job: Job, tell: Tell | None) -> Outcome:
        """Do a job in several processes; until all of them have prepared the task, the clock stands still."""
        self._before_activation()
        self._apart = True
        from symact.execute import ranks

        with contextlib.ExitStack() as start:
            start.enter_context(self._clock_stopped())
            return ranks.evaluate(self._known, count, job, tell, start.close)

    def _after(self) -> None:
        if os.getpid() != self._pid:
            os._exit(0)  # a child that the task forked and let return: the result is the parent's to tell
        self._lost = self._state.restore()

    def _teller(self, number: int) -> Tell:
        """Sends what a training reports, a few times a second: it is for people, the outcome has all of it."""
        last, waiting = 0.0, list[Report]()

        def tell(step: int, score: float, of: int | None) -> None:
            nonlocal last
            waiting.append((step, score, of))
            now = time.monotonic()
            if os.getpid() == self._pid and now - last > SECONDS_BETWEEN_REPORTS:
                last = now
                self._send({"job": number, "reports": waiting})
                waiting.clear()

        return tell

    def _before_activation(self) -> None:
        """PyTorch is imported before it is first needed, and the clock stands still meanwhile."""
        if self._state.knows_torch or os.getpid() != self._pid:
            return
        with self._clock_stopped():
            self._state.absorb(warm_up.first_training)
            global_state.seed_torch(self._seed)

    @contextlib.contextmanager
    def _clock_stopped(self) -> Iterator[None]:
        """What is done meanwhile is symact's own, and no part of what the candidate takes."""
        began = time.perf_counter()
        self._send({"hold": True})
        try:
            yield
        finally:
            self._send({"hold": False})
            self._held += time.perf_counter() - began

    def _send(self, message: dict[str, Any]) -> None:
        warm = "torch" in sys.modules
        self._writing.write(outcomes.dump({"nonce": self._nonce, "warm": warm, **message}))


def main(arguments: list[str]) -> None:
    """Serve jobs until the pipe ends. `arguments`: descriptor to read from, descriptor to write to."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # Ray blocks some
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    reading, writing = (GuardedPipe(int(number)) for number in arguments)
    try:
        Worker(reading, writing).serve()
    except ChannelLostError:
        os._exit(CHANNEL_LOST)
