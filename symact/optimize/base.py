"""What every optimizer shares: `ask`, `tell`, identity of functions, keyed draws, safe ranking.

In: a space, a seed and the trials told. Out: candidates. The state of an optimizer is a function of
(seed, trials told) and of nothing else: `ask` is pure, so asking twice gives the same candidates,
asking for more gives the same ones and more, and a fresh optimizer that is told all trials goes on
as if the first had never stopped. Every draw therefore comes from a generator that is keyed by the
seed and by how many trials were told.

A subclass writes `_propose` (an endless stream of candidates, best first) and `_learn` (one trial);
the public methods do the rest: nothing outside the space, no function twice, no failed trial wins.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, TypeAlias

import numpy as np

from symact.errors import InputError
from symact.expr.space import Space
from symact.expr.tree import Candidate, Expr, sites
from symact.optimize.pool import Pool, keyed
from symact.records import Status, Trial

Features: TypeAlias = Callable[[list[Candidate]], Mapping[str, np.ndarray]]

PATIENCE = 400  # known or foreign proposals in a row before the rest of a batch is drawn at random


class Optimizer(ABC):
    """Base of all optimizers.

    Args:
        space: where candidates come from.
        seed: together with the trials told it fixes every candidate.
        features: list of expressions -> arrays that describe them, or None.

    Attributes:
        schedule: the training schedule that its candidates need.
        told: number of trials told so far.
        known: keys of the functions told so far, in order.
    """

    name: ClassVar[str] = ""
    schedule: str = "joint"

    def __init__(self, space: Space, seed: int = 0, *, features: Features | None = None):
        if space.count() < 1:
            raise InputError(f"the space {space.name!r} of grammar {space.grammar.name!r} has no expression")
        self.space, self.seed, self.features = space, int(seed), features
        self.functions = Pool.of(space)
        self.told = 0
        self.known: dict[Any, None] = {}
        self._finite: dict[Any, bool] = {}
        self._passed = 0

    def ask(self, count: int) -> list[Candidate]:
        """Up to `count` candidates of the space: distinct functions, none told before.

        Fewer come back, down to none, when the space has no more.
        """
        if count <= 0:
            return []
        fresh = list(islice(self._unseen(self._propose(), PATIENCE), count))
        if len(fresh) < count:
            taken = {self.key(candidate) for candidate in fresh}
            more = self._unseen(self.draws(), None, taken)
            fresh += list(islice(more, count - len(fresh)))
        return fresh

    def tell(self, trials: Iterable[Trial]) -> None:
        """Learn from trials, in the order given; those of other optimizers and baselines as well."""
        for trial in trials:
            self.known.setdefault(self.key(trial.candidate))
            self._learn(trial)
            self.told += 1

    def explain(self, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
        """What it knows of the candidates that the last `ask` gave, of JSON types; for people, never read back."""
        return [{} for _ in candidates]

    def key(self, candidate: Candidate) -> Any:
        """What is equal for candidates that are the same function at every site."""
        return self.functions.index.key(candidate)

    def is_usable(self, candidate: Candidate) -> bool:
        """Whether it is finite, with a finite slope, and not constant, near the origin, at every site."""
        return all(map(self.functions.usable, sites(candidate)))

    def is_finite(self, expression: Candidate) -> bool:
        """Whether the features call it finite at initialization, at every site; True where they do not say."""
        if self.features is None:
            return True
        if not isinstance(expression, Expr):
            return all(map(self.is_finite, expression))
        key = self.key(expression)
        if key not in self._finite:
            found = self.features([expression])
            self._finite[key] = bool(found["finite"][0]) if "finite" in found else True
        return self._finite[key]

    def finite_only(self, stream: Iterator[Candidate]) -> Iterator[Candidate]:
        """What is usable and finite at initialization; ends after `PATIENCE` others in a row."""
        refused = 0
        for expression in stream:
            if self.is_usable(expression) and self.is_finite(expression):
                refused = 0
                yield expression
            elif (refused := refused + 1) >= PATIENCE:
                return

    def draws(self) -> Iterator[Expr]:
        """Functions in the random order of this seed, without those that were told."""
        stream = self.functions.draws(self.seed, self._passed)
        leading = True
        for expression in stream:
            if self.key(expression) not in self.known:
                leading = False
                yield expression
            elif leading:
                # What was told stays told, so the next `ask` need not walk over it again.
                self._passed += 1

    def generator(self, *key: int) -> np.random.Generator:
        """A generator of its own for every (seed, key)."""
        return keyed(self.seed, *key)

    @abstractmethod
    def _propose(self) -> Iterator[Candidate]:
        """Candidates in order of preference; may repeat known ones, may end, may be endless."""

    @abstractmethod
    def _learn(self, trial: Trial) -> None:
        """Take one trial in; `self.told` trials were told before it."""

    def _unseen(self, stream: Iterator[Candidate], patience: int | None, taken: Iterable[Any] = ()) -> Iterator[Any]:
        seen = set(taken)
        refused = 0
        for candidate in stream:
            key = self.key(candidate)
            if key in self.known or key in seen or not self._admits(candidate):
                refused += 1
                if patience is not None and refused >= patience:
                    return
                continue
            refused = 0
            seen.add(key)
            yield candidate

    def _admits(self, candidate: Candidate) -> bool:
        return all(expression in self.space for expression in sites(candidate))


def score_of(trial: Trial) -> float | None:
    """The score that may be compared: None for a failure and for anything that is not finite."""
    if trial.status is not Status.finished:
        return None
    score = trial.score
    return float(score) if score is not None and math.isfinite(score) else None


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """Best first; what failed comes last, in the order given."""
    listed = list(trials)
    scores = [score_of(trial) for trial in listed]
    order = sorted(range(len(listed)), key=lambda i: (scores[i] is None, -(scores[i] or 0.0), i))
    return [listed[i] for i in order]


def rank_values(scores: Iterable[float | None]) -> np.ndarray:
    """Scores as ranks in [-1, 1], ties averaged; failures share the lowest place.

    A shape that no outlier, no unit and no NaN can upset; the best of one is 0.
    """
    values = np.array([-math.inf if s is None or not math.isfinite(s) else s for s in scores], dtype=float)
    if len(values) < 2:
        return np.zeros(len(values))
    below = (values[:, None] > values[None]).sum(1) + 0.5 * ((values[:, None] == values[None]).sum(1) - 1)
    return np.asarray(2.0 * below / (len(values) - 1) - 1.0)


def check_settings(name: str, settings: Mapping[str, Any], allowed: Mapping[str, tuple[Any, ...]]) -> None:
    """Refuse a setting that is not among its allowed values.

    Raises:
        InputError: naming the setting and what may stand there.
    """
    for key, choices in allowed.items():
        if settings[key] not in choices:
            raise InputError(f"{name}: {key}={settings[key]!r} is not one of {', '.join(map(repr, choices))}")
