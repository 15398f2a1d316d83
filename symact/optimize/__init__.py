"""ROOM 5: trials in, next candidates out. Optimizers know expressions and spaces; no networks, no store.

`OPTIMIZERS` maps a name to its class. A class is imported when it is looked up, so that the names
cost nothing. To add an optimizer: write one file with a subclass of `base.Optimizer`, and one row
here; the contract tests in `tests/optimize/` then run on it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symact.optimize.base import Optimizer

_CLASSES = {
    "random": "symact.optimize.random_search:RandomSearch",
    "evolution": "symact.optimize.evolution:Evolution",
    "rl": "symact.optimize.reinforcement:Reinforcement",
    "surrogate": "symact.optimize.surrogate:Surrogate",
    "mixture": "symact.optimize.mixture:Mixture",
}


class _Registry(Mapping[str, "type[Optimizer]"]):
    """Name -> class; reads like a dict and imports on look-up."""

    def __getitem__(self, name: str) -> type[Optimizer]:
        module, _, attribute = _CLASSES[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)

    def __contains__(self, name: object) -> bool:
        return name in _CLASSES

    def __repr__(self) -> str:
        return f"OPTIMIZERS({', '.join(_CLASSES)})"


OPTIMIZERS = _Registry()


def __getattr__(name: str) -> Any:
    if name == "Optimizer":
        return importlib.import_module("symact.optimize.base").Optimizer
    raise AttributeError(f"module 'symact.optimize' has no attribute {name!r}")
