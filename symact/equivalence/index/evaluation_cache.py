"""Values of single expressions at the sample points, kept by structure, and a catalogue of their fingerprints.

A search varies expressions a little: most of a new one has been seen. So every sub-expression is a *row*, named
by its operator and the rows of its arguments, and is evaluated once while it is remembered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.grouping import ALL, BITS, CLOSE, MEETING
from symact.equivalence.numeric.float64 import run
from symact.equivalence.terms import (
    ANCHORS,
    POINTS,
    Dag,
    Field,
    Fingerprints,
    Slot,
    Slots,
    feature,
    fingerprint,
    project,
    sample_points,
)
from symact.expr.operators import VARIABLE, Operator, Parameter
from symact.expr.tree import Expr

_MOST_VALUES, _MOST_ROWS = 24_000, 400_000
_BLOCK = 256
MEETING_BITS = sum(1 << j for j in MEETING)


class Sketches:
    """Rows with their values.

    Args:
        interval: (low, high), where functions are compared.
    """

    def __init__(self, interval: tuple[float, float]):
        low, high = float(interval[0]), float(interval[1])
        self._heads = Dag()
        self._field = Field(self._heads, sample_points(low, high), seed=1)
        self._head_of: dict[tuple[Operator, tuple[Slot, ...]], int] = {}
        self._families: dict[Parameter, Slot] = {}
        self.forget()

    def forget(self) -> None:
        """Begin anew; the numbers of rows lose their meaning."""
        self._rows: dict[tuple[int, ...], int] = {}
        self._nodes: list[tuple[int, ...]] = [()]
        self._of: dict[Expr, int] = {}
        self._has_parameters: dict[Expr, bool] = {}
        self._values: dict[int, Array] = {0: self._field.values[:1]}

    @property
    def full(self) -> bool:
        """Whether it is time to `forget`."""
        return len(self._nodes) > _MOST_ROWS

    def row(self, expr: Expr) -> int:
        """The row of an expression whose parameters of one family are all one."""
        found = self._of.get(expr)
        if found is None:
            if expr.operator is VARIABLE:
                return 0
            arguments = [self.row(argument) for argument in expr.arguments]
            slots = tuple(self._common(parameter) for parameter in expr.operator.parameters)
            found = self._of[expr] = self._applied(expr.operator, slots, arguments)
        return found

    def parameters(self, expr: Expr) -> tuple[Parameter, ...]:
        """The parameters of an expression, as `Expr.parameters`; quick where there are none."""
        return expr.parameters if self._parametric(expr) else ()

    def _parametric(self, expr: Expr) -> bool:
        found = self._has_parameters.get(expr)
        if found is None:
            found = bool(expr.operator.parameters) or any(map(self._parametric, expr.arguments))
            self._has_parameters[expr] = found
        return found

    def row_under(self, expr: Expr, slots: Slots) -> int:
        """The row of an expression whose parameters are those slots, by name."""
        bindings = iter(expr.bindings())

        def walk(node: Expr) -> int:
            if node.operator is VARIABLE:
                return 0
            uses = next(bindings).parameters
            own = tuple(slots[uses[p.name].name] for p in node.operator.parameters)
            return self._applied(node.operator, own, [walk(argument) for argument in node.arguments])

        return walk(expr)

    def _common(self, parameter: Parameter) -> Slot:
        slot = self._families.get(parameter)
        if slot is None:
            slot = self._families[parameter] = Slot(Slot.family_of(parameter), 0)
        return slot

    def _applied(self, operator: Operator, slots: tuple[Slot, ...], arguments: Sequence[int]) -> int:
        place = (operator, slots)
        head = self._head_of.get(place)
        if head is None:
            head = self._head_of[place] = self._heads.head(operator, slots)
        if operator.kind != "nary":
            return self._step(head, tuple(arguments))
        row = arguments[0]
        for argument in sorted(arguments[1:]) if self._heads.heads[head].associative else arguments[1:]:
            row = self._step(head, (row, argument))
        return row

    def _step(self, head: int, arguments: tuple[int, ...]) -> int:
        known = self._heads.heads[head]
        if known.alias is not None:
            return arguments[known.alias]
        if known.program.total:
            arguments = ()
        elif len(arguments) == 2 and known.commutative and arguments[0] > arguments[1]:
            arguments = (arguments[1], arguments[0])
        key = (head, *arguments)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = len(self._nodes)
            self._nodes.append(key)
        return row

    def value(self, row: int) -> Array:
        """``(1, columns)`` values of a row, the second half disturbed."""
        found = self._values.get(row)
        if found is None:
            head, *arguments = self._nodes[row]
            known = self._heads.heads[head]
            inputs = [self.value(argument) for argument in arguments] or [self._values[0]] * known.arity
            found = self._evaluated(head, inputs, row)
            if len(self._values) >= _MOST_VALUES:
                self._values = {0: self._values[0]}
            self._values[row] = found
        return found

    def _evaluated(self, head: int, inputs: list[Array], salt: int) -> Array:
        known = self._heads.heads[head]
        inputs += [self._field.slot(slot) for slot in known.slots]
        out = run(known.program, inputs, self._field.bounds, salt * 7 + head * 13)
        shape = (max(len(column) for column in inputs), self._field.columns)
        return out if out.shape == shape else np.broadcast_to(out, shape)

    def print_of(self, row: int) -> Fingerprints:
        """The fingerprint of a row."""
        return self.prints(self.value(row))

    def prints(self, values: Array) -> Fingerprints:
        """Fingerprints of ``(rows, columns)`` values."""
        if len(values) > 1:
            return fingerprint(values, self._field.bounds)
        anchors = project(feature(np.ascontiguousarray(values[:, :POINTS])))
        good = self._field.bounds.trusted(values)
        if good.all():
            return Fingerprints(anchors, _TRUSTED)
        bits = np.packbits(good.reshape(ANCHORS, -1).all(axis=1), bitorder="little")
        return Fingerprints(anchors, bits)

    def warm(self, expressions: Sequence[Expr]) -> Iterator[tuple[Array, Fingerprints]]:
        """Fingerprints of many rows at once: (numbers of expressions, their fingerprints), level by level.

        The values of all rows below them are held meanwhile, one KiB each.
        """
        wanted: dict[int, list[int]] = {}
        for number, expr in enumerate(expressions):
            wanted.setdefault(self.row(expr), []).append(number)
        for rows in _levels(self._nodes, list(wanted)):
            for part in _blocks(self._nodes, rows):
                head = self._nodes[part[0]][0] if part[0] else -1
                values = self._of_rows(head, part)
                prints = self.prints(values)
                for index, row in enumerate(part):
                    self._values[row] = values[index : index + 1].copy() if row else values[index : index + 1]
                chosen = [(index, number) for index, row in enumerate(part) for number in wanted.get(row, ())]
                if chosen:
                    indices = np.array([index for index, _ in chosen])
                    yield np.array([number for _, number in chosen]), prints[indices]
        if len(self._values) > _MOST_VALUES:
            self._values = {0: self._values[0]}

    def _of_rows(self, head: int, rows: list[int]) -> Array:
        if head < 0:
            return self._values[0]
        arguments = [self._nodes[row][1:] for row in rows]
        arity = self._heads.heads[head].arity
        columns = [
            np.concatenate([self._values[own[i]] if own else self._values[0] for own in arguments])
            for i in range(arity)
        ]
        return self._evaluated(head, columns, rows[0])


_TRUSTED = np.array([ALL], np.uint8)


def _levels(nodes: list[tuple[int, ...]], rows: list[int]) -> Iterator[list[int]]:
    """All rows below some rows, those of each level together; arguments come before what is made of them."""
    depth: dict[int, int] = {0: 0}
    stack = list(rows)
    while stack:
        row = stack.pop()
        if row in depth:
            continue
        waiting = [argument for argument in nodes[row][1:] if argument not in depth]
        if waiting:
            stack += [row, *waiting]
        else:
            depth[row] = 1 + max((depth[argument] for argument in nodes[row][1:]), default=0)
    levels: list[list[int]] = [[] for _ in range(max(depth.values()) + 1)]
    for row, level in depth.items():
        levels[level].append(row)
    yield from levels


def _blocks(nodes: list[tuple[int, ...]], rows: list[int]) -> Iterator[list[int]]:
    """Rows of one head, at most a block of them at a time."""
    by_head: dict[int, list[int]] = {}
    for row in rows:
        by_head.setdefault(nodes[row][0] if row else -1, []).append(row)
    for group in by_head.values():
        for start in range(0, len(group), _BLOCK):
            yield group[start : start + _BLOCK]


class Catalogue:
    """Fingerprints of the functions known, and which of them one may be equal to.

    A fingerprint that is trusted everywhere is looked up by its sum; one that is not, at the anchors where all
    meet. `numbers` of functions count from 0.
    """

    _WIDTH = 1e-6

    def __init__(self) -> None:
        self._anchors = np.empty((64, ANCHORS))
        self._trusted = np.empty(64, np.int64)
        self._count = 0
        self._by_sum: dict[int, list[int]] = {}
        self._by_meeting: dict[int, list[int]] = {}
        self._partial_by_meeting: dict[int, list[int]] = {}
        self._lost: list[int] = []

    def __len__(self) -> int:
        return self._count

    def add(self, anchors: Array, trusted: int) -> int:
        """One more function; gives its number."""
        number = self._count
        if number == len(self._trusted):
            self._anchors = np.concatenate([self._anchors, np.empty_like(self._anchors)])
            self._trusted = np.concatenate([self._trusted, np.empty_like(self._trusted)])
        self._anchors[number] = anchors
        self._trusted[number] = trusted
        self._count += 1
        if trusted & MEETING_BITS != MEETING_BITS:
            self._lost.append(number)
            return number
        meeting = self._place(float(anchors[MEETING].sum()))
        self._by_meeting.setdefault(meeting, []).append(number)
        if trusted == ALL:
            self._by_sum.setdefault(self._place(float(anchors.sum())), []).append(number)
        else:
            self._partial_by_meeting.setdefault(meeting, []).append(number)
        return number

    def near(self, anchors: Array, trusted: int) -> list[int]:
        """The functions that one with this fingerprint may be, in order."""
        numbers = list(self._lost)
        if trusted & MEETING_BITS != MEETING_BITS:
            numbers = list(range(self._count))
        elif trusted == ALL:
            for place in self._places(float(anchors.sum())):
                numbers += self._by_sum.get(place, ())
            for place in self._places(float(anchors[MEETING].sum())):
                numbers += self._partial_by_meeting.get(place, ())
        else:
            for place in self._places(float(anchors[MEETING].sum())):
                numbers += self._by_meeting.get(place, ())
        if not numbers:
            return numbers
        rows = np.array(numbers)
        common = (self._trusted[rows] & trusted)[:, None] & BITS != 0
        near = (np.abs(self._anchors[rows] - anchors) <= CLOSE) | ~common
        return sorted(rows[near.all(axis=1) & common.any(axis=1)].tolist())

    def _place(self, value: float) -> int:
        return int(value // self._WIDTH)

    def _places(self, value: float) -> set[int]:
        return {self._place(value - CLOSE), self._place(value + CLOSE)}
