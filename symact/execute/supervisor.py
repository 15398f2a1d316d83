"""The supervisor: a small process between the study and one worker, which it watches from outside.

It starts the worker, hands jobs through, measures time and resident memory of the worker and all its
descendants, and ends them when a limit is passed, when the worker dies, or when the study is gone
(its pipe ends, or the kernel says so). It is the ancestor to which every orphan of the worker falls,
so nothing that a candidate started outlives it. The study sees one line per job, whatever happened.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

import psutil

from symact.execute import processes

TICK = 0.05  # seconds between two looks at the worker
FAMILY_TICKS = 5  # looks at the worker alone between two at all its descendants
START_SECONDS = 300.0
MAXIMUM_LINE = 32_000_000
LOST_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
BOOT = (
    "import sys; sys.argv[1] in sys.path or sys.path.insert(0, sys.argv[1]); "
    "from symact.execute.{module} import main; main(sys.argv[2:])"
)
THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in THREADS}


def command(module: str, *arguments: object) -> list[str]:
    """The command line that runs `main` of a module of this package in a fresh interpreter."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [sys.executable, "-P", "-c", BOOT.format(module=module), root, *map(str, arguments)]


class Lines:
    """Whole lines from a descriptor that is read when it has something."""

    def __init__(self, descriptor: int):
        self.descriptor, self._buffer, self.ended, self.overlong = descriptor, bytearray(), False, False

    def read(self) -> list[str]:
        """The lines that arrived; sets `ended` at the end and `overlong` beyond `MAXIMUM_LINE`."""
        try:
            data = os.read(self.descriptor, 1 << 20)
        except OSError:
            data = b""
        if not data:
            self.ended = True
            return []
        self._buffer += data
        if b"\n" not in data:
            self.overlong = self.overlong or len(self._buffer) > MAXIMUM_LINE
            return []
        *whole, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest)
        return [line.decode("utf-8", "replace") for line in whole]


