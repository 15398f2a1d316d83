"""What the tests of executors share: the stub tasks, and a watch on processes that are left behind."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def family():
    """Fails a test that leaves workers or their children behind."""
    before = {p.pid for p in psutil.process_iter()}
    yield
    marked = [p for p in psutil.process_iter() if p.pid not in before and _is_ours(p)]
    _, living = psutil.wait_procs(marked, timeout=10)
    assert not living, f"left behind: {living}"


def _is_ours(process):
    try:
        return "SYMACT_DRIVER" in process.environ() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
