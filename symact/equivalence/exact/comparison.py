"""`BallComparison`: whether two terms are the same function, settled in ball arithmetic.

In: terms (a symbol and argument terms) and points. Out: same, different, or undecided. Balls of shared
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
from symact.equivalence.numeric.samples import SampleGrid
from symact.equivalence.terms import VARIABLE_SYMBOL, ParameterSlot, Term, TermGraph

# A sample grid and the number of one of its points.
Point: TypeAlias = tuple[SampleGrid, int]
_CACHED = 400_000
_GLANCE = 192


@dataclass
class ReferenceTerm:
    """A term with its ball values at the points where it was compared."""

    term: Term
    values: dict[tuple[SampleGrid, int, int], Any]


class PointBalls:
    """One point of a grid, with the balls of the parameters there and, per precision, of terms of the graph."""

    __slots__ = ("parameters", "terms", "x")

    def __init__(self, grid: SampleGrid, point: int):
        self.x = arb(float(grid.x[point]))
        self.parameters: dict[ParameterSlot, arb] = {}
        self.terms: dict[int, dict[int, Any]] = {bits: {0: self.x} for bits in (_GLANCE, *balls.PRECISIONS)}


class BallComparison:
    """Ball values of terms at the points of one or more grids.

    Args:
        graph: names the argument terms.
    """

    def __init__(self, graph: TermGraph):
        self.graph = graph
        self._points: dict[Point, PointBalls] = {}
        self._runners: list[balls.Runner] = []
        self._terms: dict[int, Term] = {}
        self._stored = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> BallComparison:
        # Balls are no part of what is copied: at the points that a copy asks for there are hardly any yet.
        return BallComparison(deepcopy(self.graph, memo))

    def value(self, term: Term, grid: SampleGrid, point: int, bits: int) -> Any:
        """The ball, or marker, of a term at point number `point` of `grid`; the precision is the caller's."""
        at = self._points.get((grid, point))
        if at is None:
            at = self._points[(grid, point)] = PointBalls(grid, point)
        if term[0] == VARIABLE_SYMBOL:
            return at.x
        return self._apply(term, at, at.terms[bits], bits, (grid, point))

    def undefined(self, term: Term, grid: SampleGrid, point: int) -> bool | None:
        """Whether a term is undefined at a point; None where no precision tells."""
        for bits in balls.PRECISIONS:
            with balls.precision(bits):
                value = self.value(term, grid, point, bits)
            if value is not balls.UNKNOWN:
                return value is balls.UNDEFINED
        return None

    def _apply(self, term: Term, at: PointBalls, known: dict[int, Any], bits: int, where: Point) -> Any:
        number, arguments = term
        while len(self._runners) <= number:
            self._runners.append(balls.runner(self.graph.symbols[len(self._runners)].program))
        symbol = self.graph.symbols[number]
        if symbol.program.total:
            inputs: list[Any] = [balls.UNDEFINED] * symbol.arity
        else:
            inputs = []
            for argument in arguments:
                value = known.get(argument)
                if value is None:
                    inner = self._terms.get(argument)
                    if inner is None:
                        inner = self._terms[argument] = self.graph.term(argument)
                    value = known[argument] = self._apply(inner, at, known, bits, where)
                    self._stored += 1
                inputs.append(value)
        for slot in symbol.slots:
            if slot not in at.parameters:
                at.parameters[slot] = arb(float(where[0].parameter(slot)[0, where[1]]))
            inputs.append(at.parameters[slot])
        return self._runners[number](bits == balls.PRECISIONS[-1], *inputs)

    def reference(self, term: Term) -> ReferenceTerm:
        """A term that others will be compared with."""
        return ReferenceTerm(term, {})

    def approximate(self, term: Term, grid: SampleGrid, point: int) -> float:
        """A number that tells values apart at a glance: linear in exponent and mantissa; NaN where unknown."""
        for bits in (_GLANCE, balls.PRECISIONS[0]):
            with balls.precision(bits):
                shown = balls.scale(self.value(term, grid, point, bits))
            if shown == shown:
                break
        return shown

    def cut(self, terms: Sequence[Term], grid: SampleGrid, point: int) -> tuple[list[list[int]], list[int]]:
        """Positions of terms in parts whose values at one point lie apart for sure, and of those of unknown value."""
        bits = balls.PRECISIONS[0]
        with balls.precision(bits):
            values = [self.value(term, grid, point, bits) for term in terms]
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

    def same(self, first: ReferenceTerm, second: Term | ReferenceTerm, points: Iterable[Point]) -> bool | None:
        """Whether two terms agree at all points that can be decided; None where none can.

        False is proved at one point, True is agreement to all bits; what a precision leaves open meets the next one.
        """
        agreed: bool | None = None
        undecided: list[Point] = []
        for bits in balls.PRECISIONS:
            undecided, points = [], undecided if undecided else points
            with balls.precision(bits):
                for grid, point in points:
                    value = self._reference_value(first, grid, point, bits)
                    if isinstance(second, ReferenceTerm):
                        other = self._reference_value(second, grid, point, bits)
                    else:
                        other = self.value(second, grid, point, bits)
                    verdict = balls.same(value, other)
                    if verdict is False:
                        return False
                    if verdict is None:
                        undecided.append((grid, point))
                    else:
                        agreed = True
            if not undecided:
                break
        if self._stored > _CACHED:
            self._points.clear()
            self._stored = 0
        return agreed

    def _reference_value(self, reference: ReferenceTerm, grid: SampleGrid, point: int, bits: int) -> Any:
        key = (grid, point, bits)
        value = reference.values.get(key)
        if value is None:
            value = reference.values[key] = self.value(reference.term, grid, point, bits)
        return value
