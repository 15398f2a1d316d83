"""Paired tests, and their correction for how many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.special import stdtr

SIGNIFICANCE = 0.05


# Scores that differ by less than this of their size, some units in the last place, are equal.
_ROUNDING = 2.0**-49


def paired(scores: Sequence[float], reference: Sequence[float]) -> tuple[float, float, int]:
    """The mean of the differences by pairs, its standard error, and the number of pairs, at least two.

    Differences that rounding alone makes are none, neither between two scores nor between two pairs.
    """
    pairs = [a - b for a, b in zip(scores, reference, strict=False)]
    count = len(pairs)
    rounding = _ROUNDING * max(map(abs, (*scores[:count], *reference[:count])))
    mean = math.fsum(pairs) / count
    if max(pairs) - min(pairs) <= rounding:
        return (0.0 if abs(mean) <= rounding else mean), 0.0, count
    return mean, math.sqrt(math.fsum((pair - mean) ** 2 for pair in pairs) / (count - 1) / count), count


def paired_p(scores: Sequence[float], reference: Sequence[float]) -> float:
    """The two-sided p value of the paired t test; 1 where no pair differs, 0 where all differ by the same."""
    mean, error, count = paired(scores, reference)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(count - 1, -abs(mean) / error))


def holm(values: Sequence[float]) -> list[float]:
    """p values corrected for their number by Holm's step-down method (Scandinavian Journal of Statistics 6, 1979)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    corrected, largest = [0.0] * len(values), 0.0
    for rank, position in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[position]))
        corrected[position] = largest
    return corrected
