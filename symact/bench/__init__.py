"""Tabular benchmarks: build a table of all functions of a space, import one, replay searches on it.

`build` trains every distinct function of a space and writes one Parquet file; `import_act_bench`
reads AQuaSurF's published format; `replay` runs any optimizer on a table in seconds; `statistics`
turns replays into regret and evaluations to the best, with intervals. Plain functions that return
data; the command line prints.
"""

from __future__ import annotations

from symact.registry import lazy

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "build": "symact.bench.building",
        "import_act_bench": "symact.bench.importing",
        "replay": "symact.bench.replaying",
        "Replay": "symact.bench.replaying",
        "Table": "symact.bench.table",
        "summarize": "symact.bench.statistics",
        "compare": "symact.bench.statistics",
        "document": "symact.bench.statistics",
    },
)
