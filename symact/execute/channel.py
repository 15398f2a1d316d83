"""Lines of JSON through pipes, between a study, its supervisors and their workers.

Nobody waits for a reader: what a pipe cannot take yet is kept and sent later. A worker's ends of its pipes, which
live in one process with strangers' code, are moved to high numbers, are not inherited, are closed in forked
children, and are used only while they are the pipes that they were.
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
from contextlib import suppress

MAXIMUM_LINE = 32_000_000
HIGHEST = 1 << 16  # what a process may have open is unlimited in some places
ROOM = 32


def ready(descriptor: int, event: int, seconds: float | None = None) -> bool:
    """Wait until a descriptor can be read or written, or is closed; `select` ends at number 1,024."""
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


class Reader:
    """Whole lines from a descriptor that is read when it has something.

    Attributes:
        ended: nothing more will come.
        overlong: a line is longer than `MAXIMUM_LINE`.
    """

    def __init__(self, descriptor: int):
        self.descriptor, self._buffer, self.ended, self.overlong = descriptor, bytearray(), False, False

    def read(self) -> list[str]:
        """The lines that arrived."""
        try:
            data = os.read(self.descriptor, 1 << 20)
        except BlockingIOError:
            return []
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

    def has_more(self) -> bool:
        """Whether `read` would find something now."""
        return not self.ended and ready(self.descriptor, select.POLLIN, 0.0)


class Writer:
    """Sends lines without ever waiting for whoever reads them.

    Attributes:
        lost: nobody reads any more.
    """

    def __init__(self, descriptor: int):
        self.descriptor, self._waiting, self.lost = descriptor, bytearray(), False
        os.set_blocking(descriptor, False)

    def send(self, line: str) -> None:
        """Send a line, or keep what the pipe cannot take until `flush`."""
        self._waiting += line.encode() + b"\n"
        self.flush()

    def flush(self) -> bool:
        """Send what was kept; True when nothing is left."""
        try:
            while self._waiting:
                del self._waiting[: os.write(self.descriptor, self._waiting[: 1 << 16])]
        except BlockingIOError:
            pass
        except OSError:
            self.lost = True
            self._waiting.clear()
        return not self._waiting


class ChannelLostError(Exception):
    """A descriptor of the channel was closed, or is something else by now."""


class GuardedPipe:
    """An end of a pipe in a process that runs strangers' code.

    Args:
        descriptor: the pipe; it is moved out of the way.
    """

    def __init__(self, descriptor: int):
        limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], HIGHEST)
        self._number = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, max(3, limit - ROOM))
        os.close(descriptor)
        status = os.fstat(self._number)
        self._identity = (status.st_dev, status.st_ino)
        self._buffer = bytearray()
        os.register_at_fork(after_in_child=self._leave)

    def check(self) -> int:
        """The descriptor, if it still is the pipe.

        Raises:
            ChannelLostError: it was closed, or reused for something else.
        """
        try:
            status = os.fstat(self._number)
        except OSError:
            raise ChannelLostError("the descriptor was closed") from None
        if (status.st_dev, status.st_ino) != self._identity:
            raise ChannelLostError("the descriptor was reused")
        return self._number

    def write(self, line: str) -> None:
        """Send a line.

        Raises:
            ChannelLostError: see `check`, or nobody reads.
        """
        data = memoryview(line.encode() + b"\n")
        while data:
            try:
                data = data[os.write(self.check(), data) :]
            except BlockingIOError:
                ready(self._number, select.POLLOUT)
            except OSError as error:
                raise ChannelLostError(str(error)) from None

    def read(self) -> str | None:
        """The next line, waited for; None at the end.

        Raises:
            ChannelLostError: see `check`.
        """
        while b"\n" not in self._buffer:
            try:
                data = os.read(self.check(), 1 << 20)
            except BlockingIOError:
                ready(self._number, select.POLLIN)
                continue
            if not data:
                return None
            self._buffer += data
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return line.decode("utf-8", "replace")

    def _leave(self) -> None:
        with suppress(OSError, ChannelLostError):
            os.close(self.check())
        self._number = -1
