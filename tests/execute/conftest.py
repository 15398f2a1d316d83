"""What the tests of executors share: the stub tasks, and a watch on processes that are left behind."""

from __future__ import annotations

import uuid

import psutil
import pytest


@pytest.fixture
def family(monkeypatch):
    """Fails a test that leaves workers or their children behind; other searches on the machine do not matter."""
    tag = uuid.uuid4().hex
    monkeypatch.setenv("SYMACT_TEST", tag)
    yield
    marked = [p for p in psutil.process_iter() if _is_ours(p, tag)]
    _, living = psutil.wait_procs(marked, timeout=10)
    assert not living, f"left behind: {living}"


def _is_ours(process, tag):
    """A worker, supervisor or child of one that a driver of this test started."""
    try:
        environment = process.environ()
        ours = environment.get("SYMACT_TEST") == tag and "SYMACT_DRIVER" in environment
        return ours and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
