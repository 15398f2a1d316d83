"""What several rooms' tests share: their order, the command line in this process, and threads that are set back."""

from __future__ import annotations

import gc
import signal
import sys

import pytest

from symact import cli

USUAL_TIMEOUT = 600.0  # seconds, as in setup.cfg


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Thousands of tests live as long as the process: the garbage collector need not walk them, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(config, items):
    """Fast tests come first: most faults show within minutes.

    Limits that tests set themselves grow with `--timeout`, which a slow or busy machine is given.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
    given = config.getoption("timeout", None)
    scale = max(1.0, float(given) / USUAL_TIMEOUT) if given else 1.0
    for item in items if scale > 1.0 else ():
        for mark in item.iter_markers("timeout"):
            if mark.args:
                item.add_marker(pytest.mark.timeout(mark.args[0] * scale), append=False)
                break


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
