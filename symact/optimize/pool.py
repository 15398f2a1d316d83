"""The functions of one space as optimizers see them: keys by identity, the pool, uniform draws.

In: a space. Out: `Functions`. Small spaces are enumerated once per process into their distinct
functions that are defined everywhere; a draw from them is uniform over functions. Spaces beyond
`ENUMERABLE` expressions are sampled, expression by expression, and screened.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from symact import equivalence
from symact.expr.space import Space
from symact.expr.tree import Expr, candidate_text
from symact.optimize.function_features import outputs

ENUMERABLE = 60_000
PATIENCE = 20_000  # draws without a new function after which a sampled space counts as used up

_CACHE: dict[tuple[str, str, str], Functions] = {}


class Functions:
    """Distinct functions of a space; shared by all optimizers of a process that search it.

    Attributes:
        space: the space.
        members: its distinct usable functions, or None for a space that is too large to list.
    """

    def __init__(self, space: Space):
        self.space = space
        self.members: list[Expr] | None = None
        self._index = equivalence.FunctionIndex(space.grammar)
        self._keys: dict[Expr, Any] = {}
        self._usable: dict[Any, bool] = {}
        # A random order is made once per seed and played back, since every `ask` reads it again.
        self._tapes: dict[int, tuple[list[Expr], Iterator[Expr]]] = {}
        if space.count() <= ENUMERABLE:
            self._enumerate()

    def _enumerate(self) -> None:
        """Classes of a whole space at once are a hundred times quicker than asking one by one."""
        table = equivalence.enumerate_classes(self.space.grammar, self.space)
        classes = table.column("class_id").to_pylist()
        self._keys.update(zip(self.space, classes, strict=True))
        self.members = equivalence.distinct(self.space) or list(dict.fromkeys(self.space))
        usable = {self._keys[member] for member in self.members}
        self._usable.update((number, number in usable) for number in classes)

    @classmethod
    def of(cls, space: Space) -> Functions:
        """The functions of `space`, enumerated at most once per process."""
        key = (space.grammar.text, space.name, repr(space.shapes))
        if key not in _CACHE:
            while len(_CACHE) >= 8:
                _CACHE.pop(next(iter(_CACHE)))
            _CACHE[key] = cls(space)
        return _CACHE[key]

    def key(self, candidate: Expr | tuple[Expr, ...]) -> Any:
        """A key that is equal for equal functions; a tuple of keys for a candidate of several sites."""
        if not isinstance(candidate, Expr):
            return tuple(self.key(expression) for expression in candidate)
        known = self._keys.get(candidate)
        if known is None:
            known = self._keys[candidate] = self._foreign(candidate)
        return known

    def _foreign(self, expression: Expr) -> Any:
        """The key of an expression that was not listed: that of the member that it equals, if any."""
        number = self._index.add(expression)
        if self.members is not None:
            # Only members with nearly the same values can be the same function; the index decides among them.
            with np.errstate(all="ignore"):
                near = np.isclose(self._values, outputs([expression], _PROBES), rtol=1e-3, atol=1e-5, equal_nan=True)
            for row in np.flatnonzero(near.all(1)):
                if self._index.add(self.members[row]) == number:
                    return self._keys[self.members[row]]
        return "other", number

    @cached_property
    def _values(self) -> np.ndarray:
        return outputs(self.members or [], _PROBES)

    def draws(self, seed: int, start: int = 0) -> Iterator[Expr]:
        """Functions in a random order that is fixed by `seed`: each once, or endless samples of a large space.

        Args:
            seed: fixes the order.
            start: how many of them to leave out at the beginning.
        """
        if seed not in self._tapes:
            while len(self._tapes) >= 4:
                self._tapes.pop(next(iter(self._tapes)))
            generator = np.random.default_rng([_NAMESPACE, seed % 2**63])
            if self.members is None:
                self._tapes[seed] = ([], self._samples(generator))
            else:
                order = generator.permutation(len(self.members))
                self._tapes[seed] = ([self.members[position] for position in order], iter(()))
        return _replayed(*self._tapes[seed], start)

    def _samples(self, generator: np.random.Generator) -> Iterator[Expr]:
        seen: set[Any] = set()
        waited = 0
        while waited < PATIENCE:
            expression = self.space.sample(generator)
            waited += 1
            if self.usable(expression) and (key := self.key(expression)) not in seen:
                seen.add(key)
                waited = 0
                yield expression

    def usable(self, expression: Expr) -> bool:
        """Whether it is finite, with a finite slope, and not constant, near the origin."""
        known = self._keys.get(expression) if self.members is not None else expression
        if known not in self._usable:
            self._usable[known if known is not None else expression] = bool(equivalence.screen([expression])[0])
        return self._usable[known if known is not None else expression]


def _replayed(tape: list[Expr], source: Iterator[Expr], start: int) -> Iterator[Expr]:
    position = start
    while True:
        while position >= len(tape):
            following = next(source, None)
            if following is None:
                return
            tape.append(following)
        yield tape[position]
        position += 1


_NAMESPACE = 0x647261
_PROBES = np.linspace(-4.3, 4.7, 40, dtype=np.float32)


def text(candidate: Expr | tuple[Expr, ...]) -> str:
    """One line for a candidate."""
    return candidate_text(candidate)
