"""Tabular benchmarks: build a table of all functions of a space, import one, replay searches on it.

`build` trains every distinct function of a space and writes one Parquet file; `import_act_bench`
reads AQuaSurF's published format; `replay` runs any optimizer on a table in seconds; `statistics`
turns replays into regret and evaluations to the best, with intervals. Plain functions that return
data; the command line prints.
"""

from __future__ import annotations

import importlib
from typing import Any

# Public name -> the module that defines it.
_PUBLIC = {
    "build": "symact.bench.building",
    "import_act_bench": "symact.bench.importing",
    "replay": "symact.bench.replaying",
    "Replay": "symact.bench.replaying",
    "Table": "symact.bench.table",
    "summarize": "symact.bench.statistics",
    "compare": "symact.bench.statistics",
    "document": "symact.bench.statistics",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'symact.bench' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value
