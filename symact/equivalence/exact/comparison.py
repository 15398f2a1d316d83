"""`BallComparison`: whether two terms are the same function, decided in ball arithmetic.

In: terms (a symbol and argument terms) and points. Out: same, different, or undecided. Balls of shared
sub-expressions are computed once per point and precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cmp_to_key
from typing import Any, TypeAlias

import numpy as np
from flint import arb

from symact.arrays import Array
from symact.equivalence.exact import balls
from symact.equivalence.numeric.samples import SampleGrid
from symact.equivalence.terms import ParameterSlot, Term, TermGraph

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
    """One value of each input and of each parameter; per precision the balls of terms of the graph there.

    Args:
        inputs: their values.
        parameter: its values at that point.
    """

    __slots__ = ("_known", "_parameter", "inputs", "terms")

    def __init__(self, inputs: tuple[arb, ...], parameter: Callable[[ParameterSlot], float]):
        self.inputs, self._parameter = inputs, parameter
        self._known: dict[ParameterSlot, arb] = {}
        start = dict(enumerate(inputs))
        self.terms: dict[int, dict[int, Any]] = {bits: {**start} for bits in (_GLANCE, *balls.PRECISIONS)}

    @classmethod
    def of(cls, grid: SampleGrid, point: int) -> PointBalls:
        """Point number `point` of a grid."""
        inputs = tuple(map(arb, grid.inputs[:, point].tolist()))
        return cls(inputs, lambda slot: float(grid.parameter(slot)[0, point]))

    def beside(self, x: arb) -> PointBalls:
        """Another x, all else being the same."""
        return PointBalls((x, *self.inputs[1:]), self._parameter)

    @property
    def others(self) -> tuple[float, ...]:
        """The inputs but x, and the parameters that were asked for."""
        return tuple(map(float, (*self.inputs[1:], *self._known.values())))

    def parameter(self, slot: ParameterSlot) -> arb:
        """The ball of a parameter."""
        ball = self._known.get(slot)
        if ball is None:
            ball = self._known[slot] = arb(self._parameter(slot))
        return ball


class BallComparison:
    """Ball values of terms at the points of one or more grids.

    Args:
        graph: names the argument terms.
        x: ``(points,)`` ascending, where terms are looked at besides.
    """

    def __init__(self, graph: TermGraph, x: Array):
        self.graph, self._x = graph, x
        self._points: dict[Point, PointBalls] = {}
        self._runners: list[balls.Runner] = []
        self._breakpoints: dict[tuple[int, bool], list[balls.Runner]] = {}
        self._terms: dict[int, Term] = {}
        # Of powers on pieces where an exponent is very near an integer.
        self._undefined_pieces: dict[tuple[Term, tuple[int, ...], tuple[float, ...]], bool] = {}
        self._stored = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> BallComparison:
        # Balls are no part of what is copied: at the points that a copy asks for there are hardly any yet.
        return BallComparison(deepcopy(self.graph, memo), self._x)

    def value(self, term: Term, grid: SampleGrid, point: int, bits: int) -> Any:
        """The ball, or marker, of a term at point number `point` of `grid`; the precision is the caller's."""
        at = self._points.get((grid, point))
        if at is None:
            at = self._points[(grid, point)] = PointBalls.of(grid, point)
        return at.inputs[-1 - term[0]] if term[0] < 0 else self._apply(term, at, bits)

    def undefined(self, term: Term, grid: SampleGrid, point: int) -> bool | None:
        """Whether a term is undefined at a point; None where no precision tells."""
        for bits in balls.PRECISIONS:
            with balls.precision(bits):
                value = self.value(term, grid, point, bits)
            if value is not balls.UNKNOWN:
                return value is balls.UNDEFINED
        return None

    def _apply(self, term: Term, at: PointBalls, bits: int, part: balls.Runner | None = None) -> Any:
        """A term, or a part of its last operator, at a point."""
        number, arguments = term
        while len(self._runners) <= number:
            self._runners.append(balls.runner(self.graph.symbols[len(self._runners)].program))
        symbol, known = self.graph.symbols[number], at.terms[bits]
        if symbol.program.total:
            inputs: list[Any] = [balls.UNDEFINED] * symbol.arity
        else:
            inputs = []
            for argument in arguments:
                value = known.get(argument)
                if value is None:
                    value = known[argument] = self._apply(self._term(argument), at, bits)
                    self._stored += 1
                inputs.append(value)
        if symbol.slots:
            inputs += [at.parameter(slot) for slot in symbol.slots]
        if part is not None:
            return part(balls.NOTHING, *inputs)
        run = self._runners[number]
        if bits == balls.PRECISIONS[-1]:
            return run(balls.EXPONENTS, *inputs)
        result = run(balls.NOTHING, *inputs)
        if result is balls.UNKNOWN and bits == balls.PRECISIONS[0]:
            near = run(balls.EXPONENTS, *inputs) is not balls.UNKNOWN and run(balls.ZEROS, *inputs) is balls.UNKNOWN
            if near and self._undefined_nearby(term, at):
                return balls.UNDEFINED
        return result

    def _term(self, number: int) -> Term:
        found = self._terms.get(number)
        if found is None:
            found = self._terms[number] = self.graph.term(number)
        return found

    def _undefined_nearby(self, term: Term, at: PointBalls) -> bool:
        """Whether a power whose exponent is very near an integer is undefined at another point of the same piece.

        tanh(1000) differs from 1, but no precision shows it. On a piece between breakpoints the exponent of a negative
        base is an integer throughout or almost nowhere, so that what is undefined at one point is so almost everywhere.
        """
        signs = self._signs(term, at)
        if signs is None:
            return False
        key = (term, signs, at.others)
        if key not in self._undefined_pieces:
            self._undefined_pieces[key] = self._undefined_with(term, at, signs)
        return self._undefined_pieces[key]

    def _undefined_with(self, term: Term, at: PointBalls, signs: tuple[int, ...]) -> bool:
        """Whether a term is undefined at the nearest point with these signs where that can be told."""
        here = float(at.inputs[0])
        for x in self._x[np.argsort(np.abs(self._x - here), kind="stable")].tolist():
            there = at.beside(arb(x))
            if x == here or self._signs(term, there) != signs:
                continue
            bits = balls.PRECISIONS[1]
            with balls.precision(bits):
                found = self._apply(term, there, bits)
            if found is not balls.UNKNOWN:
                return found is balls.UNDEFINED
        return False

    def _signs(self, term: Term, at: PointBalls) -> tuple[int, ...] | None:
        """The signs of all that has a breakpoint at zero on the way to a power; None where one is not known."""
        signs: list[int] = []
        bits = balls.PRECISIONS[0]
        with balls.precision(bits):
            for part in self._below(term):
                for run in self._breakpoints_of(part[0], before_powers=part is term):
                    value = self._apply(part, at, bits, run)
                    if value is balls.UNKNOWN or (value is not balls.UNDEFINED and value.contains(0)):
                        return None
                    signs.append(0 if value is balls.UNDEFINED else 1 if value > 0 else -1)
        return tuple(signs)

    def _breakpoints_of(self, number: int, before_powers: bool) -> list[balls.Runner]:
        """The breakpoints of a symbol; without those of what its formula makes of a power, where that is asked."""
        key = (number, before_powers)
        if key not in self._breakpoints:
            program = self.graph.symbols[number].program
            parts = [replace(program, outputs=(value,), breakpoints=(value,)) for value in program.breakpoints]
            if before_powers:
                parts = [
                    part for part in parts if all(part.operations[n].name != "pow" for n in part.breakpoint_operations)
                ]
            self._breakpoints[key] = [balls.runner(part) for part in parts]
        return self._breakpoints[key]

    def _below(self, term: Term) -> Iterator[Term]:
        """A term and every term that it is made of, each once."""
        waiting, seen = [term], set(range(self.graph.inputs))
        while waiting:
            part = waiting.pop()
            yield part
            if not self.graph.symbols[part[0]].total:
                new = [argument for argument in dict.fromkeys(part[1]) if argument not in seen]
                seen.update(new)
                waiting += [self._term(argument) for argument in new]

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
