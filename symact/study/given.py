"""Candidates that were given: what a comparison has in the place of an optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from symact.expr.tree import Candidate
from symact.records import Trial


class GivenCandidates:
    """Asks for the given candidates in their order, each function once, and for nothing else.

    Args:
        candidates: what is to be evaluated.
        key: equal for candidates that are the same function.
    """

    name = "given"
    schedule = "joint"

    def __init__(self, candidates: Sequence[Candidate], key: Callable[[Candidate], Any]):
        self._key, self._told = key, set[Any]()
        self._candidates: dict[Any, Candidate] = {}
        for candidate in candidates:
            self._candidates.setdefault(key(candidate), candidate)

    def ask(self, count: int) -> list[Candidate]:
        """The next ones that were not told."""
        return [candidate for key, candidate in self._candidates.items() if key not in self._told][:count]

    def tell(self, trials: Iterable[Trial]) -> None:
        """They are evaluated."""
        self._told.update(self._key(trial.candidate) for trial in trials)
