"""`TermColumns`: terms with everything that is kept of them once their values are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symact.arrays import Array
from symact.equivalence.numeric.fingerprints import Fingerprints
from symact.equivalence.terms import Term


@dataclass
class TermColumns:
    """Terms with what is needed to class them.

    Attributes:
        symbols: ``(terms,)``; negative for an input.
        arguments: ``(terms, width)`` terms of the graph, unused places -1.
        fingerprints: their fingerprints.
        undefined: ``(terms,)`` number of sample points where it is undefined.
        proof: ``(terms,)`` codes into `EVIDENCE`: by what the classes of its arguments were made.
        numbers: ``(terms,)`` the number of each in the graph, or -1.
    """

    symbols: Array
    arguments: Array
    fingerprints: Fingerprints
    undefined: Array
    proof: Array
    numbers: Array

    def __len__(self) -> int:
        return len(self.symbols)

    def __getitem__(self, terms: Array | slice) -> TermColumns:
        return TermColumns(
            self.symbols[terms],
            self.arguments[terms],
            self.fingerprints[terms],
            self.undefined[terms],
            self.proof[terms],
            self.numbers[terms],
        )

    def term(self, index: int) -> Term:
        """One of them, as the comparison takes it."""
        return int(self.symbols[index]), tuple(int(a) for a in self.arguments[index] if a >= 0)

    @staticmethod
    def joined(parts: Sequence[TermColumns]) -> TermColumns:
        """Terms one after another."""
        if len(parts) == 1:
            return parts[0]
        width = max(part.arguments.shape[1] for part in parts)
        arguments = np.full((sum(map(len, parts)), width), -1, np.int64)
        start = 0
        for part in parts:
            arguments[start : start + len(part), : part.arguments.shape[1]] = part.arguments
            start += len(part)
        return TermColumns(
            np.concatenate([part.symbols for part in parts]),
            arguments,
            Fingerprints.joined([part.fingerprints for part in parts]),
            np.concatenate([part.undefined for part in parts]),
            np.concatenate([part.proof for part in parts]),
            np.concatenate([part.numbers for part in parts]),
        )


def spans(order: Array, starts: Array, ends: Array) -> Array:
    """The parts of `order` from each start to its end, one after another."""
    lengths = ends - starts
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    parts: Array = order[np.repeat(starts, lengths) + within]
    return parts
