"""Points where functions are compared, and the values of shared sub-expressions there.

`Dag` names every distinct sub-expression once: a row is an operator and the rows of its arguments. A
`Field` is a set of points (of `x` and of the parameters) with the values of rows at them; `Fingerprints`
are what is left of a row when its values are thrown away.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeAlias

import numpy as np

from symact.arrays import Array
from symact.equivalence.exact.balls import FEATURE_NEGATIVE, FEATURE_UNDEFINED
from symact.equivalence.numeric.float64 import Saturation, run, whole
from symact.expr.operators import Operator, Parameter, Vocabulary
from symact.program import signs
from symact.program.pipeline import exact_program
from symact.program.program import Operation, Program

POINTS, ANCHORS, DENSE = 64, 8, 256
PER_ANCHOR = POINTS // ANCHORS
# The middle sample point of each anchor.
MIDDLES = np.arange(PER_ANCHOR // 2, POINTS, PER_ANCHOR)
_BLOCK = 512


@dataclass(frozen=True)
class Slot:
    """A parameter as identity sees it: names do not matter, only what the parameter is.

    Attributes:
        family: (init, per, positive, share, range) of the parameter.
        number: its place among the parameters of that family in one expression.
    """

    family: tuple
    number: int

    @staticmethod
    def family_of(parameter: Parameter) -> tuple:
        """What two parameters must share to be exchangeable."""
        return (parameter.init, parameter.per, parameter.positive, parameter.share, parameter.range)


Slots: TypeAlias = dict[str, Slot]


@dataclass(frozen=True)
class Head:
    """An operator in a `Dag`: its program and which parameter slots it reads."""

    operator: Operator
    program: Program
    slots: tuple[Slot, ...]

    @property
    def arity(self) -> int:
        """Argument rows of one application."""
        return len(self.program.inputs) - len(self.slots)

    @cached_property
    def alias(self) -> int | None:
        """The argument that it gives back unchanged, or None."""
        return self.program.output if self.program.output < self.arity else None

    @cached_property
    def step(self) -> str | None:
        """The name of the one step of its arguments, in order, that it is; None where it is more than that."""
        steps = self.program.value_operations
        plain = len(steps) == 1 and not self.slots and steps[0].arguments == tuple(range(self.arity))
        return steps[0].name if plain else None

    @cached_property
    def plain_domain(self) -> bool:
        """Whether it is defined wherever its inputs are, or is one step, so that these alone say where it is not."""
        return self.program.length <= 1 or signs.is_total(self.program)

    @cached_property
    def commutative(self) -> bool:
        """Whether exchanging two arguments exchanges the operands of one commutative step, and nothing else."""
        steps = self.program.value_operations
        return self.arity == 2 and _mirrored(self.program.output, steps, len(self.program.inputs))

    @cached_property
    def associative(self) -> bool:
        """Whether folding it does not depend on the order: a bare sum, product, max or min."""
        steps = self.program.value_operations
        return len(steps) == 1 and steps[0].name in _COMMUTATIVE and set(steps[0].arguments) == {0, 1}


_COMMUTATIVE = frozenset(["add", "mul", "max", "min", "eq", "ne", "and", "or"])
_EVEN = frozenset(["abs"])


def _mirrored(output: int, steps: Sequence[Operation], inputs: int) -> bool:
    """Whether a result stays the same when the first two inputs change places, by syntax alone."""

    def key(number: int, swapped: bool) -> tuple:
        if number < inputs:
            return ("input", 1 - number if swapped and number < 2 else number)
        step = steps[number - inputs]
        parts = [key(argument, swapped) for argument in step.arguments]
        even = step.name in _EVEN or (step.name == "ipow" and int(step.number) % 2 == 0)
        if even and parts[0][0] == "sub":
            return (step.name, step.value, "difference", *sorted(parts[0][2:], key=repr))
        ordered = sorted(parts, key=repr) if step.name in _COMMUTATIVE else parts
        return (step.name, step.value, *ordered)

    return key(output, False) == key(output, True)


@dataclass
class Block:
    """Rows of one head that were added together: ``arguments`` is ``(rows, arity)``."""

    head: int
    arguments: Array
    first: int


class Dag:
    """Distinct sub-expressions; row 0 is `x`."""

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.blocks: list[Block] = []
        self.starts: list[int] = []
        self.size = 1
        self._known: dict[tuple[Operator, tuple[Slot, ...]], int] = {}
        self._meanings: dict[tuple, int] = {}
        self._twins: list[int] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Dag:
        # Only the containers ever change, not what is in them.
        copied = memo[id(self)] = Dag()
        copied.size = self.size
        copied.heads, copied.blocks, copied.starts = [*self.heads], [*self.blocks], [*self.starts]
        copied._known, copied._meanings, copied._twins = {**self._known}, {**self._meanings}, [*self._twins]
        return copied

    def head(self, operator: Operator, slots: tuple[Slot, ...] = ()) -> int:
        """The number of an operator with its parameter slots, new or known."""
        key = (operator, slots)
        if key not in self._known:
            self._known[key] = len(self.heads)
            self.heads.append(Head(operator, exact_program(operator), slots))
        return self._known[key]

    def first_twin(self, number: int) -> int:
        """The first head that computes the same as head `number`."""
        while len(self._twins) <= number:
            head = self.heads[len(self._twins)]
            meaning = (head.program.value_operations, head.program.output, head.arity, head.slots)
            self._twins.append(self._meanings.setdefault(meaning, len(self._twins)))
        return self._twins[number]

    def append(self, head: int, arguments: Array) -> int:
        """Add rows ``(rows, arity)``; gives the number of the first."""
        first = self.size
        self.blocks.append(Block(head, arguments, first))
        self.starts.append(first)
        self.size += len(arguments)
        return first

    def node(self, row: int) -> tuple[int, tuple[int, ...]]:
        """The head of a row and its argument rows."""
        block = self.blocks[bisect_right(self.starts, row) - 1]
        return block.head, tuple(block.arguments[row - block.first].tolist())

    def pieces(self, start: int) -> Iterator[tuple[int, Array, int]]:
        """(head, arguments, first row) of the rows from `start` on, block by block."""
        for block in self.blocks[max(bisect_right(self.starts, start) - 1, 0) :]:
            skip = max(start - block.first, 0)
            if skip < len(block.arguments):
                yield block.head, block.arguments[skip:], block.first + skip


def slots_of(vocabulary: Vocabulary) -> dict[str, Slot]:
    """The slots of a grammar's parameters when each family has one shared member."""
    return {name: Slot(Slot.family_of(p), 0) for name, p in vocabulary.parameters.items()}


