"""Evaluation on this machine: in this process, or in worker processes that may be lost at any time."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import asdict
from typing import Any

from symact.errors import InputError, SymactError
from symact.execute import processes
from symact.execute.interrupts import noticed, uninterrupted
from symact.execute.job import Job, Result, WorkerSettings, failure, perform
from symact.execute.supervisor import ONE_THREAD, Lines, command
from symact.expr.operators import Vocabulary
from symact.records import Outcome, Status
from symact.store import outcomes

TRIES = 3  # a job whose worker was killed from outside is tried so often in all


class InProcess:
    """Evaluates one job at a time in this process; for tasks that are objects, and for debugging.

    Nothing can be limited here, and a candidate that takes the process down takes the study down.
    """

    capacity = 1

    def __init__(self, task: Any, grammar: Vocabulary):
        self._task, self._grammar = task, grammar
        self._jobs: deque[Job] = deque()
        self._threads = contextlib.ExitStack()
        self._limited = False

    def submit(self, job: Job) -> None:
        """Take a job in; it is done when `next` is called."""
        self._jobs.append(job)

    def next(self, seconds: float | None = None) -> Result | None:
        """The result of the oldest job, or None without any.

        Nothing here can keep to a number of `seconds`, but with 0 no job is begun: none has finished then.
        """
        if not self._jobs or seconds == 0:
            return None
        if not self._limited:
            self._limit_threads()
        job = self._jobs.popleft()
        started = time.perf_counter()
        with noticed() as interrupts:
            try:
                outcome = perform(self._task, self._grammar, job)
            except KeyboardInterrupt as error:
                if interrupts or threading.current_thread() is not threading.main_thread():
                    raise
                outcome = outcomes.storable(failure(error, started))
        return Result(job, outcome, time.perf_counter() - started)

    def close(self) -> None:
        """Give the threads back."""
        self._jobs.clear()
        self._threads.close()
        self._limited = False

    def _limit_threads(self) -> None:
        """One thread, as in a worker: sums in another order would give other scores."""
        from threadpoolctl import threadpool_limits

        self._limited = True
        self._threads.enter_context(threadpool_limits(1))
        if "torch" in sys.modules:
            torch: Any = sys.modules["torch"]
            self._threads.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)


class _Slot:
    """The study's end of one supervisor."""

    def __init__(self, settings: str, device: str | None):
        requests_read, self.requests = os.pipe()
        replies, replies_write = os.pipe()
        environment = {**os.environ, **ONE_THREAD, processes.MARK: processes.mark()}
        environment["PYTHONHASHSEED"] = "0"
        if device is not None:
            environment["CUDA_VISIBLE_DEVICES"] = device
        try:
            self.process = subprocess.Popen(
                command("supervisor", requests_read, replies_write, os.getpid()),
                stdin=subprocess.DEVNULL,
                pass_fds=(requests_read, replies_write),
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(requests_read)
            os.close(replies_write)
        self.lines = Lines(replies)
        self.job: Job | None = None
        self.device, self.session, self.ready = device, 0, False
        self.send(settings)

    def send(self, line: str) -> None:
        """Hand a line to the supervisor; its loss is noticed when reading."""
        with contextlib.suppress(BrokenPipeError):
            data = line.encode() + b"\n"
            while data:
                data = data[os.write(self.requests, data) :]

    def leave(self) -> None:
        """Close the pipe, upon which the supervisor ends its worker and itself."""
        with contextlib.suppress(OSError):
            os.close(self.requests)

    def end(self) -> None:
        """Wait for the supervisor; if it does not go, or was killed, end what it left."""
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.process.returncode != 0 and self.session:
            processes.end_session(self.session)
        with contextlib.suppress(OSError):
            os.close(self.lines.descriptor)


class WorkerProcesses:
    """Evaluates jobs in `workers` processes of one thread each, within limits of time and memory.

    A job that hangs, dies or fills its memory becomes an outcome and its worker is replaced. A worker
    that was killed from outside has done nothing wrong: its job is tried again, `TRIES` times in all.
    """

    def __init__(self, settings: WorkerSettings, workers: int):
        if workers < 1:
            raise InputError("workers: at least one")
        self.capacity = workers
        memory = settings.memory or processes.memory_limit(workers)
        self._settings = json.dumps({**asdict(settings), "memory": memory})
        self._waiting: deque[Job] = deque()
        self._results: deque[Result] = deque()
        self._tries: dict[tuple[str, int, int], int] = {}
        self._selector = selectors.DefaultSelector()
        self._slots: list[_Slot] = []
        processes.sweep()
        devices = processes.devices()
        try:
            for index in range(workers):
                self._add(devices[index % len(devices)] if devices else None)
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
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = self._selector.select(left)
            with uninterrupted():  # a result that was read from a pipe is nowhere else
                for key, _ in ready:
                    self._listen(key.data)
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

    def _add(self, device: str | None) -> None:
        slot = _Slot(self._settings, device)
        self._slots.append(slot)
        self._selector.register(slot.lines.descriptor, selectors.EVENT_READ, slot)

    def _distribute(self) -> None:
        for slot in self._slots:
            if not self._waiting:
                return
            if slot.ready and slot.job is None:
                slot.job = self._waiting.popleft()
                slot.send(outcomes.dump(asdict(slot.job)))

    def _listen(self, slot: _Slot) -> None:
        for line in slot.lines.read():
            self._hear(slot, json.loads(line))
        if slot.lines.ended:
            self._replace(slot)
        self._distribute()

    def _hear(self, slot: _Slot, message: dict[str, Any]) -> None:
        if "worker" in message:
            slot.session = message["worker"]
        elif "ready" in message:
            slot.ready = True
        elif "failed" in message:
            raise (InputError if message["input"] else SymactError)(message["failed"])
        elif "lost" in message:
            self._again(slot, message["lost"])
        elif "result" in message and slot.job is not None:
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
        """A supervisor was lost: end what it watched, and start another."""
        self._selector.unregister(slot.lines.descriptor)
        slot.leave()
        slot.end()
        if not slot.ready and slot.job is None and not slot.session:
            raise SymactError("a worker process could not be started; see the message above")
        self._again(slot, "its supervisor was lost")
        self._slots.remove(slot)
        self._add(slot.device)
