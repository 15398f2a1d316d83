"""`SampleGrid`: points where functions are compared, and the float64 values of terms there."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from symact.arrays import Array
from symact.equivalence.numeric.float64 import Saturation, run, whole
from symact.equivalence.terms import FunctionSymbol, ParameterKind, ParameterSlot, TermGraph

# So many sample points, in so many blocks; and so many on the dense grid.
POINTS, BLOCKS, DENSE = 64, 8, 256
PER_BLOCK = POINTS // BLOCKS
# The middle sample point of each block.
MIDDLES = np.arange(PER_BLOCK // 2, POINTS, PER_BLOCK)
# So many terms of 128 columns stay in cache.
_BATCH = 512
# The ends of a dense grid are all but those of the interval, so that nothing hides beyond them.
_END = 3.1e-8


@dataclass(frozen=True)
class Line:
    """A line through the box of two inputs, along which a coordinate t runs over the interval.

    Attributes:
        x: (value at t = 0, change with t).
        g: likewise.
    """

    x: tuple[float, float]
    g: tuple[float, float]

    def at(self, t: Array) -> Array:
        """``(2, points)``."""
        return np.stack([start + slope * t for start, slope in (self.x, self.g)])


class SampleGrid:
    """Points and the values of terms at them.

    Args:
        graph: names the terms.
        x: ``(points,)`` values of x; where the points lie on a line through a box, its coordinate.
        seed: of the parameters' values at the points.
        doubled: see `float64`.
        fixed_parameters: every parameter has one value at all points, so that the points lie on a line.
        line: where the points lie in the box of two inputs; else they are scattered over it.

    Attributes:
        inputs: ``(inputs, points)``.
    """

    def __init__(
        self,
        graph: TermGraph,
        x: Array,
        seed: int = 1,
        doubled: bool = True,
        fixed_parameters: bool = False,
        line: Line | None = None,
    ):
        self.graph, self.x, self.seed, self.fixed_parameters, self.line = graph, x, seed, fixed_parameters, line
        self.inputs = x[None]
        if graph.inputs > 1:
            self.inputs = np.stack([x, scattered(x)]) if line is None else line.at(x)
        self.bounds = Saturation(len(x), doubled)
        self.columns = 2 * len(x) if doubled else len(x)
        self._values = np.empty((64, self.columns))
        self.filled = graph.inputs
        self._values[: self.filled] = np.tile(self.inputs, 2) if doubled else self.inputs
        # Terms with a whole number among their values, where doubled.
        self._whole = np.zeros(64, bool)
        self._whole[: self.filled] = whole(self.inputs).any(axis=1)
        self._parameters: dict[ParameterSlot, Array] = {}

    def parameter(self, slot: ParameterSlot) -> Array:
        """The values of a parameter at the points, ``(1, columns)``: one per stratum of its range, shuffled; or one."""
        if slot not in self._parameters:
            low, high = slot.range
            generator = np.random.default_rng([self.seed, slot.number, *_digest(slot.kind)])
            count = len(self.x)
            if self.fixed_parameters:
                strata = np.full(count, generator.uniform(0.1, 0.9))
            else:
                strata = (generator.permutation(count) + generator.uniform(0.05, 0.95, count)) / count
            values = low + (high - low) * strata
            self._parameters[slot] = np.tile(values, self.columns // count)[None]
        return self._parameters[slot]

    @property
    def values(self) -> Array:
        """``(filled, columns)``."""
        return self._values[: self.filled]

    def evaluate(
        self, symbol: FunctionSymbol, arguments: Sequence[Array], salt: int, possibly_whole: Array | None = None
    ) -> Array:
        """Values ``(terms, columns)`` of a symbol at values of arguments.

        Args:
            symbol: what is applied.
            arguments: ``(terms, columns)`` or ``(1, columns)`` each.
            salt: where the perturbations begin.
            possibly_whole: ``(n,)`` terms whose arguments may all be whole numbers somewhere; None where unknown.
        """
        inputs = [*arguments, *[self.parameter(slot) for slot in symbol.slots]]
        out = run(symbol.program, inputs, self.bounds, salt if self.bounds.doubled else None, possibly_whole)
        shape = (max(map(len, arguments)), self.columns)
        return out if out.shape == shape else np.broadcast_to(out, shape)

    def apply(self, number: int, arguments: Array, first: int = 0) -> Array:
        """Values ``(terms, columns)`` of applications ``(terms, arity)`` that need not be in the graph."""
        symbol = self.graph.symbols[number]
        possibly_whole = None
        if self.bounds.doubled and not symbol.slots:
            possibly_whole = np.flatnonzero(self._whole[arguments].all(axis=1))
        values = [np.take(self._values, column, axis=0) for column in arguments.T]
        return self.evaluate(symbol, values, first * 7 + number * 13, possibly_whole)

    def batches(self, symbol: int, arguments: Array) -> list[tuple[int, Array, int]]:
        """Terms of one symbol in parts whose values stay in cache: (symbol, arguments, number of the first)."""
        step = max(1, _BATCH * 128 // self.columns)
        return [(symbol, arguments[start : start + step], start) for start in range(0, len(arguments), step)]

    def applied(self, symbol: int, arguments: Array) -> Iterator[Array]:
        """`apply` batch by batch."""
        return (self.apply(*batch) for batch in self.batches(symbol, arguments))

    def _store(self, values: Array) -> None:
        """Keep the values of the next terms."""
        needed = self.filled + len(values)
        if needed > len(self._values):
            grown = np.empty((max(needed, 2 * len(self._values)), self.columns))
            grown[: self.filled] = self.values
            self._values = grown
            self._whole = np.concatenate([self._whole, np.zeros(len(grown) - len(self._whole), bool)])
        self._values[self.filled : needed] = values
        if self.bounds.doubled:
            self._whole[self.filled : needed] = whole(values[:, len(self.x) :]).any(axis=1)
        self.filled = needed

    def extend(self) -> None:
        """Evaluate every term of the graph that has no values here yet."""
        for symbol, arguments, _ in self.graph.batches(self.filled):
            for values in self.applied(symbol, arguments):
                self._store(values)


def _digest(kind: ParameterKind) -> list[int]:
    return list(hashlib.sha256(repr(kind).encode()).digest()[:8])


@cache
def sample_points(low: float, high: float, count: int = POINTS) -> Array:
    """Points of an interval in ascending order: stratified, with a third of them crowding around zero.

    The fractional parts are arbitrary, so that no kink, zero or pole of an ordinary formula is met exactly.
    """
    generator = np.random.default_rng(20260102)
    width = high - low
    near = count // 3 if low < 0 < high else 0
    spread = low + width * (np.arange(count - near) + generator.uniform(0.1, 0.9, count - near)) / (count - near)
    sides = near // 2, near - near // 2
    crowd = []
    for side, bound in zip(sides, (-low, high), strict=True):
        sizes = np.geomspace(4e-4 * bound, 0.5 * bound, side) if side else np.empty(0)
        crowd.append(sizes * generator.uniform(0.9, 1.1, side))
    return _fixed(np.sort(np.concatenate([spread, -crowd[0], crowd[1]])))


def scattered(x: Array) -> Array:
    """The other input at points with these values: the same ones in an order that fills the square evenly.

    By ranks, a lattice of rank 1 (Korobov 1959) with the golden ratio. Where the number of points is a multiple of
    four, none lies on a diagonal of the square.
    """
    count = len(x)
    step = next(s for s in range(int(count / 1.618) | 3, 8 * count + 8, 4) if math.gcd(s, count) == 1)
    other: Array = x[(np.arange(count) * step + 17) % count]
    return other


@cache
def dense_points(low: float, high: float, count: int = DENSE) -> Array:
    """A grid that no sample point is on, finer around zero where the interval is long."""
    generator = np.random.default_rng(20260104)
    strata = (np.arange(count) + generator.uniform(0.2, 0.8, count)) / count
    strata[0], strata[-1] = _END, 1 - _END
    even = low + (high - low) * strata
    if not low < 0 < high or high - low <= 20:
        return _fixed(even)
    scale = 2.0
    bent = np.sinh(np.arcsinh(low / scale) + (np.arcsinh(high / scale) - np.arcsinh(low / scale)) * strata) * scale
    return _fixed(np.sort(np.where(np.arange(count) % 2, even, bent)))


def _fixed(points: Array) -> Array:
    """Points that many share."""
    points.flags.writeable = False
    return points
