"""`Candidates`: rows with everything that is kept of them once their values are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symact.arrays import Array
from symact.equivalence.exact.comparison import Row
from symact.equivalence.terms import Fingerprints


@dataclass
class Candidates:
    """Rows with what is needed to class them.

    Attributes:
        heads: ``(rows,)``; -1 is `x` itself.
        arguments: ``(rows, width)`` rows of the dag, unused places -1.
        prints: their fingerprints.
        undefined: ``(rows,)`` number of sample points where it is undefined.
        proof: ``(rows,)`` codes into `EVIDENCE`: by what the classes of its arguments were made.
        nodes: ``(rows,)`` the row of the dag that each is, or -1.
    """

    heads: Array
    arguments: Array
    prints: Fingerprints
    undefined: Array
    proof: Array
    nodes: Array

    def __len__(self) -> int:
        return len(self.heads)

    def __getitem__(self, rows: Array | slice) -> Candidates:
        return Candidates(
            self.heads[rows],
            self.arguments[rows],
            self.prints[rows],
            self.undefined[rows],
            self.proof[rows],
            self.nodes[rows],
        )

    def row(self, index: int) -> Row:
        """One of them, as the arbiter takes it."""
        return int(self.heads[index]), tuple(int(a) for a in self.arguments[index] if a >= 0)

    @staticmethod
    def joined(parts: Sequence[Candidates]) -> Candidates:
        """Rows one after another."""
        if len(parts) == 1:
            return parts[0]
        width = max(part.arguments.shape[1] for part in parts)
        arguments = np.full((sum(map(len, parts)), width), -1, np.int64)
        start = 0
        for part in parts:
            arguments[start : start + len(part), : part.arguments.shape[1]] = part.arguments
            start += len(part)
        return Candidates(
            np.concatenate([part.heads for part in parts]),
            arguments,
            Fingerprints.joined([part.prints for part in parts]),
            np.concatenate([part.undefined for part in parts]),
            np.concatenate([part.proof for part in parts]),
            np.concatenate([part.nodes for part in parts]),
        )
