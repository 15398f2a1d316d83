"""The expressions of a fixed shape as index arrays: which function each sub-expression is.

In: a grammar and a shape. Out: an array with one axis per operator slot (prefix order) that holds term numbers.
No expression is ever built as an object here: a level's distinct functions meet each operator once, and
the product over slots is taken on numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.classes import ClassBuilder
from symact.equivalence.engine.term_columns import TermColumns
from symact.equivalence.numeric import float32
from symact.equivalence.numeric.samples import SampleGrid, sample_points
from symact.equivalence.terms import ArgumentProduct, slots_of
from symact.expr.operators import INPUTS, Operator, Vocabulary
from symact.expr.shape import Shape

_KEY = np.int64(1) << np.int64(31)
_PROBES = 64


@dataclass
class NewTerms:
    """New terms that a shape needs, each once, per symbol: sorted keys, their numbers and arguments."""

    count: int = 0
    parts: list[tuple[int, Array]] = field(default_factory=list)
    _keys: dict[int, tuple[Array, Array]] = field(default_factory=dict)

    def add(self, symbol: int, arguments: Array) -> Array:
        """Numbers of terms ``(terms, arity)``, new or added before."""
        key = arguments[:, 0].astype(np.int64)
        for column in arguments.T[1:]:
            key = key * _KEY + column
        if len(key) < 2 or (key[1:] > key[:-1]).all():
            unique, first = key, np.arange(len(key))
            inverse = first
        else:
            unique, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        numbers = np.full(len(unique), -1, np.int64)
        known, known_numbers = self._keys.get(symbol, (np.empty(0, np.int64), np.empty(0, np.int64)))
        if len(known):
            at = np.minimum(np.searchsorted(known, unique), len(known) - 1)
            hit = known[at] == unique
            numbers[hit] = known_numbers[at[hit]]
        new = np.flatnonzero(numbers < 0)
        if len(new):
            numbers[new] = self.count + np.arange(len(new))
            self.count += len(new)
            self.parts.append((symbol, np.ascontiguousarray(arguments[first[new]])))
            merged = np.concatenate([known, unique[new]])
            order = np.argsort(merged, kind="stable")
            self._keys[symbol] = merged[order], np.concatenate([known_numbers, numbers[new]])[order]
        return numbers[inverse]


class ShapeEnumerator:
    """Shapes of one grammar over one `ClassBuilder`.

    Args:
        grammar: whose parameters are all shared, one of each kind.
        builder: gets the distinct functions of every inner level.
        tick: called with the number of terms evaluated.

    Attributes:
        probes: where members of a class are compared by how accurate they are in float32.
    """

    def __init__(self, grammar: Vocabulary, builder: ClassBuilder, tick: Callable[[int], None] = lambda terms: None):
        self.grammar, self.builder, self.tick = grammar, builder, tick
        slots = slots_of(grammar)
        self.symbols = {
            kind: [builder.graph.symbol(o, tuple(slots[p.name] for p in o.parameters)) for o in grammar.of_kind(kind)]
            for kind in ("unary", "binary", "nary")
        }
        self._inner: dict[Shape, Array] = {}
        self._folds: dict[Shape, list[Array]] = {}
        self._known = builder.variables
        low, high = grammar.interval
        # Numbers of float32, so that all error is that of computing.
        x = sample_points(low, high, _PROBES).astype(np.float32).astype(float)
        self.probes = SampleGrid(builder.graph, x, 3, doubled=False)
        self._parameters32 = {name: self.probes.parameter(slot).astype(np.float32) for name, slot in slots.items()}
        self._float32: dict[Shape, Array] = {}

    def copy(self) -> ShapeEnumerator:
        """The same to go on from: what is made in one is not in the other."""
        slots = [slot for symbol in self.builder.graph.symbols for slot in symbol.slots]
        shared = [self.grammar, *slots, *self._inner, *self._folds, *self._float32]
        return deepcopy(self, {id(part): part for part in shared})

    def terms(self, shape: Shape) -> Array:
        """Term numbers of a shape that is an argument of another; its functions become terms of the graph."""
        if shape.is_leaf:
            return np.full((), INPUTS.index(shape.kind), np.int64)
        if shape not in self._inner:
            new = NewTerms()
            indices = self.indices(shape, new)
            self._inner[shape] = self._add(new)[indices] if new.count else indices
        return self._inner[shape]

    def _add(self, new: NewTerms) -> Array:
        """Term numbers for every index: known terms first, then the new ones, equal functions sharing a term."""
        known = len(self._known)
        terms = TermColumns.joined([self._known, self.describe(new)])
        classes = self.builder.classify(terms, distinct=known, prove=True)
        labels = classes.labels
        first = np.unique(labels, return_index=True)[1]
        unknown = first[first >= known]
        numbers = np.arange(len(terms))
        numbers[unknown] = self.builder.add(terms[unknown])
        self.builder.record(numbers[first], classes.evidence)
        added = terms[unknown[np.argsort(numbers[unknown])]]
        added.numbers[:] = known + np.arange(len(added))
        self._known = TermColumns.joined([self._known, added])
        return numbers[first[labels]]

    def describe(self, new: NewTerms) -> TermColumns:
        """Evaluate the new terms and describe them, in order of their numbers."""
        described = self.builder.described(new.parts)
        self.tick(len(described))
        return described

    @property
    def known(self) -> TermColumns:
        """The terms of the graph, described, with what their classes were made by."""
        np.maximum(self._known.proof, self.builder.proof(self._known.numbers), out=self._known.proof)
        return self._known

    def prepare(self, shape: Shape) -> None:
        """Make every inner level of a shape; after that `indices` adds no term to the graph."""
        children = [self.terms(child) for child in shape.children]
        if shape.kind != "nary" or len(children) <= 2 or shape in self._folds:
            return
        combined = [children[0]] * len(self.symbols["nary"])
        for child in children[1:-1]:
            inner = NewTerms()
            size = self.builder.graph.size
            indices = [
                self._apply(symbol, ArgumentProduct([left, child]), inner, size)
                for symbol, left in zip(self.symbols["nary"], combined, strict=True)
            ]
            numbers = self._add(inner) if inner.count else np.arange(size)
            combined = [numbers[index] for index in indices]
        self._folds[shape] = combined

    def indices(self, shape: Shape, new: NewTerms) -> Array:
        """One axis per slot: a term of the graph, or the graph's size plus the number of a new term."""
        self.prepare(shape)
        size = self.builder.graph.size
        children = [self.terms(child) for child in shape.children]
        if not children:
            return self.terms(shape)
        symbols = self.symbols[shape.kind]
        if shape.kind == "nary" and len(children) == 1:
            return np.stack([children[0]] * len(symbols))
        if shape in self._folds:
            return np.stack(
                [
                    self._apply(symbol, ArgumentProduct([folded, children[-1]]), new, size)
                    for symbol, folded in zip(symbols, self._folds[shape], strict=True)
                ]
            )
        product = ArgumentProduct(children)
        sizes = [child.size for child in shape.children]
        taken = [self.grammar.takes(operator, sizes) for operator in self.grammar.of_kind(shape.kind)]
        # An operator that may not have such arguments stands in no expression: nobody asks what it gives.
        nothing = np.zeros(product.shape, np.int64)
        return np.stack(
            [
                self._apply(symbol, product, new, size) if may else nothing
                for symbol, may in zip(symbols, taken, strict=True)
            ]
        )

    def _apply(self, symbol: int, product: ArgumentProduct, new: NewTerms, size: int) -> Array:
        """Terms of the graph, or its size plus numbers of new terms, for all combinations of arguments."""
        return self.builder.graph.apply_all(symbol, product, lambda own: self._numbers(symbol, own, new, size))

    def _numbers(self, symbol: int, arguments: Array, new: NewTerms, size: int) -> Array:
        """Terms of the graph that applications are by a rule, and the numbers of the others, which are new."""
        rules = self.builder.rules
        numbers = np.empty(len(arguments), np.int64)
        for rewritten, own, where in rules.applications(symbol, arguments):
            found = rules.terms(rewritten, own)
            others = found < 0
            if not others.all():
                # What is a known term by a rule brings along by what its arguments were made.
                self.builder.record(found[~others], self.builder.proof(own[~others]).max(axis=1, initial=0))
            if others.any():
                found[others] = size + new.add(rewritten, own[others])
            numbers[where] = found
        return numbers

    # Accuracy in float32, expression by expression, to choose representatives.

    def float32(self, shape: Shape) -> Array:
        """Plain float32 values ``(expressions in prefix order, points)`` of a shape at the probes."""
        if shape.is_leaf:
            own: Array = self.probes.inputs[INPUTS.index(shape.kind)]
            return own.astype(np.float32)[None]
        if shape not in self._float32:
            children = [self.float32(child) for child in shape.children]
            grids = np.indices([len(child) for child in children]).reshape(len(children), -1)
            arguments = [child[at] for child, at in zip(children, grids, strict=True)]
            operators = self.grammar.of_kind(shape.kind)
            self._float32[shape] = np.concatenate([self.apply32(operator, arguments) for operator in operators])
        return self._float32[shape]

    def apply32(self, operator: Operator, arguments: list[Array]) -> Array:
        """One operator in float32 on rows of argument values."""
        own = [self._parameters32[p.name] for p in operator.parameters]
        return np.broadcast_to(float32.applied(operator, arguments, own), arguments[0].shape)


