"""`EvaluationCache`: values of single expressions at the sample points, kept by structure.

A search varies expressions a little: most of a new one has been seen. So every sub-expression is a term of a graph, and
is evaluated once while it is remembered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from symact.arrays import Array
from symact.equivalence.numeric.fingerprints import Fingerprints, fingerprint
from symact.equivalence.numeric.samples import SampleGrid, sample_points
from symact.equivalence.terms import ParameterSlot, TermGraph
from symact.expr.operators import INPUTS, Parameter
from symact.expr.tree import Expr

_MOST_VALUES, _MOST_TERMS = 24_000, 400_000
_BATCH = 256


class EvaluationCache:
    """Terms with their values.

    Args:
        interval: (low, high), where functions are compared.
        inputs: of the functions.

    Attributes:
        graph: names the terms; `forget` makes a new one.
    """

    def __init__(self, interval: tuple[float, float], inputs: int = 1):
        self._interval, self._inputs = (float(interval[0]), float(interval[1])), inputs
        self._slots: dict[Parameter, ParameterSlot] = {}
        self.forget()

    def forget(self) -> None:
        """Begin anew; the numbers of terms lose their meaning."""
        self.graph = TermGraph(self._inputs)
        self._grid = SampleGrid(self.graph, sample_points(*self._interval), seed=1)
        self._numbers: dict[Expr, int] = {}
        self._has_parameters: dict[Expr, bool] = {}
        # Those of the inputs are never let go of.
        self._first: dict[int, Array] = {n: self._grid.values[n : n + 1] for n in range(self._inputs)}
        self._values: dict[int, Array] = {**self._first}

    @property
    def full(self) -> bool:
        """Whether it is time to `forget`."""
        return self.graph.size > _MOST_TERMS

    def term(self, expr: Expr) -> int:
        """The term of an expression whose parameters of one kind are all one."""
        found = self._numbers.get(expr)
        if found is None:
            if expr.operator.is_variable:
                return INPUTS.index(expr.operator.name)
            arguments = [self.term(argument) for argument in expr.arguments]
            slots = tuple([self._common(parameter) for parameter in expr.operator.parameters])
            found = self._numbers[expr] = self.graph.apply_operator(expr.operator, slots, arguments)
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

    def _common(self, parameter: Parameter) -> ParameterSlot:
        slot = self._slots.get(parameter)
        if slot is None:
            slot = self._slots[parameter] = ParameterSlot(ParameterSlot.kind_of(parameter), 0)
        return slot

    def value(self, number: int) -> Array:
        """``(1, columns)`` values of a term, the second half perturbed."""
        found = self._values.get(number)
        if found is None:
            symbol, arguments = self.graph.term(number)
            inputs = [self.value(argument) for argument in arguments]
            found = self._evaluated(symbol, inputs, number)
            if len(self._values) >= _MOST_VALUES:
                self._values = {**self._first}
            self._values[number] = found
        return found

    def _evaluated(self, symbol: int, inputs: Sequence[Array], number: int) -> Array:
        return self._grid.evaluate(self.graph.symbols[symbol], inputs, number * 7 + symbol * 13)

    def fingerprint(self, number: int) -> Fingerprints:
        """The fingerprint of a term."""
        return fingerprint(self.value(number), self._grid.bounds)

    def warm(self, expressions: Sequence[Expr]) -> Iterator[tuple[Array, Fingerprints]]:
        """Fingerprints of many terms at once: (numbers of expressions, their fingerprints), level by level.

        The values of all terms below them are held meanwhile, one KiB each.
        """
        wanted: dict[int, list[int]] = {}
        for number, expr in enumerate(expressions):
            wanted.setdefault(self.term(expr), []).append(number)
        for level in _levels(self.graph, list(wanted)):
            for part in _batches(self.graph, level):
                values = self._of_terms(part)
                fingerprints = fingerprint(values, self._grid.bounds)
                for index, term in enumerate(part):
                    if term >= self._inputs:
                        self._values[term] = values[index : index + 1].copy()
                chosen = [(index, number) for index, term in enumerate(part) for number in wanted.get(term, ())]
                if chosen:
                    indices = np.array([index for index, _ in chosen])
                    yield np.array([number for _, number in chosen]), fingerprints[indices]
        if len(self._values) > _MOST_VALUES:
            self._values = {**self._first}

    def _of_terms(self, part: list[int]) -> Array:
        """Values of terms of one symbol."""
        if part[0] < self._inputs:
            return np.concatenate([self._first[term] for term in part])
        terms = [self.graph.term(number) for number in part]
        columns = zip(*[arguments for _, arguments in terms], strict=True)
        inputs = [np.concatenate([self._values[argument] for argument in column]) for column in columns]
        return self._evaluated(terms[0][0], inputs, part[0])


def _levels(graph: TermGraph, numbers: Sequence[int]) -> Iterator[list[int]]:
    """All terms below some terms, those of each level together; arguments come before what is made of them."""
    depth: dict[int, int] = dict.fromkeys(range(graph.inputs), 0)
    stack = list(numbers)
    while stack:
        number = stack.pop()
        if number in depth:
            continue
        arguments = graph.term(number)[1]
        waiting = [argument for argument in arguments if argument not in depth]
        if waiting:
            stack += [number, *waiting]
        else:
            depth[number] = 1 + max((depth[argument] for argument in arguments), default=0)
    levels: list[list[int]] = [[] for _ in range(max(depth.values()) + 1)]
    for number, level in depth.items():
        levels[level].append(number)
    yield from levels


def _batches(graph: TermGraph, numbers: Sequence[int]) -> Iterator[list[int]]:
    """Terms of one symbol, at most a batch of them at a time."""
    by_symbol: dict[int, list[int]] = {}
    for number in numbers:
        by_symbol.setdefault(graph.term(number)[0], []).append(number)
    for group in by_symbol.values():
        for start in range(0, len(group), _BATCH):
            yield group[start : start + _BATCH]
