"""Paired tests, and their correction for how many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.special import stdtr

SIGNIFICANCE = 0.05


def paired_p(scores: Sequence[float], reference: Sequence[float]) -> float:
    """The two-sided p value of the paired t test; 1 where no pair differs, 0 where all differ by the same."""
    pairs = [a - b for a, b in zip(scores, reference, strict=False)]
    mean = math.fsum(pairs) / len(pairs)
    error = math.sqrt(math.fsum((pair - mean) ** 2 for pair in pairs) / (len(pairs) - 1) / len(pairs))
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(len(pairs) - 1, -abs(mean) / error))


def holm(values: Sequence[float]) -> list[float]:
    """p values corrected for their number by Holm's step-down method (Scandinavian Journal of Statistics 6, 1979)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    corrected, largest = [0.0] * len(values), 0.0
    for rank, position in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[position]))
        corrected[position] = largest
    return corrected
