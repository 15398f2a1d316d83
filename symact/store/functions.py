"""Which functions a study has met: the same key for candidates that are the same function.

Functions are numbered in the order in which they are recorded, so that stored rows can name them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from symact.equivalence import FunctionIndex
from symact.errors import SymactError
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr, to_document

Key = tuple[Hashable, ...]


class KnownFunctions:
    """Function identity for the candidates of one study.

    Args:
        grammar: of the study.
        stored: (number, expression) of the functions recorded before.
    """

    def __init__(self, grammar: Vocabulary, stored: Iterable[tuple[int, Expr]] = ()):
        self._grammar = grammar
        self._index = FunctionIndex(grammar)
        self._classes: dict[Expr, Hashable] = {}
        self._numbers: dict[Hashable, int] = {}
        self._by_number: dict[int, Hashable] = {}
        stored = list(stored)
        # They were told apart when they were recorded: all at once is ten times as quick as asking one by one. What
        # the index cannot judge is met again below.
        with contextlib.suppress(SymactError):
            self._index.add_different([expression for _, expression in stored])
        for number, expression in stored:
            found = self._class(expression)
            self._by_number[number] = found
            self._numbers.setdefault(found, number)

    def key(self, candidate: Expr | tuple[Expr, ...]) -> Key:
        """The function of a candidate, site by site; the same one at all sites counts as one."""
        expressions = (candidate,) if isinstance(candidate, Expr) else candidate
        key = tuple(map(self._class, expressions))
        return key[:1] if len(set(key)) == 1 else key

    def record(self, candidate: Expr | tuple[Expr, ...], new: dict[int, Mapping[str, Any]]) -> str:
        """The key as text for a stored row: the numbers of its functions.

        Args:
            candidate: of one or several sites.
            new: takes the documents of functions that had no number, by number.
        """
        expressions = (candidate,) if isinstance(candidate, Expr) else candidate
        numbers = []
        for expression, found in zip(expressions, self.key(candidate), strict=False):
            number = self._numbers.get(found)
            if number is None:
                number = self._numbers[found] = len(self._by_number)
                self._by_number[number] = found
                new[number] = to_document(expression, self._grammar)
            numbers.append(number)
        return ",".join(map(str, numbers))

    def read(self, text: str) -> Key:
        """The key that a stored row names.

        Raises:
            ValueError: it names a function that is not stored.
        """
        try:
            return tuple(self._by_number[int(number)] for number in text.split(","))
        except KeyError:
            raise ValueError(f"function {text!r} is not stored") from None

    def _class(self, expression: Expr) -> Hashable:
        """Its class in the index; its text where the index cannot judge it."""
        found = self._classes.get(expression)
        if found is None:
            try:
                found = self._index.add(expression)
            except SymactError:
                found = str(expression)
            self._classes[expression] = found
        return found
