"""`Arbiter`: whether two rows are the same function, settled in ball arithmetic.

In: rows (a head and argument rows) and points. Out: same, different, or undecided. Balls of shared
sub-expressions are computed once per point and precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from flint import arb

from symact.expr import balls
from symact.expr.fields import Dag, Field

Row: TypeAlias = tuple[int, tuple[int, ...]]
VARIABLE_HEAD = -1
_CACHED = 400_000
_GLANCE = 192

_LONGEST_KEY = 8192
_UNDEFINED_KEY = 1 << (2 * _LONGEST_KEY)


def apart(first: int, second: int) -> bool:
    """Whether two keys differ by more than rounding."""
    return abs(first - second) > (max(abs(first), abs(second)) >> 560) + 4


@dataclass
class Anchor:
    """A row with its ball values at the places where it was compared."""

    row: Row
    values: dict[tuple[int, int, int], Any]


class Arbiter:
    """Ball values of rows at the points of one or more fields.

    Args:
        dag: names the argument rows.
    """

    def __init__(self, dag: Dag):
        self.dag = dag
        self._cache: dict[tuple[int, int, int], dict[int, Any]] = {}
        self._stored = 0
        self.comparisons = 0

    def value(self, row: Row, field: Field, point: int, bits: int) -> Any:
        """The ball, or marker, of a row at point number `point` of `field`; the precision is the caller's."""
        head, arguments = row
        if head == VARIABLE_HEAD:
            return arb(float(field.x[point]))
        return self._apply(head, arguments, field, point, bits)

    def _apply(self, head: int, arguments: Sequence[int], field: Field, point: int, bits: int) -> Any:
        known = self.dag.heads[head]
        inputs = [] if known.tape.total else [self._shared(a, field, point, bits) for a in arguments]
        if known.tape.total:
            inputs = [balls.UNDEFINED] * known.arity
        inputs += [arb(float(field.slot(slot)[0, point])) for slot in known.slots]
        return balls.evaluate(known.tape, inputs, last=bits == balls.PRECISIONS[-1])

    def _shared(self, row: int, field: Field, point: int, bits: int) -> Any:
        if row == 0:
            return arb(float(field.x[point]))
        known = self._cache.setdefault((id(field), point, bits), {})
        found = known.get(row)
        if found is None:
            head, arguments = self.dag.node(row)
            found = known[row] = self._apply(head, arguments, field, point, bits)
            self._stored += 1
        return found

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

    def key(self, row: Row, field: Field, point: int) -> int | None:
        """A value as a whole number of 2**-640, to order by; None where unknown or too large for that."""
        bits = balls.PRECISIONS[0]
        with balls.precision(bits):
            value = self.value(row, field, point, bits)
            if value is balls.UNDEFINED:
                return _UNDEFINED_KEY
            if (
                value is balls.UNKNOWN
                or not value.is_finite()
                or (value.rel_accuracy_bits() < bits - 60 and not value.contains(0))
            ):
                return None
            mantissa, exponent = value.mid().man_exp()
        shift = int(exponent) + bits
        if int(mantissa).bit_length() + shift > _LONGEST_KEY:
            return None
        return int(mantissa) << shift if shift >= 0 else int(mantissa) >> -shift

    def same_at(self, first: Anchor, second: Row, field: Field, point: int) -> bool | None:
        """Whether two rows agree at one point: False is proved, True is to all bits, None stays undecided."""
        self.comparisons += 1
        verdict: bool | None = None
        for bits in balls.PRECISIONS:
            with balls.precision(bits):
                place = (id(field), point, bits)
                if place not in first.values:
                    first.values[place] = self.value(first.row, field, point, bits)
                verdict = balls.same(first.values[place], self.value(second, field, point, bits))
            if verdict is not None:
                break
        if self._stored > _CACHED:
            self._cache.clear()
            self._stored = 0
        return verdict

    def same(self, first: Anchor, second: Row, places: Sequence[tuple[Field, int]]) -> bool | None:
        """Whether two rows agree at all places that can be decided; None where none can."""
        agreed: bool | None = None
        for field, point in places:
            verdict = self.same_at(first, second, field, point)
            if verdict is False:
                return False
            if verdict is True:
                agreed = True
        return agreed
