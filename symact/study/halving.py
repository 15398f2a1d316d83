"""Successive halving on the budget of a training: who is trained on, and who stops early.

The asynchronous rule of ASHA (Li et al. 2020, arXiv:1810.05934, algorithm 2): a candidate that is in
the best `1/eta` of all that finished its rung, and has not been promoted, goes up. The rule looks at
what was told alone, so a study that works in batches makes the same promotions every time.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """What a candidate gets on one rung: a fraction of a full training, and how many paired seeds."""

    budget: float
    repeats: int


def rungs(budgets: Sequence[float], repeats: int) -> tuple[Rung, ...]:
    """The rungs of a study.

    Without budgets there is one: a full training on every paired seed. With them each budget is a rung of
    one seed, and the other paired seeds are a last rung, so that they go to the promising ones alone.
    """
    if not budgets:
        return (Rung(1.0, repeats),)
    ladder = [Rung(float(budget), 1) for budget in budgets]
    return (*ladder, Rung(1.0, repeats)) if repeats > 1 else tuple(ladder)


class Ladder:
    """The state of successive halving: what finished on which rung, and what was promoted.

    Args:
        steps: the rungs, lowest first.
        eta: one in `eta` goes up.
        all_known: no other candidates will come, so that of a few one goes up as well; for comparisons.
    """

    def __init__(self, steps: Sequence[Rung], eta: int, all_known: bool = False):
        self.steps, self.eta, self._all_known = tuple(steps), eta, all_known
        # Per rung (minus merit, number) in order, best first; among equals the earlier one is better.
        self._finished: list[list[tuple[float, int]]] = [[] for _ in steps]
        self._counted: list[set[int]] = [set() for _ in steps]
        self._promoted: list[set[int]] = [set() for _ in steps]

    def add(self, rung: int, number: int, merit: float | None, competes: bool = True) -> bool:
        """A trial finished a rung; one that failed (merit None) counts for nothing there, nor does one a second time.

        Args:
            rung: which.
            number: of the trial.
            merit: higher is better.
            competes: it is one of those of which some go up.

        Returns:
            Whether it counts from now on.
        """
        if merit is None or number in self._counted[rung]:
            return False
        if competes:
            insort(self._finished[rung], (-merit, number))
        self._counted[rung].add(number)
        return True

    def promote(self, rung: int, number: int) -> None:
        """A trial goes up from a rung."""
        self._promoted[rung].add(number)

    def is_promoted(self, rung: int, number: int) -> bool:
        """Whether a trial went up from a rung."""
        return number in self._promoted[rung]

    def next(self) -> tuple[int, int] | None:
        """(rung to go up to, number of the trial), from the highest rung that has one; None without any."""
        for rung in range(len(self.steps) - 2, -1, -1):
            finished, promoted = self._finished[rung], self._promoted[rung]
            chosen = -(-len(finished) // self.eta) if self._all_known else len(finished) // self.eta
            for _, number in finished[:chosen]:
                if number not in promoted:
                    return rung + 1, number
        return None
