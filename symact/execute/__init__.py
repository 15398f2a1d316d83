"""Where candidates are evaluated: this process, worker processes, or a Ray cluster.

An executor takes jobs as text and gives back one result per job, in the order of finishing. Whatever
happens to a candidate (it hangs, dies, fills the memory) is an outcome. Executors know nothing of the
store: the study records what they report.

Names are imported when they are used, so that the supervisors, one per worker, start quickly and stay small.
"""

from __future__ import annotations

from symact.registry import lazy

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "EXECUTORS": "symact.execute.executor",
        "Executor": "symact.execute.executor",
        "ExecutorSettings": "symact.execute.executor",
        "start": "symact.execute.executor",
        "Job": "symact.execute.job",
        "Result": "symact.execute.job",
        "WorkerSettings": "symact.execute.job",
    },
)
