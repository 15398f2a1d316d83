"""Floating types: every number of one, units in the last place, and what an exact number is rounded to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from symact.arrays import Array


@dataclass(frozen=True)
class Format:
    """A binary floating type.

    Attributes:
        name: that of PyTorch.
        dtype: that type.
        bits: of a number.
        digits: of a significand, the leading one counted.
        lowest: the exponent of the smallest normal number.
        highest: the exponent of the largest number.
    """

    name: str
    dtype: torch.dtype
    bits: int
    digits: int
    lowest: int
    highest: int

    @property
    def largest(self) -> float:
        """The largest number."""
        return float((2.0 - 2.0 ** (1 - self.digits)) * 2.0**self.highest)

    @property
    def overflow(self) -> float:
        """From here on an exact number is rounded to infinity."""
        return float((2.0 - 2.0**-self.digits) * 2.0**self.highest)

    def ulp(self, exact: Array) -> Array:
        """The distance of neighbouring numbers of the type around exact ones, as float64."""
        size = np.abs(exact)
        with np.errstate(divide="ignore", invalid="ignore"):
            exponent = np.frexp(size)[1] - 1
        exponent = np.where((size == 0) | ~np.isfinite(size), self.lowest, exponent)
        found: Array = np.ldexp(1.0, np.clip(exponent, self.lowest, self.highest) - (self.digits - 1))
        return found

    def errors(self, found: Array, exact: Array) -> Array:
        """How far numbers of the type are from exact ones, in ulp: at most 0.5 where they are rounded correctly.

        An infinity counts as the number that would follow the largest. NaN where the exact number is NaN; infinite
        where only `found` is.
        """
        beyond = 2.0 ** (self.highest + 1)
        unit = self.ulp(exact)
        with np.errstate(invalid="ignore", over="ignore"):
            errors = np.abs(np.clip(found, -beyond, beyond) - np.clip(exact, -beyond, beyond)) / unit
        right = np.isinf(found) & (np.abs(exact) >= self.overflow) & (np.sign(found) == np.sign(exact))
        errors = np.where(right, 0.0, errors)
        return np.where(np.isnan(exact), np.nan, np.where(np.isnan(found), np.inf, errors))

    def every(self) -> torch.Tensor:
        """``(2**bits,)`` every number of a type of 16 bits, by its bits: NaNs and infinities included."""
        numbers = torch.arange(1 << self.bits, dtype=torch.int32).to(torch.int16)
        return numbers.view(self.dtype)


FORMATS = {
    each.name: each
    for each in (
        Format("bfloat16", torch.bfloat16, 16, 8, -126, 127),
        Format("float16", torch.float16, 16, 11, -14, 15),
        Format("float32", torch.float32, 32, 24, -126, 127),
    )
}
