"""`Arbiter`: whether two rows are the same function, settled in ball arithmetic.

In: rows (a head and argument rows) and points. Out: same, different, or undecided. Balls of shared
sub-expressions are computed once per point and precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any, TypeAlias

from flint import arb

from symact.equivalence.exact import balls
from symact.equivalence.terms import Dag, Field, Slot

Row: TypeAlias = tuple[int, tuple[int, ...]]
VARIABLE_HEAD = -1
_CACHED = 400_000
_GLANCE = 192


@dataclass
class Anchor:
    """A row with its ball values at the places where it was compared."""

    row: Row
    values: dict[tuple[Field, int, int], Any]


class Place:
    """One point of a field, with the balls of the parameters there and, per precision, of rows of the dag."""

    __slots__ = ("parameters", "rows", "x")

    def __init__(self, field: Field, point: int):
        self.x = arb(float(field.x[point]))
        self.parameters: dict[Slot, arb] = {}
        self.rows: dict[int, dict[int, Any]] = {bits: {0: self.x} for bits in (_GLANCE, *balls.PRECISIONS)}


class Arbiter:
    """Ball values of rows at the points of one or more fields.

    Args:
        dag: names the argument rows.
    """

    def __init__(self, dag: Dag):
        self.dag = dag
        self._places: dict[tuple[Field, int], Place] = {}
        self._runners: list[balls.Runner] = []
        self._nodes: dict[int, Row] = {}
        self._stored = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Arbiter:
        # Balls are no part of what is copied: at the places that a copy asks for there are hardly any yet.
        return Arbiter(deepcopy(self.dag, memo))

    def value(self, row: Row, field: Field, point: int, bits: int) -> Any:
        """The ball, or marker, of a row at point number `point` of `field`; the precision is the caller's."""
        place = self._places.get((field, point))
        if place is None:
            place = self._places[(field, point)] = Place(field, point)
        if row[0] == VARIABLE_HEAD:
            return place.x
        return self._apply(row, place, place.rows[bits], bits, (field, point))

    def undefined(self, row: Row, field: Field, point: int) -> bool | None:
        """Whether a row is undefined at a point; None where no precision tells."""
        for bits in balls.PRECISIONS:
            with balls.precision(bits):
                value = self.value(row, field, point, bits)
            if value is not balls.UNKNOWN:
                return value is balls.UNDEFINED
        return None

    def _apply(self, row: Row, place: Place, known: dict[int, Any], bits: int, where: tuple[Field, int]) -> Any:
        number, arguments = row
        while len(self._runners) <= number:
            self._runners.append(balls.runner(self.dag.heads[len(self._runners)].program))
        head = self.dag.heads[number]
        if head.program.total:
            inputs: list[Any] = [balls.UNDEFINED] * head.arity
        else:
            inputs = []
            for argument in arguments:
                value = known.get(argument)
                if value is None:
                    node = self._nodes.get(argument)
                    if node is None:
                        node = self._nodes[argument] = self.dag.node(argument)
                    value = known[argument] = self._apply(node, place, known, bits, where)
                    self._stored += 1
                inputs.append(value)
        for slot in head.slots:
            if slot not in place.parameters:
                place.parameters[slot] = arb(float(where[0].slot(slot)[0, where[1]]))
            inputs.append(place.parameters[slot])
        return self._runners[number](bits == balls.PRECISIONS[-1], *inputs)

    def anchor(self, row: Row) -> Anchor:
        """A row that others will be compared with."""
        return Anchor(row, {})

    def approximate(self, row: Row, field: Field, point: int) -> float:
        """A number that tells values apart at a glance: linear in exponent and mantissa; NaN where unknown."""
        for bits in (_GLANCE, balls.PRECISIONS[0]):
            with balls.precision(bits):
                shown = balls.scale(self.value(row, field, point, bits))
            if shown == shown:
                break
        return shown

    def cut(self, rows: Sequence[Row], field: Field, point: int) -> tuple[list[list[int]], list[int]]:
        """Positions of rows in parts whose values at one point lie apart for sure, and of those of unknown value."""
        bits = balls.PRECISIONS[0]
        with balls.precision(bits):
            values = [self.value(row, field, point, bits) for row in rows]
            undefined = [n for n, value in enumerate(values) if value is balls.UNDEFINED]
            unknown = [n for n, value in enumerate(values) if value is balls.UNKNOWN]
            known = [n for n, value in enumerate(values) if value.__class__ is not balls.Marker]
            middles = {n: values[n].mid() for n in known}

            def compared(first: int, second: int) -> int:
                return int(middles[first] > middles[second]) - int(middles[first] < middles[second])

            known.sort(key=cmp_to_key(compared))
            parts = [undefined] if undefined else []
            top = None
            for n in known:
                if top is None or top < values[n]:
                    parts.append([])
                    top = values[n]
                elif not values[n].upper() < top.upper():
                    top = values[n]
                parts[-1].append(n)
        return parts, unknown

    def same(self, first: Anchor, second: Row | Anchor, places: Iterable[tuple[Field, int]]) -> bool | None:
        """Whether two rows agree at all places that can be decided; None where none can.

        False is proved at one place, True is agreement to all bits; what a precision leaves open meets the next one.
        """
        agreed: bool | None = None
        undecided: list[tuple[Field, int]] = []
        for bits in balls.PRECISIONS:
            undecided, places = [], undecided if undecided else places
            with balls.precision(bits):
                for field, point in places:
                    value = self._anchored(first, field, point, bits)
                    if isinstance(second, Anchor):
                        other = self._anchored(second, field, point, bits)
                    else:
                        other = self.value(second, field, point, bits)
                    verdict = balls.same(value, other)
                    if verdict is False:
                        return False
                    if verdict is None:
                        undecided.append((field, point))
                    else:
                        agreed = True
            if not undecided:
                break
        if self._stored > _CACHED:
            self._places.clear()
            self._stored = 0
        return agreed

    def _anchored(self, anchor: Anchor, field: Field, point: int, bits: int) -> Any:
        key = (field, point, bits)
        value = anchor.values.get(key)
        if value is None:
            value = anchor.values[key] = self.value(anchor.row, field, point, bits)
        return value
