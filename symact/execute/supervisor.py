"""The supervisor: a small process between the study and one worker, which it watches from outside.

It starts the worker, hands jobs through, measures time and resident memory of the worker and all its
descendants, and ends them when a limit is passed, when the worker dies, or when the study is gone
(its pipe ends, or the kernel says so). It is the ancestor to which every orphan of the worker falls,
so nothing that a candidate started outlives it. The study sees one answer per job, whatever happened.

A worker that has served others may carry their faults: what it fills its memory with, or dies of, is believed only in a
fresh one, where the job is done again. So a failure does not depend on who was evaluated before. A job that was done
apart, in processes of its own, is believed at once.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from dataclasses import dataclass
from typing import Any

import psutil

from symact.execute import processes
from symact.execute.channel import MAXIMUM_LINE, Reader, Writer
from symact.execute.watched_worker import WatchedWorker

TICK = 0.05  # seconds between two looks at the worker
FAMILY_TICKS = 5  # looks at the worker alone between two at all its descendants
START_SECONDS = 300.0
HOLD_SECONDS = 2 * START_SECONDS  # of symact's own work within a job; the start of several processes ends by itself
GRACE_SECONDS = 0.05  # for what a candidate has started to end with it
LOST_STARTS = 10  # of workers that are killed from outside before they are ready
CHANNEL_LOST = 86  # exit code of a worker whose pipes were closed by its task
CLOSED = "the task closed descriptors of its process that are not its own"
LOST_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in THREADS}


@dataclass(frozen=True)
class _Given:
    """A job of the study: its number, and what the worker is told."""

    number: int
    task: Any


class Supervisor:
    """Serves the study: one line in per job, one line out.

    Args:
        requests: descriptor that jobs come from; its end means that the study is gone.
        replies: descriptor that results go to.
    """

    def __init__(self, requests: int, replies: int):
        self._requests, self._replies = Reader(requests), Writer(replies)
        self._settings: dict[str, Any] = {}
        self._timeout: float | None = None
        self._memory: int | None = None
        self._nonce, self._fresh, self._warm = "", False, False
        self._worker: WatchedWorker | None = None
        self._ready, self._lost_starts = False, 0
        self._job: _Given | None = None
        self._began = 0.0
        self._held_since: float | None = None
        self._peak = self._ticks = 0

    def run(self) -> None:
        """Until the study is gone."""
        while not self._requests.ended and not self._replies.lost:
            worker = self._worker
            watched = [self._requests.descriptor]
            if worker is not None and not worker.lines.ended:
                watched.append(worker.lines.descriptor)
            busy = worker is not None and (self._job is not None or not self._ready)
            sent = self._replies.flush() and (worker is None or worker.flush())
            poll = select.poll()
            for descriptor in watched:
                poll.register(descriptor, select.POLLIN)
            readable = [descriptor for descriptor, _ in poll.poll((TICK if busy or not sent else 5.0) * 1000)]
            if self._requests.descriptor in readable:
                for line in self._requests.read():
                    self._request(json.loads(line))
            if worker is not None and worker is self._worker and worker.lines.descriptor in readable:
                self._listen(worker)
            if self._worker is not None:
                self._look(self._worker)
        self.end()

    def end(self) -> None:
        """Kill the worker's whole family."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None
        processes.end_descendants(os.getpid())

    def _request(self, message: dict[str, Any]) -> None:
        if not self._settings:
            self._settings, self._nonce = message, message["nonce"]
            self._timeout, self._memory, self._fresh = (message[key] for key in ("timeout", "memory", "fresh"))
            self._start()
        elif message.get("nonce") == self._nonce:
            self._job = _Given(message["job"], message["task"])
            if self._ready:
                self._hand_over()

    def _start(self) -> None:
        """A fresh worker; a job that is not answered yet is given to it when it is ready."""
        if self._worker is not None:
            self._worker.end()
        self._ready, self._began, self._peak, self._held_since = False, time.monotonic(), 0, None
        self._worker = WatchedWorker({**self._settings, "warm": self._warm})
        self._send({"worker": self._worker.pid})

    def _hand_over(self) -> None:
        assert self._worker is not None
        assert self._job is not None
        self._began, self._peak, self._ticks = time.monotonic(), 0, 0
        self._worker.begin({"job": self._job.number, "task": self._job.task})

    def _listen(self, worker: WatchedWorker) -> None:
        for line in worker.lines.read():
            if worker is not self._worker:
                return  # what a replaced worker still said
            message = worker.message(line)
            if message is None:
                self._judge("crashed", "the worker wrote something that is no result")
            else:
                self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        self._warm = self._warm or bool(message.get("warm"))
        if "ready" in message and not self._ready:
            self._ready, self._lost_starts = True, 0
            self._send({"ready": True})
            if self._job is not None:
                self._hand_over()
        elif "failed" in message:
            self._send({"failed": str(message["failed"]), "input": bool(message.get("input"))})
        elif "hold" in message:
            self._hold(bool(message["hold"]))
        elif "reports" in message and self._job is not None and message.get("job") == self._job.number:
            self._send({"job": self._job.number, "reports": message["reports"]})
        elif "result" in message and self._ready and self._job is not None and message.get("job") == self._job.number:
            self._take(message)
        else:
            self._judge("crashed", "the worker answered a job that it was not given")

    def _hold(self, begins: bool) -> None:
        """The worker does something of symact's own, which is no part of the candidate's time or memory."""
        if begins and self._held_since is None:
            self._held_since = time.monotonic()
        elif not begins and self._held_since is not None:
            self._began += time.monotonic() - self._held_since
            self._held_since = None

    def _take(self, message: dict[str, Any]) -> None:
        """An answer, and whether its worker may go on."""
        assert self._worker is not None
        result = message["result"]
        memory = isinstance(result, dict) and result.get("status") == "out_of_memory"
        if memory and self._worker.served and not message.get("apart"):
            self._start()
            return
        self._answer({"result": result, "seconds": message.get("seconds")})
        if self._fresh or memory or message.get("lost") or self._worker.leaves_family(GRACE_SECONDS):
            self._start()

    def _look(self, worker: WatchedWorker) -> None:
        """Check limits and life of the worker."""
        worker.exit_code = processes.reap().get(worker.pid, worker.exit_code)
        if worker.exit_code is not None:
            while worker is self._worker and worker.lines.has_more():
                self._listen(worker)
            if worker is self._worker:
                self._died(worker, worker.exit_code)
            return
        self._ticks += 1
        if self._ticks % FAMILY_TICKS == 0:
            worker.look_after()
        now = time.monotonic()
        since = self._held_since if self._held_since is not None else self._began
        if not self._ready or self._held_since is not None:
            what, limit = ("begin a training", HOLD_SECONDS) if self._ready else ("start", START_SECONDS)
            if now - since > limit:
                self._send({"failed": f"a worker did not {what} within {limit:.0f} s", "input": False})
                self._began = float("inf")
        elif self._job is None:
            return
        elif worker.lines.overlong:
            self._judge("crashed", f"the task returned more than {MAXIMUM_LINE // 1_000_000} MB")
        elif self._timeout is not None and now - self._began > self._timeout:
            self._judge("timed_out", f"not finished within {self._timeout:g} s")
        elif self._memory is not None:
            family = worker.family() if self._ticks % FAMILY_TICKS == 0 else []
            self._peak = max(self._peak, processes.resident([worker.pid, *(p.pid for p in family)]))
            if self._peak > self._memory:
                held, limit = self._peak / 2**20, self._memory / 2**20
                self._judge("out_of_memory", f"held {held:.0f} MB, more than the limit of {limit:.0f} MB")

    def _died(self, worker: WatchedWorker, code: int) -> None:
        """The worker is gone: a fault of the job, of the start, or of somebody outside."""
        lost = -code in LOST_SIGNALS
        if lost and self._peak > 0.5 * psutil.virtual_memory().total:
            self._judge("out_of_memory", f"killed by the system while it held {self._peak / 2**20:.0f} MB")
            return
        name = signal.Signals(-code).name if code < 0 else ""
        reason = f"the process was killed by {name}" if name else f"the process ended with exit code {code}"
        if code == CHANNEL_LOST:
            reason = CLOSED
        words = worker.last_words()
        reason += f"; {words}" if words else ""
        if not self._ready:
            self._lost_starts += 1
            if lost and self._lost_starts < LOST_STARTS:
                self._start()
            else:
                self._fail_start(reason)
        elif self._job is None:
            self._start()
        elif lost:
            self._answer({"lost": reason})
            self._start()
        else:
            self._judge("crashed", reason)

    def _fail_start(self, reason: str) -> None:
        """No worker can be started here, which ends the study."""
        self._send({"failed": f"a worker could not start: {reason}", "input": False})
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def _judge(self, status: str, reason: str) -> None:
        """Something is wrong with the worker: answer for the job where it is to blame, and start another worker."""
        assert self._worker is not None
        if not self._ready:
            self._fail_start(reason)
            return
        if self._job is not None and (status == "timed_out" or not self._worker.served):
            outcome: dict[str, Any] = {"status": status, "score": None, "reason": reason, "metrics": {}}
            outcome["constants"] = []
            self._answer({"result": outcome, "seconds": time.monotonic() - self._began})
        self._start()

    def _answer(self, message: dict[str, Any]) -> None:
        assert self._job is not None
        self._send({"job": self._job.number, **message})
        self._job = None

    def _send(self, message: dict[str, Any]) -> None:
        self._replies.send(json.dumps({"nonce": self._nonce, **message}))


def main(arguments: list[str]) -> None:
    """`arguments`: descriptor to read from, descriptor to write to, process id of the study."""
    requests, replies, driver = (int(number) for number in arguments)
    for descriptor in (requests, replies):
        os.set_inheritable(descriptor, False)
    processes.adopt_orphans()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervisor = Supervisor(requests, replies)

    def leave(*_: object) -> None:
        supervisor.end()
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    processes.die_with_parent(signal.SIGTERM)
    if os.getppid() == driver:
        supervisor.run()
