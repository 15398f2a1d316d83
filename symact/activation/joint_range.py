"""Where float32 is enough for a function of several variables: a window for each, found on a grid of all.

A fused kernel computes the elements outside of the windows in float64. Of all windows those are taken in which most
normally distributed numbers are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch

from symact.activation.float32_range import ABSOLUTE, RELATIVE, coarse_grid, differs, numbers, points, samples
from symact.backends.cpu.kernel import DIFFERS, NOT_FINITE, UNDEFINED, NativeKernel, Window
from symact.backends.select import Pointwise
from symact.program.program import Program

_EVERYWHERE: Window = (0.0, math.inf, True)


@dataclass(frozen=True)
class Box:
    """For which values of `x` and `g` float32 is enough.

    Attributes:
        bad: ``(magnitudes, magnitudes)`` of the coarse grid, where it is not.
    """

    bad: np.ndarray

    @property
    def holds_one(self) -> bool:
        """Whether float32 is enough where both are 1."""
        return all(low <= 1.0 <= high for low, high, _ in self.windows)

    @cached_property
    def windows(self) -> tuple[Window, Window]:
        """A window for each variable."""
        if not self.bad.any():
            return _EVERYWHERE, _EVERYWHERE
        # A range of x is 1, 2, ... magnitudes from each on; for each, what is right for all of them.
        body, mass = self.bad[1:, 1:], _mass()
        count = len(mass)
        wrong = np.ones((count, count, count), bool)
        for first in range(count):
            wrong[first, first:] = np.logical_or.accumulate(body[first:], 0)
        # The best range of g for each: the run of right magnitudes that holds most.
        held, start = np.zeros((count, count)), np.zeros((count, count), int)
        best, ends = np.zeros((count, count)), np.zeros((count, count, 2), int)
        for k in range(count):
            right = ~wrong[:, :, k]
            start = np.where(right & (held == 0), k, start)
            held = np.where(right, held + mass[k], 0.0)
            better = held > best
            best = np.where(better, held, best)
            ends[better, 0], ends[better, 1] = start[better], k
        sums = np.concatenate([[0.0], mass.cumsum()])
        total = best * (sums[None, 1:] - sums[:-1, None])
        if not (total > 0).any():
            return (math.inf, math.inf, False), _EVERYWHERE
        low, high = map(int, np.unravel_index(int(total.argmax()), total.shape))
        return self._found((low, high), (int(ends[low, high, 0]), int(ends[low, high, 1])))

    def _found(self, x: tuple[int, int], g: tuple[int, int]) -> tuple[Window, Window]:
        rows, columns = slice(x[0] + 1, x[1] + 2), slice(g[0] + 1, g[1] + 2)
        zero_x, zero_g = not self.bad[0, columns].any(), not self.bad[rows, 0].any()
        zero_x &= not (zero_g and bool(self.bad[0, 0]))
        return _window(x, zero_x), _window(g, zero_g)


def _window(ends: tuple[int, int], zero: bool) -> Window:
    sizes = coarse_grid()[1:]
    low = 0.0 if ends[0] == 0 else float(sizes[ends[0]])
    return low, math.inf if ends[1] == len(sizes) - 1 else float(sizes[ends[1]]), zero


@cache
def _mass() -> np.ndarray:
    """Which part of normally distributed numbers lies nearest to each magnitude but 0, and a little for the others."""
    sizes = coarse_grid()[1:]
    middles = np.sqrt(sizes[1:] * sizes[:-1])
    held = np.array([0.0, *[math.erf(m / math.sqrt(2.0)) for m in middles], 1.0])
    return np.diff(held) + 1e-6


def box(program: Program, kernel: NativeKernel, exact: Callable[[], NativeKernel]) -> Box:
    """Where a kernel of `x` and `g` gives values and gradients in float32 as they are.

    The kernel's own run in float64 tells it for most functions: there it agrees everywhere, and has values everywhere.

    Args:
        program: the forward Program.
        kernel: of it.
        exact: makes the same function for float64.
    """
    found = _bad(program, kernel, kernel, DIFFERS | UNDEFINED)
    return found if not found.bad.any() else _bad(program, kernel, exact(), DIFFERS)


def box_of_values(program: Program, kernel: Pointwise, exact: Pointwise) -> Box:
    """Where a fused kernel of `x`, `g` and parameters gives all its outputs in float32 as another does in float64."""
    where = points(program.variables)
    bad = np.zeros(len(where.sizes), bool)
    for sample in samples(program):
        numbers_here = [torch.full_like(where.variables[0], n).float() for n in numbers(program, sample)]
        found = kernel(*[t.float() for t in where.variables], *numbers_here)
        wanted = exact(*where.variables, *[n.double() for n in numbers_here])
        for own, other in zip(found, wanted, strict=True):
            # At 0, where the function has no value, nothing is wrong.
            wrong = differs(other.float().double(), own.double(), where.zero) & ~(where.zero & ~own.isfinite())
            bad |= wrong.numpy()[where.places].any(0)
    return Box(bad.reshape(len(coarse_grid()), -1))


def _bad(program: Program, kernel: NativeKernel, exact: NativeKernel, wrong: int) -> Box:
    where = points(program.variables)
    variables = [np.ascontiguousarray(t.numpy()) for t in where.variables]
    ones = np.ones_like(variables[0])
    bad = np.zeros(where.places.shape[1], bool)
    for sample in samples(program):
        inputs = *variables, *[ones * number for number in numbers(program, sample)], ones
        values, slopes = kernel.marks(exact, inputs, RELATIVE, ABSOLUTE)
        # At 0, where the function has no value, nothing is wrong.
        here = ((values | slopes) & wrong != 0) & ~(where.zero.numpy() & (values & NOT_FINITE != 0))
        bad |= here[where.places].any(0)
    return Box(bad.reshape(len(coarse_grid()), -1))
