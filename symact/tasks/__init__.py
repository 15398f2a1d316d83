"""Room 3, Activation -> Outcome: data, networks, training, features and the named tasks.

The names are imported when they are first used, so that what needs no torch does not load it.
"""

from __future__ import annotations

import importlib
from typing import Any

# Public name -> the module that defines it.
_PUBLIC = {
    "TASKS": "symact.tasks.builtin",
    "ImageTask": "symact.tasks.builtin",
    "Phase": "symact.tasks.train",
    "TrainConfig": "symact.tasks.train",
    "Turn": "symact.tasks.train",
    "Dataset": "symact.tasks.data",
    "Split": "symact.tasks.data",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'symact.tasks' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value