class Field:
    """Points and the values of rows at them.

    Args:
        dag: names the rows.
        x: ``(points,)``.
        seed: of the parameters' values at the points.
        doubled: see `kernels`.
        still: every parameter has one value at all points, so that the points lie on a line.
    """

    def __init__(self, dag: Dag, x: Array, seed: int = 1, doubled: bool = True, still: bool = False):
        self.dag, self.x, self.seed, self.still = dag, x, seed, still
        self.bounds = Saturation(len(x), doubled)
        self.columns = 2 * len(x) if doubled else len(x)
        self._values = np.empty((64, self.columns))
        self._values[0] = np.tile(x, 2) if doubled else x
        # Rows with a whole number among their values, where doubled.
        self._whole = np.zeros(64, bool)
        self._whole[0] = whole(x).any()
        self._slots: dict[Slot, Array] = {}
        self.filled = 1

    def slot(self, slot: Slot) -> Array:
        """The values of a parameter at the points, ``(1, columns)``: one per stratum of its range, shuffled; or one."""
        if slot not in self._slots:
            low, high = slot.family[4]
            generator = np.random.default_rng([self.seed, slot.number, *_digest(slot.family)])
            count = len(self.x)
            if self.still:
                places = np.full(count, generator.uniform(0.1, 0.9))
            else:
                places = (generator.permutation(count) + generator.uniform(0.05, 0.95, count)) / count
            values = low + (high - low) * places
            self._slots[slot] = np.tile(values, self.columns // count)[None]
        return self._slots[slot]

    @property
    def values(self) -> Array:
        """``(filled, columns)``."""
        return self._values[: self.filled]

    def apply(self, head: int, arguments: Array, first_row: int = 0) -> Array:
        """Values ``(rows, columns)`` of rows that need not be in the dag."""
        row = self.dag.heads[head]
        inputs = [np.take(self._values, arguments[:, i], axis=0) for i in range(row.arity)]
        inputs += [self.slot(slot) for slot in row.slots]
        salt = first_row * 7 + head * 13 if self.bounds.doubled else None
        may_be_whole = None
        if self.bounds.doubled and not row.slots:
            may_be_whole = np.flatnonzero(self._whole[arguments].all(axis=1))
        out = run(row.program, inputs, self.bounds, salt, may_be_whole)
        if out.shape != (len(arguments), self.columns):
            out = np.broadcast_to(out, (len(arguments), self.columns))
        return out

    def blocks(self, head: int, arguments: Array) -> list[tuple[int, Array, int]]:
        """Rows of one head in parts whose values stay in cache: (head, arguments, number of the first)."""
        step = max(1, _BLOCK * 128 // self.columns)
        return [(head, arguments[start : start + step], start) for start in range(0, len(arguments), step)]

    def applied(self, head: int, arguments: Array) -> Iterator[Array]:
        """`apply` block by block."""
        return (self.apply(*block) for block in self.blocks(head, arguments))

    def store(self, values: Array) -> None:
        """Keep the values of the next rows."""
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
        """Evaluate every row of the dag that has no values here yet."""
        for head, arguments, _ in self.dag.pieces(self.filled):
            for values in self.applied(head, arguments):
                self.store(values)


def _digest(family: tuple) -> list[int]:
    import hashlib

    return list(hashlib.sha256(repr(family).encode()).digest()[:8])


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


@dataclass
class Fingerprints:
    """What is kept of rows: ``anchors`` ``(rows, ANCHORS)`` and ``trusted`` ``(rows,)`` bits.

    Anchor j is a random projection of the values at the j-th eighth of the points, undefined ones
    included. Bit j of `trusted` tells that all of them are accurate.
    """

    anchors: Array
    trusted: Array

    def __len__(self) -> int:
        return len(self.trusted)

    @staticmethod
    def empty() -> Fingerprints:
        """No rows."""
        return Fingerprints(np.empty((0, ANCHORS)), np.empty(0, np.uint8))

    @staticmethod
    def joined(parts: Sequence[Fingerprints]) -> Fingerprints:
        """Rows one after another."""
        return Fingerprints(
            np.concatenate([part.anchors for part in parts]), np.concatenate([part.trusted for part in parts])
        )

    def __getitem__(self, rows: Array | slice) -> Fingerprints:
        return Fingerprints(self.anchors[rows], self.trusted[rows])


_END = 3.1e-8
_WEIGHTS = np.random.default_rng(20260103).uniform(0.25, 1.0, (ANCHORS, PER_ANCHOR))
_BIAS = np.int64(1023 << 52)


def fingerprint(values: Array, bounds: Saturation) -> Fingerprints:
    """Fingerprints of ``(rows, columns)`` values.

    A value counts by its exponent and mantissa read as one number, which is linear between powers of two: equal
    relative differences weigh the same at every size.
    """
    anchors = project(feature(np.ascontiguousarray(values[:, :POINTS])))
    good = bounds.trusted(values).reshape(-1, ANCHORS, PER_ANCHOR).all(axis=2)
    return Fingerprints(anchors, np.packbits(good, axis=1, bitorder="little")[:, 0])


def feature(values: Array) -> Array:
    """Exponent plus mantissa of each value as one number; zero and undefined have numbers of their own."""
    size = np.abs(values).view(np.int64)
    out = (size - _BIAS) * 2.0**-52
    np.add(out, FEATURE_NEGATIVE, out=out, where=values < 0)
    undefined = np.isnan(values)
    if undefined.any():
        out[undefined] = FEATURE_UNDEFINED
    return out


def project(features: Array) -> Array:
    """``(rows, POINTS)`` -> ``(rows, ANCHORS)``."""
    return np.einsum("rap,ap->ra", features.reshape(-1, ANCHORS, PER_ANCHOR), _WEIGHTS)


def project_one(features: Array, anchor: int) -> float:
    """One anchor of one row from its features ``(POINTS / ANCHORS,)``."""
    return float(features @ _WEIGHTS[anchor])


@cache
def dense_points(low: float, high: float, count: int = DENSE) -> Array:
    """A grid that no sample point is on, finer around zero where the interval is long."""
    generator = np.random.default_rng(20260104)
    places = (np.arange(count) + generator.uniform(0.2, 0.8, count)) / count
    # Its ends are all but those of the interval, so that nothing hides beyond them.
    places[0], places[-1] = _END, 1 - _END
    even = low + (high - low) * places
    if not low < 0 < high or high - low <= 20:
        return _fixed(even)
    scale = 2.0
    bent = np.sinh(np.arcsinh(low / scale) + (np.arcsinh(high / scale) - np.arcsinh(low / scale)) * places) * scale
    return _fixed(np.sort(np.where(np.arange(count) % 2, even, bent)))


def _fixed(points: Array) -> Array:
    """Points that many share."""
    points.flags.writeable = False
    return points