class Worker:
    """One worker process, its pipes, and what it printed."""

    def __init__(self, settings: str):
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 lives as long as the worker
        jobs_read, self._jobs = os.pipe()
        results, results_write = os.pipe()
        supervisor = os.getpid()

        def prepare() -> None:
            processes.die_with_parent(signal.SIGKILL)
            if os.getppid() != supervisor:  # it died before the kernel was told
                os._exit(1)

        self.process = subprocess.Popen(
            command("worker", jobs_read, results_write),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(jobs_read, results_write),
            start_new_session=True,
            preexec_fn=prepare,
        )
        os.close(jobs_read)
        os.close(results_write)
        self.lines = Lines(results)
        self.watched = psutil.Process(self.process.pid)
        self.exit_code: int | None = None
        self.send(settings)

    def send(self, line: str) -> None:
        """Hand a line on; a worker that is gone is noticed elsewhere."""
        with contextlib.suppress(BrokenPipeError):
            data = line.encode() + b"\n"
            while data:
                data = data[os.write(self._jobs, data) :]

    def forget_output(self) -> None:
        """Empty the log before the next job."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._log.fileno(), 0)
            os.lseek(self._log.fileno(), 0, os.SEEK_SET)

    def last_words(self) -> str:
        """The line of a fault report that names the place, or the last line printed."""
        with contextlib.suppress(OSError):
            size = os.fstat(self._log.fileno()).st_size
            text = os.pread(self._log.fileno(), 8000, max(0, size - 8000)).decode("utf-8", "replace")
            printed = [line.strip() for line in text.splitlines() if line.strip()]
            places = [line for line in printed if line.startswith('File "')]
            chosen = places[0] if places else (printed[-1] if printed else "")
            return chosen.replace(os.path.dirname(chosen.split('"')[1]) + "/", "") if places else chosen[:300]
        return ""

    def end(self) -> None:
        """Kill the worker and everything that it started."""
        processes.end_descendants(os.getpid())
        self.process.returncode = 0  # reaped with its descendants
        for descriptor in (self._jobs, self.lines.descriptor):
            os.close(descriptor)
        self._log.close()


class Supervisor:
    """Serves the study: one line in per job, one line out.

    Args:
        requests: descriptor that jobs come from; its end means that the study is gone.
        replies: descriptor that results go to.
    """

    def __init__(self, requests: int, replies: int):
        self._requests, self._replies = Lines(requests), replies
        self._settings, self._timeout, self._memory = "", None, None
        self._worker: Worker | None = None
        self._ready, self._lost_starts = False, 0
        self._job: str | None = None
        self._began = self._peak = 0.0
        self._ticks = 0

    def run(self) -> None:
        """Until the study is gone."""
        while not self._requests.ended:
            watched = [self._requests.descriptor]
            if self._worker is not None:
                watched.append(self._worker.lines.descriptor)
            busy = self._job is not None or not self._ready
            readable, _, _ = select.select(watched, [], [], TICK if busy and self._worker is not None else 5.0)
            if self._requests.descriptor in readable:
                for line in self._requests.read():
                    self._request(line)
            if self._worker is not None and self._worker.lines.descriptor in readable:
                for line in self._worker.lines.read():
                    self._reply(line)
            if self._worker is not None:
                self._look()
        self.end()

    def end(self) -> None:
        """Kill the worker's whole family."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None
        processes.end_descendants(os.getpid())

    def _request(self, line: str) -> None:
        if not self._settings:
            document = json.loads(line)
            self._settings, self._timeout, self._memory = line, document["timeout"], document["memory"]
            self._start()
            return
        self._job = line
        if self._ready:
            self._hand_over()

    def _start(self) -> None:
        if self._worker is not None:
            self._worker.end()
        self._ready, self._began, self._peak = False, time.monotonic(), 0.0
        self._worker = Worker(self._settings)
        self._send({"worker": self._worker.process.pid})

    def _hand_over(self) -> None:
        assert self._worker is not None
        assert self._job is not None
        self._began, self._peak, self._ticks = time.monotonic(), 0.0, 0
        self._worker.forget_output()
        self._worker.send(self._job)

    def _reply(self, line: str) -> None:
        """A line of the worker. It may be anything, since tasks are strangers' code."""
        try:
            message = json.loads(line)
            known = isinstance(message, dict)
        except ValueError:
            known = False
        if not known:
            self._fail("crashed", "the worker wrote something that is no result")
        elif "ready" in message and not self._ready:
            self._ready, self._lost_starts = True, 0
            self._send({"ready": True})
            if self._job is not None:
                self._hand_over()
        elif "failed" in message:
            self._send({"failed": str(message["failed"]), "input": bool(message.get("input"))})
        elif "result" in message and self._job is not None:
            self._job = None
            self._write(line)
            if message.get("retire"):
                self._start()

    def _look(self) -> None:
        """Check limits and life of the worker."""
        worker = self._worker
        assert worker is not None
        worker.exit_code = processes.reap().get(worker.process.pid, worker.exit_code)
        if worker.exit_code is not None:
            for line in worker.lines.read() if not worker.lines.ended and self._has_more() else []:
                self._reply(line)
            if self._worker is worker:
                self._died(worker.exit_code)
            return
        age = time.monotonic() - self._began
        if not self._ready:
            if age > START_SECONDS:
                self._send({"failed": f"a worker did not start within {START_SECONDS:.0f} s", "input": False})
                self._began = float("inf")
            return
        if self._job is None:
            return
        if worker.lines.overlong:
            self._fail("crashed", f"the task returned more than {MAXIMUM_LINE // 1_000_000} MB")
        elif self._timeout is not None and age > self._timeout:
            self._fail("timed_out", f"not finished within {self._timeout:g} s")
        elif self._memory is not None:
            self._peak = max(self._peak, self._held(worker))
            if self._peak > self._memory:
                held, limit = self._peak / 2**20, self._memory / 2**20
                self._fail("out_of_memory", f"held {held:.0f} MB, more than the limit of {limit:.0f} MB")

    def _held(self, worker: Worker) -> int:
        self._ticks += 1
        family = [worker.watched]
        if self._ticks % FAMILY_TICKS == 0:
            family += processes.descendants(worker.process.pid)
        return processes.resident(family)

    def _has_more(self) -> bool:
        assert self._worker is not None
        return bool(select.select([self._worker.lines.descriptor], [], [], 0)[0])

    def _died(self, code: int) -> None:
        """The worker is gone: a fault of the job, of the start, or of somebody outside."""
        assert self._worker is not None
        lost = -code in LOST_SIGNALS
        if lost and self._peak > 0.5 * psutil.virtual_memory().total:
            self._fail("out_of_memory", f"killed by the system while it held {self._peak / 2**20:.0f} MB")
            return
        name = signal.Signals(-code).name if code < 0 else ""
        how = f"killed by {name}" if name else f"ended with exit code {code}"
        words = self._worker.last_words()
        reason = f"the process was {how}" if name else f"the process {how}"
        reason += f"; {words}" if words else ""
        if not self._ready:
            self._lost_starts += 1
            if lost and self._lost_starts < 10:
                self._start()
            else:
                self._send({"failed": f"a worker could not start: {reason}", "input": False})
                self._worker.end()
                self._worker = None
        elif self._job is None:
            self._start()
        elif lost:
            self._job = None
            self._send({"lost": reason})
            self._start()
        else:
            self._fail("crashed", reason)

    def _fail(self, status: str, reason: str) -> None:
        """Report the job as failed and replace the worker."""
        seconds = time.monotonic() - self._began
        outcome: dict[str, Any] = {"status": status, "score": None, "reason": reason, "metrics": {}, "constants": []}
        had_job, self._job = self._job is not None, None
        if had_job:
            self._send({"result": outcome, "seconds": seconds})
        self._start()

    def _send(self, message: dict[str, Any]) -> None:
        self._write(json.dumps(message))

    def _write(self, line: str) -> None:
        data = line.encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._replies, data) :]
        except BrokenPipeError:
            self._requests.ended = True


def main(arguments: list[str]) -> None:
    """`arguments`: descriptor to read from, descriptor to write to, process id of the study."""
    requests, replies, driver = (int(number) for number in arguments)
    for descriptor in (requests, replies):
        os.set_inheritable(descriptor, False)
    processes.adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervisor = Supervisor(requests, replies)

    def leave(*_: object) -> None:
        supervisor.end()
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    processes.die_with_parent(signal.SIGTERM)
    if os.getppid() == driver:
        supervisor.run()
