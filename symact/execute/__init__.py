"""Where candidates are evaluated: this process, worker processes, or a Ray cluster.

An executor takes jobs as text and gives back one result per job, in the order of finishing. Whatever
happens to a candidate (it hangs, dies, fills the memory) is an outcome. Executors know nothing of the
store: the study records what they report.

Names are imported when they are used, so that the supervisors, one per worker, start quickly and stay small.
"""

from __future__ import annotations

import importlib
from typing import Any

# Public name -> the module that defines it.
_PUBLIC = {
    "EXECUTORS": "symact.execute.executor",
    "Executor": "symact.execute.executor",
    "Place": "symact.execute.executor",
    "start": "symact.execute.executor",
    "Job": "symact.execute.job",
    "Result": "symact.execute.job",
    "WorkerSettings": "symact.execute.job",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'symact.execute' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
