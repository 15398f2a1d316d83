"""What several rooms' tests share: the command line in this process, and threads that are set back."""

from __future__ import annotations

import signal
import sys

import pytest

from symact import cli


@pytest.fixture
def set_threads():
    """`torch.set_num_threads`, undone after the test."""
    import torch

    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def symact(monkeypatch, capsys, tmp_path):
    """Run the command line in this process, in an empty folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["symact", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def interruptible():
    """Ctrl-C is heard, here and in new processes, also where a shell in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
