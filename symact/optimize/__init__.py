"""Trials in, next candidates out. Optimizers know expressions and spaces; no networks, no store.

`OPTIMIZERS` maps a name to its class. A class is imported when it is looked up, so that the names
cost nothing. To add an optimizer: write one file with a subclass of `base.Optimizer`, and one row
here; the contract tests in `tests/optimize/` then run on it.
"""

from __future__ import annotations

from symact.registry import Registry, lazy

OPTIMIZERS = Registry(
    "optimizer",
    {
        "random": "symact.optimize.random_search:RandomSearch",
        "evolution": "symact.optimize.evolution:Evolution",
        "rl": "symact.optimize.reinforcement:Reinforcement",
        "surrogate": "symact.optimize.surrogate:Surrogate",
        "mixture": "symact.optimize.mixture:Mixture",
    },
)

__all__, __getattr__, __dir__ = lazy(__name__, {"Optimizer": "symact.optimize.base"}, "OPTIMIZERS")
