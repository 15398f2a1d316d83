"""Which functions a study has recorded, and the numbers by which stored rows name them.

Functions are numbered in the order in which they are recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from symact.equivalence.index.function_index import FunctionIndex
from symact.expr.tree import Candidate, Expr, sites, to_document


class StoredFunctions:
    """The recorded functions of one study.

    Args:
        index: tells functions apart; it belongs to the study.
        stored: (number, expression) of the functions recorded before.
    """

    def __init__(self, index: FunctionIndex, stored: Iterable[tuple[int, Expr]] = ()):
        self._index = index
        listed = list(stored)
        # They were told apart when they were recorded: all at once is ten times as quick as asking one by one.
        found = index.add_different([expression for _, expression in listed])
        # Number in the store -> in the index, and back.
        self._functions = {number: function for (number, _), function in zip(listed, found, strict=True)}
        self._numbers: dict[int, int] = {}
        for number, function in self._functions.items():
            self._numbers.setdefault(function, number)

    def record(self, candidate: Candidate, new: dict[int, Mapping[str, Any]]) -> str:
        """The function of a candidate as text for a stored row: a number, or one for each site.

        Args:
            candidate: of one or several sites.
            new: takes the documents of functions that had no number, by number.
        """
        numbers = []
        for expression, function in zip(sites(candidate), self._index.key(candidate), strict=False):
            number = self._numbers.get(function)
            if number is None:
                number = self._numbers[function] = len(self._functions)
                self._functions[number] = function
                new[number] = to_document(expression, self._index.grammar)
            numbers.append(number)
        return ",".join(map(str, numbers))

    def read(self, text: str) -> tuple[int, ...]:
        """What `FunctionIndex.key` says of the candidate of a stored row.

        Raises:
            ValueError: it names a function that is not stored.
        """
        try:
            return tuple(self._functions[int(number)] for number in text.split(","))
        except KeyError:
            raise ValueError(f"function {text!r} is not stored") from None
