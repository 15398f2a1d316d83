"""A worker as its supervisor sees it: a process, two pipes, what it printed, what it holds."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from symact.execute import processes
from symact.execute.channel import Reader, Writer

MAXIMUM_LOG = 16_000_000  # bytes that a candidate may print before they are thrown away
BOOT = (
    "import sys; sys.argv[1] in sys.path or sys.path.insert(0, sys.argv[1]); "
    "from symact.execute.{module} import main; main(sys.argv[2:])"
)


def command(module: str, *arguments: object) -> list[str]:
    """The command line that runs `main` of a module of this package in a fresh interpreter."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [sys.executable, "-P", "-c", BOOT.format(module=module), root, *map(str, arguments)]


class WatchedWorker:
    """One worker process.

    Attributes:
        pid: its id.
        lines: what it sends.
        served: jobs that it was given before the present one.
        exit_code: once it has ended.

    Args:
        settings: what workers must know, as plain data.
    """

    def __init__(self, settings: dict[str, Any]):
        self._log = tempfile.TemporaryFile("a+b")  # noqa: SIM115 lives as long as the worker
        jobs_read, jobs = os.pipe()
        results, results_write = os.pipe()
        supervisor = os.getpid()

        def prepare() -> None:
            processes.die_with_parent(signal.SIGKILL)
            if os.getppid() != supervisor:  # it died before the kernel was told
                os._exit(1)

        try:
            self._process = subprocess.Popen(
                command("worker", jobs_read, results_write),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=(jobs_read, results_write),
                start_new_session=True,
                preexec_fn=prepare,
            )
        finally:
            os.close(jobs_read)
            os.close(results_write)
        self.pid, self.served = self._process.pid, -1
        self.exit_code: int | None = None
        self.lines, self._jobs = Reader(results), Writer(jobs)
        self._nonce, self._limited_log = secrets.token_hex(8), 0
        self.send({**settings, "nonce": self._nonce})

    def send(self, message: dict[str, Any]) -> None:
        """Hand a message on; a worker that is gone is noticed elsewhere."""
        self._jobs.send(json.dumps(message))

    def flush(self) -> bool:
        """Go on sending what the pipe could not take; True when there is nothing left."""
        return self._jobs.flush()

    def message(self, line: str) -> dict[str, Any] | None:
        """What this very process has sent; None where it is anything else, since tasks are strangers' code."""
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) and found.get("nonce") == self._nonce else None

    def begin(self, message: dict[str, Any]) -> None:
        """Give it a job."""
        self.served += 1
        self._empty_log()
        self.send(message)

    def family(self) -> list[processes.Process]:
        """What it has started and is still alive, whoever the parent is by now."""
        return [process for process in processes.children(os.getpid()) if process.pid != self.pid]

    def leaves_family(self, seconds: float) -> bool:
        """Whether something that it has started is still there after a while."""
        deadline = time.monotonic() + seconds
        while self.family():
            if time.monotonic() > deadline:
                return True
            time.sleep(0.005)
        return False

    def look_after(self) -> None:
        """Wake it where a signal has stopped it, and keep what it prints from filling the disk."""
        with contextlib.suppress(OSError):
            if os.fstat(self._log.fileno()).st_size > MAXIMUM_LOG:
                self._empty_log()
        seen = processes.look(self.pid)
        if seen is not None and seen.is_stopped:
            processes.send(seen, signal.SIGCONT)

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
        self._process.returncode = 0  # reaped with its descendants
        for descriptor in (self._jobs.descriptor, self.lines.descriptor):
            os.close(descriptor)
        self._log.close()

    def _empty_log(self) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._log.fileno(), 0)
