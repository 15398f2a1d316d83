"""The functions of one space as optimizers see them: an index of them, which are usable, uniform draws.

In: a space. Out: `Pool`. Small spaces are enumerated once per process into their distinct
functions that are defined everywhere; a draw from them is uniform over functions. Spaces beyond
`ENUMERABLE` expressions are sampled, expression by expression, and screened.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from symact import equivalence
from symact.equivalence.index.function_index import FunctionIndex
from symact.expr.space import Space
from symact.expr.tree import Candidate, Expr
from symact.optimize.site_groups import SiteGroups

ENUMERABLE = 60_000
PATIENCE = 20_000  # draws without a new function after which a sampled space counts as used up

_CACHE: dict[tuple[str, str, str, bool], Pool] = {}
_MOST = 8


class Pool:
    """Distinct functions of a space; shared by all that search it in this process: optimizers, stores, tables.

    Attributes:
        space: the space.
        index: tells functions apart, of this space and others.
        members: its distinct usable functions, or None for a space that is too large to list.
    """

    def __init__(self, space: Space):
        self.space = space
        self.members: list[Expr] | None = None
        self._by_number: dict[int, Expr] = {}
        self._screened: dict[Expr, bool] = {}
        # A random order is made once per seed and played back, since every `ask` reads it again.
        self._orders: dict[int, tuple[list[Expr], Iterator[Expr]]] = {}
        if space.count() <= ENUMERABLE:
            self._enumerate()
        else:
            self.index = FunctionIndex(space.grammar)

    def _enumerate(self) -> None:
        """Classes of a whole space at once are a hundred times quicker than asking one by one."""
        table = equivalence.enumerate_classes(self.space.grammar, self.space)
        listed = list(self.space)
        self.index = FunctionIndex.of_classes(self.space.grammar, listed, table.column("class_id").to_pylist())
        self._classes = len(self.index)
        self.members = equivalence.distinct(self.space) or list(dict.fromkeys(listed))
        self._by_number = {self.index.add(member): member for member in self.members}

    @classmethod
    def of(cls, space: Space) -> Pool:
        """The functions of `space`, enumerated at most once per process."""
        key = (space.grammar.text, space.name, repr(space.shapes), space.affine)
        found = _CACHE.pop(key, None) or cls(space)
        while len(_CACHE) >= _MOST:
            _CACHE.pop(next(iter(_CACHE)))
        # The one that was asked for last stands last.
        _CACHE[key] = found
        return found

    def member(self, number: int) -> Expr | None:
        """The member that is the function of that number in the index, or None."""
        return self._by_number.get(number)

    def draws(self, seed: int, start: int = 0) -> Iterator[Expr]:
        """Functions in a random order that is fixed by `seed`: each once, or endless samples of a large space.

        Args:
            seed: fixes the order.
            start: how many of them to leave out at the beginning.
        """
        if seed not in self._orders:
            while len(self._orders) >= 4:
                self._orders.pop(next(iter(self._orders)))
            generator = np.random.default_rng([_NAMESPACE, seed % 2**63])
            if self.members is None:
                self._orders[seed] = ([], self._samples(generator))
            else:
                order = generator.permutation(len(self.members))
                self._orders[seed] = ([self.members[position] for position in order], iter(()))
        return _replayed(*self._orders[seed], start)

    def _samples(self, generator: np.random.Generator) -> Iterator[Expr]:
        seen: set[int] = set()
        waited = 0
        while waited < PATIENCE:
            expression = self.space.sample(generator)
            waited += 1
            if self.usable(expression) and (number := self.index.add(expression)) not in seen:
                seen.add(number)
                waited = 0
                yield expression

    def candidates(self, groups: SiteGroups, seed: int) -> Iterator[Candidate]:
        """Candidates in a random order fixed by the seed; of several groups of sites independent functions for each."""
        if len(groups) == 1:
            yield from self.draws(seed)
        for attempt in itertools.count() if len(groups) > 1 else ():
            yield groups.candidate(self.sample(len(groups), keyed(seed, _SITES, attempt)))

    def sample(self, count: int, generator: np.random.Generator) -> list[Expr]:
        """So many functions, drawn independently: uniformly from the members, or expressions of a large space."""
        if self.members is None:
            return [self.space.sample(generator) for _ in range(count)]
        return [self.members[int(place)] for place in generator.integers(len(self.members), size=count)]

    def usable(self, expression: Expr) -> bool:
        """Whether it is finite, with a finite slope, and not constant, near the origin."""
        if self.members is not None:
            number = self.index.add(expression)
            if number < self._classes:
                return number in self._by_number
        if expression not in self._screened:
            self._screened[expression] = bool(equivalence.screen([expression], self.space.affine)[0])
        return self._screened[expression]


def _replayed(order: list[Expr], source: Iterator[Expr], start: int) -> Iterator[Expr]:
    position = start
    while True:
        while position >= len(order):
            following = next(source, None)
            if following is None:
                return
            order.append(following)
        yield order[position]
        position += 1


def keyed(seed: int, *key: int) -> np.random.Generator:
    """The generator of an optimizer: one of its own for every (seed, key)."""
    return np.random.default_rng([_OPTIMIZERS, seed % 2**63, *(part % 2**63 for part in key)])


# They keep these draws apart from each other, and from any other use of the same seed.
_NAMESPACE, _OPTIMIZERS = 0x647261, 0x73796D
_SITES = 0x7369  # of several sites, apart from those of one that are keyed by what was told
