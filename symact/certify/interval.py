"""Intervals of real numbers and their arithmetic, rounded outwards.

Ends are exact binary numbers of python-flint; an operation works at the current precision.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from flint import arb

from symact.equivalence.exact.balls import UNDEFINED, UNKNOWN, Marker


class Interval(NamedTuple):
    """All real numbers from `low` to `high`."""

    low: arb
    high: arb

    @property
    def sign(self) -> int | None:
        """1, 0 or -1 where all numbers of the interval have that sign, else None."""
        if self.low > 0:
            return 1
        if self.high < 0:
            return -1
        return 0 if self.low == 0 and self.high == 0 else None

    @property
    def largest(self) -> arb:
        """The largest absolute value."""
        return abs(self.low).max(abs(self.high))

    @property
    def smallest(self) -> arb:
        """The smallest absolute value."""
        return arb(0) if self.sign is None else abs(self.low).min(abs(self.high))


ZERO, ONE = Interval(arb(0), arb(0)), Interval(arb(1), arb(1))


def outer(*balls: arb) -> Any:
    """The smallest interval that holds balls; UNKNOWN where one is not finite."""
    if not all(ball.is_finite() for ball in balls):
        return UNKNOWN
    lows, highs = [ball.lower() for ball in balls], [ball.upper() for ball in balls]
    low, high = lows[0], highs[0]
    for other in lows[1:]:
        low = low.min(other)
    for other in highs[1:]:
        high = high.max(other)
    return Interval(low, high)


def hull(*intervals: Any) -> Any:
    """The smallest interval that holds all of some."""
    if any(isinstance(each, Marker) for each in intervals):
        return UNKNOWN
    return outer(*(end for each in intervals for end in each))


def intersection(first: Any, second: Any) -> Any:
    """What both hold, where both are known; either, where the other is not."""
    if isinstance(first, Marker) or isinstance(second, Marker):
        return first if isinstance(second, Marker) else second
    low, high = first.low.max(second.low), first.high.min(second.high)
    return Interval(low, high) if low <= high else first


# Arithmetic; an operand that is not known makes the result unknown, but for a factor 0.
def add(a: Any, b: Any) -> Any:
    """The sums."""
    return UNKNOWN if isinstance(a, Marker) or isinstance(b, Marker) else outer(a.low + b.low, a.high + b.high)


def negative(a: Any) -> Any:
    """All numbers with the other sign."""
    return a if isinstance(a, Marker) else Interval(-a.high, -a.low)


def multiply(a: Any, b: Any) -> Any:
    """The products; of zero and what is not known, zero."""
    if a == ZERO or b == ZERO:
        return ZERO
    if isinstance(a, Marker) or isinstance(b, Marker):
        return UNKNOWN
    return outer(*(first * second for first in a for second in b))


def divide(a: Any, b: Any) -> Any:
    """The quotients; UNDEFINED where the divisor is zero, UNKNOWN where it may be."""
    if isinstance(a, Marker) or isinstance(b, Marker):
        return UNKNOWN
    if b.sign is None or b.sign == 0:
        return UNDEFINED if b.sign == 0 else UNKNOWN
    return outer(*(first / second for first in a for second in b))


def absolute(a: Interval) -> Interval:
    """The absolute values."""
    return Interval(a.smallest, a.largest)


def signed(sign: int) -> Interval:
    """A whole number as an interval."""
    return Interval(arb(sign), arb(sign))
