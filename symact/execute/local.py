"""Evaluation on this machine: in this process, or in worker processes that may be lost at any time."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from symact.backends.cpu import building, library
from symact.errors import InputError, SymactError
from symact.execute import devices, global_state, marks, processes, ranks, warm_up
from symact.execute.channel import Reader, Writer
from symact.execute.heard import Hearer, Nobody
from symact.execute.interrupts import noticed, uninterrupted
from symact.execute.job import Job, Result, WorkerSettings, failure, perform
from symact.execute.supervisor import LOST_STARTS, ONE_THREAD, START_SECONDS
from symact.execute.watched_worker import command
from symact.expr.operators import Vocabulary
from symact.records import Outcome, Status
from symact.store import outcomes

TRIES = 3  # a job whose worker was killed from outside is tried so often in all
LOOK_SECONDS = 0.5  # between two looks at the supervisors
STOPPED_SECONDS = 2.0  # for which a supervisor may be stopped before it is replaced
END_SECONDS = 10.0
BROKEN_STARTS = 3  # of supervisors that end by themselves before they are ready


class InProcess:
    """Evaluates one job at a time in this process; for tasks that are objects, and for debugging.

    Nothing can be limited here, and a candidate that takes the process down takes the study down. Global state and
    random numbers are put back after each; what cannot be put back ends the run, for it would reach the next.
    """

    capacity = 1

    def __init__(self, task: Any, grammar: Vocabulary):
        self._task, self._grammar = task, grammar
        self.hearer: Hearer = Nobody()
        self._jobs: deque[Job] = deque()
        self._threads = contextlib.ExitStack()
        self._begun, self._lost = False, ""

    def submit(self, job: Job) -> None:
        """Take a job in; it is done when `next` is called."""
        self._jobs.append(job)

    def next(self, seconds: float | None = None) -> Result | None:
        """The result of the oldest job, or None without any.

        Nothing here can keep to a number of `seconds`, but with 0 no job is begun: none has finished then.

        Raises:
            SymactError: what the last candidate did to this process cannot be undone.
        """
        if not self._jobs or seconds == 0:
            return None
        if self._lost:
            raise SymactError(
                f"the last candidate has changed {self._lost} of this process, which cannot be undone and would reach "
                "the next: go on with --workers 1 or more (workers=1)"
            )
        self._begin()
        job = self._jobs.popleft()
        import torch

        from symact.execute.aside import Aside

        self.hearer.begun(job)
        # One thread and seeded generators, as in a worker.
        state = global_state.GlobalState(global_state.PIECES)
        pid, started = os.getpid(), time.perf_counter()

        def after() -> None:
            if os.getpid() != pid:
                os._exit(0)  # a child that the task forked and let return
            self._lost = ", ".join(state.restore())
            aside.leave()

        def tell(step: int, score: float, of: int | None) -> None:
            telling = self.hearer.heard(job, [(step, score, of)])
            if telling is not None:
                aside.call(telling)

        with noticed() as interrupts:
            state.take()
            aside = Aside()
            torch.set_num_threads(1)
            global_state.seed(job.seed)
            try:
                outcome = perform(self._task, self._grammar, job, after=after, tell=tell)
            except KeyboardInterrupt as error:
                if interrupts or threading.current_thread() is not threading.main_thread():
                    raise
                outcome = outcomes.storable(failure(error, started))
        if aside.error is not None:  # of a listener: the candidate has not failed, it was not trained
            raise aside.error
        return Result(job, outcome, time.perf_counter() - started - aside.seconds)

    def close(self) -> None:
        """Give the threads back."""
        self._jobs.clear()
        self._threads.close()
        self._begun = False

    def _begin(self) -> None:
        """One thread, as in a worker: sums in another order would give other scores."""
        if not self._begun:
            from threadpoolctl import threadpool_limits

            self._threads.enter_context(threadpool_limits(1))
            warm_up.prepare(self._task)
            self._begun = True


class _Slot:
    """The study's end of one supervisor.

    Attributes:
        job: what its worker is doing, and `number`, which the answer has to carry.
        failures: supervisors in this place that were lost, one after the other, before they were ready.
    """

    def __init__(self, settings: dict[str, Any], device: str | None, failures: int):
        requests_read, requests = os.pipe()
        replies, replies_write = os.pipe()
        self.nonce = secrets.token_hex(8)
        self.mark = f"{marks.mark()}:{self.nonce}"
        environment = {**ranks.without_launcher(os.environ), **ONE_THREAD, marks.MARK: self.mark, "PYTHONHASHSEED": "0"}
        if device is not None:
            environment["CUDA_VISIBLE_DEVICES"] = device
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 lives as long as the supervisor
        try:
            self.process = subprocess.Popen(
                command("supervisor", requests_read, replies_write, os.getpid()),
                stdin=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(requests_read, replies_write),
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise SymactError(f"worker processes cannot be started: {error.strerror}") from None
        finally:
            os.close(requests_read)
            os.close(replies_write)
        self.lines, self.requests = Reader(replies), Writer(requests)
        self.job: Job | None = None
        self.number, self.failures = -1, failures
        self.device, self.session, self.ready = device, 0, False
        self.began, self.stopped_since = time.monotonic(), 0.0
        self.send(settings)

    def send(self, message: dict[str, Any]) -> None:
        """Hand a message to the supervisor; its loss is noticed when reading."""
        self.requests.send(outcomes.dump({"nonce": self.nonce, **message}))

    def is_stuck(self) -> bool:
        """Whether the supervisor has been stopped by a signal for a while, or does not begin."""
        seen, now = processes.look(self.process.pid), time.monotonic()
        if seen is None or not seen.is_stopped:
            self.stopped_since = 0.0
        elif not self.stopped_since:
            self.stopped_since = now
        is_stopped = bool(self.stopped_since) and now - self.stopped_since > STOPPED_SECONDS
        return is_stopped or (not self.session and now - self.began > START_SECONDS)

    def leave(self) -> None:
        """Close the pipe, upon which the supervisor ends its worker and itself."""
        with contextlib.suppress(OSError):
            os.close(self.requests.descriptor)

    def end(self) -> None:
        """Wait for the supervisor; if it does not go, or was killed, end what it left."""
        deadline = time.monotonic() + END_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            seen = processes.look(self.process.pid)
            if seen is not None and seen.is_stopped:
                break
            time.sleep(0.005)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.process.returncode != 0:
            left = marks.marked(lambda value: value == self.mark)
            left += [p for p in processes.everybody() if self.session and p.session == self.session and p.is_alive]
            processes.end_all(left)
        with contextlib.suppress(OSError):
            os.close(self.lines.descriptor)

    def last_words(self) -> str:
        """The last line that the supervisor wrote to its standard error."""
        self._errors.seek(max(0, os.fstat(self._errors.fileno()).st_size - 2000))
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else f"it ended with exit code {self.process.returncode}"


class WorkerProcesses:
    """Evaluates jobs in `workers` processes of one thread each, within limits of time and memory.

    A job that hangs, dies or fills its memory becomes an outcome and its worker is replaced. A worker
    that was killed from outside has done nothing wrong: its job is tried again, `TRIES` times in all.

    Args:
        settings: what workers must know.
        workers: how many.
        seen: `CUDA_VISIBLE_DEVICES` of each; None leaves it as it is.
    """

    def __init__(self, settings: WorkerSettings, workers: int, seen: list[str | None] | None = None):
        if workers < 1:
            raise InputError("workers: at least one")
        self.capacity = workers
        self.hearer: Hearer = Nobody()
        self._telling: Callable[[], object] | None = None
        memory = settings.memory or processes.memory_limit(workers)
        self._settings = {**asdict(settings), "memory": memory}
        self._waiting: deque[Job] = deque()
        self._results: deque[Result] = deque()
        self._tries: dict[tuple[str, int, int], int] = {}
        self._selector = selectors.DefaultSelector()
        self._slots: list[_Slot] = []
        self._given, self._looked = 0, time.monotonic()
        with contextlib.suppress(building.BuildError):  # each worker says so, and goes on without it
            library.build()  # once for all, and no part of what a candidate takes
        marks.sweep()
        try:
            for device in seen if seen is not None else devices.assign(devices.devices(), workers, None):
                self._add(device)
        except BaseException:
            self.close()
            raise

    @property
    def supervisors(self) -> list[int]:
        """Process ids of the supervisors."""
        return [slot.process.pid for slot in self._slots]

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers that were last reported."""
        return [slot.session for slot in self._slots if slot.session]

    def submit(self, job: Job) -> None:
        """Take a job in."""
        self._waiting.append(job)
        self._distribute()

    def next(self, seconds: float | None = None) -> Result | None:
        """The next finished job, waited for at most `seconds`; None without one.

        Raises:
            InputError: the task cannot be loaded.
            SymactError: workers cannot be started.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._results:
            if not self._waiting and not any(slot.job for slot in self._slots):
                return None
            left = LOOK_SECONDS if deadline is None else min(LOOK_SECONDS, max(0.0, deadline - time.monotonic()))
            kept = [slot for slot in self._slots if not slot.requests.flush()]
            ready = self._selector.select(min(left, 0.02) if kept else left)
            with uninterrupted():  # a result that was read from a pipe is nowhere else
                for key, _ in ready:
                    self._listen(key.data)
                self._look()
            telling, self._telling = self._telling, None
            if telling is not None:
                telling()
            if deadline is not None and time.monotonic() >= deadline and not self._results:
                return None
        return self._results.popleft()

    def close(self) -> None:
        """End all workers and whatever they started."""
        for slot in self._slots:
            slot.leave()
        for slot in self._slots:
            slot.end()
        self._slots.clear()
        self._selector.close()

    def _add(self, device: str | None, failures: int = 0) -> None:
        slot = _Slot(self._settings, device, failures)
        self._slots.append(slot)
        self._selector.register(slot.lines.descriptor, selectors.EVENT_READ, slot)

    def _distribute(self) -> None:
        for slot in self._slots:
            if not self._waiting:
                return
            if slot.ready and slot.job is None:
                slot.job = self._waiting.popleft()
                self._given += 1
                slot.number = self._given
                slot.send({"job": slot.number, "task": asdict(slot.job)})
                self.hearer.begun(slot.job)

    def _listen(self, slot: _Slot) -> None:
        if slot not in self._slots:
            return
        for line in slot.lines.read():
            self._hear(slot, json.loads(line))
        if slot.lines.ended:
            self._replace(slot)
        self._distribute()

    def _look(self) -> None:
        """Replace supervisors that are stopped: nobody else would notice."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        for slot in [slot for slot in self._slots if slot.is_stuck()]:
            slot.process.send_signal(signal.SIGKILL)
            self._replace(slot)
            self._distribute()

    def _hear(self, slot: _Slot, message: dict[str, Any]) -> None:
        if message.get("nonce") != slot.nonce:
            return
        if "worker" in message:
            slot.session = message["worker"]
        elif "ready" in message:
            slot.ready, slot.failures = True, 0
        elif "failed" in message:
            raise (InputError if message["input"] else SymactError)(message["failed"])
        elif slot.job is None or message.get("job") != slot.number:
            return
        elif "reports" in message:
            with contextlib.suppress(ValueError, TypeError, OverflowError):
                reports = [(int(s), float(score), of if of is None else int(of)) for s, score, of in message["reports"]]
                self._telling = self.hearer.heard(slot.job, reports) or self._telling
        elif "lost" in message:
            self._again(slot, message["lost"])
        elif "result" in message:
            job, slot.job = slot.job, None
            self._tries.pop(job.key, None)
            try:
                outcome = outcomes.from_document(message["result"])
                seconds = float(message["seconds"])
            except (ValueError, KeyError, TypeError) as error:
                outcome, seconds = Outcome.failed(Status.crashed, f"the worker's result cannot be read: {error}"), 0.0
            self._results.append(Result(job, outcome, seconds))

    def _again(self, slot: _Slot, reason: str) -> None:
        job, slot.job = slot.job, None
        if job is None:
            return
        tries = self._tries[job.key] = self._tries.get(job.key, 0) + 1
        if tries < TRIES:
            self._waiting.appendleft(job)
        else:
            del self._tries[job.key]
            reason = f"{reason} ({TRIES} times)"
            self._results.append(Result(job, Outcome.failed(Status.crashed, reason), 0.0))

    def _replace(self, slot: _Slot) -> None:
        """A supervisor was lost: end what it watched, and start another.

        Raises:
            SymactError: supervisors do not start here.
        """
        self._selector.unregister(slot.lines.descriptor)
        slot.leave()
        slot.end()
        self._slots.remove(slot)
        self._again(slot, "its supervisor was lost")
        failures = 0 if slot.ready else slot.failures + 1
        if failures >= (LOST_STARTS if slot.process.returncode < 0 else BROKEN_STARTS):
            raise SymactError(f"a worker process cannot be started: {slot.last_words()}")
        self._add(slot.device, failures)
