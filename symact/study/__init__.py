"""The loop: ask, drop what is known, compile, evaluate, store, tell.

The only room that knows optimizers, tasks, executors and the store. `loop.py` is the study itself;
`asking.py` decides what is evaluated next, `evaluating.py` has it done, `setup.py` checks arguments.
"""

from symact.study.loop import Study
from symact.study.progress import Progress
from symact.study.proposer import BASELINES

__all__ = ["BASELINES", "Progress", "Study"]