class GrammarTables:
    """Enumerators that begin where every space of a grammar does: with its unary operators of x looked at.

    Args:
        most: so many grammars, those asked for last, are remembered.
    """

    def __init__(self, most: int = 8):
        self._most = most
        self._begun: OrderedDict[tuple[str, tuple[float, float], bool], ShapeEnumerator] = OrderedDict()

    def enumerator(self, grammar: Vocabulary, certify: bool, tick: Callable[[int], None]) -> ShapeEnumerator:
        """An enumerator of its own for each caller."""
        key = (grammar.text, grammar.interval, certify)
        begun = self._begun.get(key)
        if begun is None:
            begun = _begun(grammar, certify)
            if grammar.text:
                self._begun[key] = begun
                while len(self._begun) > self._most:
                    self._begun.popitem(last=False)
        if grammar.text:
            self._begun.move_to_end(key)
            begun = begun.copy()
        begun.tick = tick
        return begun


def _begun(grammar: Vocabulary, certify: bool) -> ShapeEnumerator:
    enumerator = ShapeEnumerator(grammar, ClassBuilder(grammar.interval, certify, len(grammar.inputs)))
    if grammar.of_kind("unary"):
        enumerator.terms(_UNARY)
        enumerator.float32(_UNARY)
    enumerator.probes.extend()
    if certify:
        enumerator.builder.extend()
    return enumerator


_UNARY = Shape("unary", (Shape("x"),))
