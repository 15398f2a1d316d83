"""`Fingerprints`: what is left of terms when their values are thrown away.

In: values at the sample points. Out: for each of eight blocks of points one number, a random projection of the values
there, and whether all of these are reliable. Equal functions have equal projections where both are reliable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symact.arrays import Array
from symact.equivalence.numeric.float64 import Saturation
from symact.equivalence.numeric.samples import BLOCKS, PER_BLOCK, POINTS

# How a feature shows the exponent of zero, and what it adds for a negative sign; and what is undefined.
FEATURE_ZERO, FEATURE_NEGATIVE, FEATURE_UNDEFINED = -1023.0, 77.7, 3333.3
_WEIGHTS = np.random.default_rng(20260103).uniform(0.25, 1.0, (BLOCKS, PER_BLOCK))
_BIAS = np.int64(1023 << 52)


@dataclass
class Fingerprints:
    """What is kept of terms.

    Attributes:
        projections: ``(terms, BLOCKS)``: a random projection of the values in each block of points, undefined ones
            included.
        reliable: ``(terms,)`` bits: bit j tells that all values of block j are accurate.
    """

    projections: Array
    reliable: Array

    def __len__(self) -> int:
        return len(self.reliable)

    @staticmethod
    def joined(parts: Sequence[Fingerprints]) -> Fingerprints:
        """Terms one after another."""
        return Fingerprints(
            np.concatenate([part.projections for part in parts]), np.concatenate([part.reliable for part in parts])
        )

    def __getitem__(self, terms: Array | slice) -> Fingerprints:
        return Fingerprints(self.projections[terms], self.reliable[terms])


def fingerprint(values: Array, bounds: Saturation) -> Fingerprints:
    """Fingerprints of ``(terms, columns)`` values.

    A value counts by its exponent and mantissa read as one number, which is linear between powers of two: equal
    relative differences weigh the same at every size.
    """
    projections = _projected(_feature(np.ascontiguousarray(values[:, :POINTS])))
    good = bounds.reliable(values)
    if len(good) == 1 and good.all():
        # A search asks for one at a time, and most of them are.
        return Fingerprints(projections, _ALL)
    blocks = good.reshape(-1, BLOCKS, PER_BLOCK).all(axis=2)
    return Fingerprints(projections, np.packbits(blocks, axis=1, bitorder="little")[:, 0])


_ALL = np.array([2**BLOCKS - 1], np.uint8)
_ALL.flags.writeable = False


def _feature(values: Array) -> Array:
    """Exponent plus mantissa of each value as one number; zero and undefined have numbers of their own."""
    size = np.abs(values).view(np.int64)
    out = (size - _BIAS) * 2.0**-52
    np.add(out, FEATURE_NEGATIVE, out=out, where=values < 0)
    undefined = np.isnan(values)
    if undefined.any():
        out[undefined] = FEATURE_UNDEFINED
    return out


def _projected(features: Array) -> Array:
    """``(terms, POINTS)`` -> ``(terms, BLOCKS)``."""
    projected: Array = np.einsum("tbp,bp->tb", features.reshape(-1, BLOCKS, PER_BLOCK), _WEIGHTS)
    return projected


def project_block(features: Array, block: int) -> float:
    """The projection of one block of one term from its features ``(PER_BLOCK,)``."""
    return float(features @ _WEIGHTS[block])
