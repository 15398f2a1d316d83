"""The loop: ask, drop what is known, compile, evaluate, store, tell.

The only room that knows optimizers, tasks, executors and the store. `loop.py` is the study itself;
`proposer.py` decides what is evaluated next, `evaluating.py` has it done, `setup.py` checks arguments.
"""

from symact.registry import lazy

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "BASELINES": "symact.study.baselines",
        "Progress": "symact.study.progress",
        "Study": "symact.study.loop",
        "compare": "symact.study.comparing",
    },
)
