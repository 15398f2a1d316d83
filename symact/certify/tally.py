"""What is counted of results beside the truth, block by block: it adds up, can be written down, and read again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from symact.activation.check import PROMISED
from symact.arrays import Array
from symact.certify.formats import Format

# Errors in ulp beyond which results are counted.
STEPS = (0.51, 1.0, 2.0, 4.0, 16.0, 256.0, 65536.0)
_LISTED = 8
# Where the truth is known less well than this, in ulp, it is asked of balls at the number itself.
LOOSE = 2.0**-8
# The bits of a float64's exponent.
_EXPONENTS = np.int64(0x7FF0_0000_0000_0000)


def counted_beyond(found: Mapping[str, Any]) -> str:
    """How many values and slopes are outside the promise, as words: `1 value and 3 slopes`; `""` if none."""
    parts = [(found[plural]["beyond"], plural.removesuffix("s"), plural) for plural in ("values", "slopes")]
    return " and ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in parts if count)


@dataclass
class Errors:
    """Of values, or of slopes.

    Attributes:
        counted: inputs at which there is a truth.
        worst: the largest error found, in ulp.
        at: the input of it.
        found: the result there.
        uncertainty: the largest bound of what the truth is not known by, in ulp.
        beyond: for each of `STEPS`, how many errors are larger.
        broken: results further from the truth than is promised.
        broken_at: the first of them.
    """

    counted: int = 0
    worst: float = 0.0
    at: float | None = None
    found: float | None = None
    uncertainty: float = 0.0
    beyond: list[int] = field(default_factory=lambda: [0] * len(STEPS))
    broken: int = 0
    broken_at: list[float] = field(default_factory=list)

    def add(self, kind: Format, x: Array, found: Array, exact: Array, inverse: Array | None = None) -> None:
        """Count results.

        Args:
            kind: their type.
            x: ``(n,)`` the inputs.
            found: ``(n,)`` the results, as float64.
            exact: ``(n,)`` the truth, all finite.
            inverse: ``(n,)`` one by the ulp around the truth, if that is known.
        """
        if not len(x):
            return
        self.counted += len(x)
        inverse = inverse_ulp(kind, exact) if inverse is None else inverse
        error = np.subtract(found, exact)
        np.abs(error, out=error)
        ulps = error * inverse
        place = int(ulps.argmax())
        if not math.isfinite(ulps[place]) or float(inverse.min()) <= _of_the_largest(kind):
            ulps = kind.errors(found, exact)
            place = int(ulps.argmax())
        worst = float(ulps[place])
        if worst > self.worst or self.at is None:
            self.worst, self.at, self.found = worst, float(x[place]), float(found[place])
        for number, step in enumerate(STEPS):
            if worst <= step:
                break
            self.beyond[number] += int(np.count_nonzero(ulps > step))
        self._compare(kind, x, found, exact, error)

    def _compare(self, kind: Format, x: Array, found: Array, exact: Array, error: Array) -> None:
        # Settles nearly all blocks; what is no number is further away than anything.
        if float(error.max()) <= PROMISED / 10:
            return
        broken = ~(error <= PROMISED * np.maximum(np.abs(exact), 0.1)) & (kind.errors(found, exact) > 0.0)
        if broken.any():
            self.broken += int(np.count_nonzero(broken))
            self.broken_at = [*self.broken_at, *x[broken][: _LISTED - len(self.broken_at)].tolist()]


@dataclass
class Tally:
    """Everything that is counted.

    Attributes:
        inputs: how many inputs were given to the function.
        by_polynomials: at how many of them polynomials with proved bounds say what is exact.
        by_balls: at how many balls at the number itself do.
        pieces: how many polynomials there were.
        undefined: inputs at which the function is undefined.
        at_undefined: what results are there.
        without_derivative: inputs at which there is a value and no derivative.
        values: errors of the values.
        slopes: errors of the derivative.
        neighbours: pairs of neighbouring inputs whose exact values are surely apart.
        reversed: of them, those whose results are in the opposite order.
        zeros: results that are zero, of values.
        zero_slopes: and of slopes.
        low: the least value, and its input.
        high: the largest value.
        steepest: the largest absolute slope.
        nans: NaN inputs.
        nans_kept: how many of them give NaN, as value and as slope.
    """

    inputs: int = 0
    by_polynomials: int = 0
    by_balls: int = 0
    pieces: int = 0
    undefined: int = 0
    at_undefined: dict[str, int] = field(default_factory=lambda: {"nan": 0, "infinite": 0, "finite": 0})
    without_derivative: int = 0
    values: Errors = field(default_factory=Errors)
    slopes: Errors = field(default_factory=Errors)
    neighbours: int = 0
    reversed: int = 0
    zeros: int = 0
    zero_slopes: int = 0
    low: tuple[float, float] | None = None
    high: tuple[float, float] | None = None
    steepest: tuple[float, float] | None = None
    nans: int = 0
    nans_kept: int = 0

    def document(self) -> dict[str, Any]:
        """All of it in plain types."""
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Tally:
        """What `document` gave."""
        known = {each.name for each in fields(cls)}
        kept = {name: value for name, value in document.items() if name in known}
        parts = {name: Errors(**kept[name]) for name in ("values", "slopes")}
        ends = {name: kept[name] and tuple(kept[name]) for name in ("low", "high", "steepest")}
        return cls(**{**kept, **parts, **ends})

    def extremes(self, x: Array, values: Array, slopes: Array) -> None:
        """Range, zeros and the largest slope of results."""
        self.zeros += len(x) - int(np.count_nonzero(values))
        self.zero_slopes += len(x) - int(np.count_nonzero(slopes))
        with np.errstate(invalid="ignore"):
            low, high = float(np.fmin.reduce(values)), float(np.fmax.reduce(values))
            least, most = float(np.fmin.reduce(slopes)), float(np.fmax.reduce(slopes))
        if not math.isnan(low) and (self.low is None or low < self.low[0]):
            self.low = low, float(x[int(np.flatnonzero(values == low)[0])])
        if not math.isnan(high) and (self.high is None or high > self.high[0]):
            self.high = high, float(x[int(np.flatnonzero(values == high)[0])])
        size = max(-least, most)
        if not math.isnan(size) and (self.steepest is None or size > self.steepest[0]):
            self.steepest = size, float(x[int(np.flatnonzero(np.abs(slopes) == size)[0])])

    def order(self, values: Array, exact: Array, bound: float) -> None:
        """Whether neighbours whose exact values are surely apart are in the right order."""
        true = np.diff(exact)
        apart = np.abs(true) > 2 * bound
        count = int(np.count_nonzero(apart))
        self.neighbours += count
        if count:
            with np.errstate(invalid="ignore", over="ignore"):
                self.reversed += int(np.count_nonzero((np.diff(values) * np.sign(true) < 0) & apart))


def inverse_ulp(kind: Format, exact: Array) -> Array:
    """One by the ulp of the type around exact numbers below 2**1000, as if it had no largest; quick, by bits."""
    least = np.int64(kind.lowest + 1023) << np.int64(52)
    bits = np.maximum(np.ascontiguousarray(exact).view(np.int64) & _EXPONENTS, least)
    # 2046 is the sum of the exponents' biases of a number and of its inverse.
    np.subtract(np.int64(2046) << np.int64(52), bits, out=bits)
    found: Array = bits.view(np.float64) * 2.0 ** (kind.digits - 1)
    return found


def _of_the_largest(kind: Format) -> float:
    return 2.0 ** (kind.digits - 1 - kind.highest)
