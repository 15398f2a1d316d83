"""The expressions of a fixed shape as index arrays: which function each sub-expression is.

In: a grammar and a shape. Out: an array with one axis per operator slot (prefix order) that holds row numbers.
No expression is ever built as an object here: a level's distinct functions meet each operator once, and
the product over slots is taken on numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.classes import Functions
from symact.equivalence.engine.described import Candidates
from symact.equivalence.numeric.float64 import run_float32
from symact.equivalence.terms import Field, sample_points, slots_of
from symact.expr.operators import Operator, Vocabulary
from symact.expr.shape import Shape

_KEY = np.int64(1) << np.int64(31)
_PROBES = 64


@dataclass
class Wanted:
    """New rows that a shape needs, each once, per head: sorted keys, their numbers and arguments."""

    count: int = 0
    parts: list[tuple[int, Array]] = field(default_factory=list)
    _keys: dict[int, tuple[Array, Array]] = field(default_factory=dict)

    def add(self, head: int, arguments: Array) -> Array:
        """Numbers of rows ``(rows, arity)``, new or wanted before."""
        key = arguments[:, 0].astype(np.int64)
        for column in arguments.T[1:]:
            key = key * _KEY + column
        if len(key) < 2 or (key[1:] > key[:-1]).all():
            unique, first = key, np.arange(len(key))
            inverse = first
        else:
            unique, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        numbers = np.full(len(unique), -1, np.int64)
        known, known_numbers = self._keys.get(head, (np.empty(0, np.int64), np.empty(0, np.int64)))
        if len(known):
            at = np.minimum(np.searchsorted(known, unique), len(known) - 1)
            hit = known[at] == unique
            numbers[hit] = known_numbers[at[hit]]
        new = np.flatnonzero(numbers < 0)
        if len(new):
            numbers[new] = self.count + np.arange(len(new))
            self.count += len(new)
            self.parts.append((head, np.ascontiguousarray(arguments[first[new]])))
            merged = np.concatenate([known, unique[new]])
            order = np.argsort(merged, kind="stable")
            self._keys[head] = merged[order], np.concatenate([known_numbers, numbers[new]])[order]
        return numbers[inverse]


class _Product:
    """All combinations of the rows of one or two children, each combination once.

    Args:
        children: arrays of rows, one axis per slot.
    """

    def __init__(self, children: list[Array]):
        self.children = children
        self.shape = tuple(n for child in children for n in child.shape)

    @cached_property
    def _uniques(self) -> list[tuple[Array, Array]]:
        return [np.unique(child.ravel(), return_inverse=True) for child in self.children]

    @cached_property
    def arguments(self) -> Array:
        """``(combinations, children)``, ascending."""
        if len(self._uniques) == 1:
            return self._uniques[0][0][:, None]
        (left, _), (right, _) = self._uniques
        return np.stack([np.repeat(left, len(right)), np.tile(right, len(left))], axis=1)

    def spread(self, numbers: Array) -> Array:
        """What was found for the combinations, on the axes of all slots."""
        if len(self._uniques) == 1:
            return numbers[self._uniques[0][1]].reshape(self.shape)
        (left, left_at), (right, right_at) = self._uniques
        return numbers.reshape(len(left), len(right))[left_at[:, None], right_at].reshape(self.shape)

    def side(self, which: int) -> Array:
        """One child's rows on the axes of all slots."""
        before = sum(child.ndim for child in self.children[:which])
        child = self.children[which]
        after = len(self.shape) - before - child.ndim
        return np.broadcast_to(child.reshape((1,) * before + child.shape + (1,) * after), self.shape)


class Levels:
    """Shapes of one grammar over one `Functions`.

    Args:
        grammar: whose parameters are all shared, one of each family.
        functions: gets the distinct functions of every inner level.
        tick: called with the number of rows evaluated.

    Attributes:
        probes: where members of a class are compared by how accurate they are in float32.
    """

    def __init__(self, grammar: Vocabulary, functions: Functions, tick: Callable[[int], None] = lambda rows: None):
        self.grammar, self.functions, self.tick = grammar, functions, tick
        slots = slots_of(grammar)
        self.heads = {
            kind: [functions.dag.head(o, tuple(slots[p.name] for p in o.parameters)) for o in grammar.of_kind(kind)]
            for kind in ("unary", "binary", "nary")
        }
        self._inner: dict[Shape, Array] = {}
        self._folds: dict[Shape, list[Array]] = {}
        self._known = functions.variable
        low, high = grammar.interval
        # Numbers of float32, so that all error is that of computing.
        x = sample_points(low, high, _PROBES).astype(np.float32).astype(float)
        self.probes = Field(functions.dag, x, 3, doubled=False)
        self._parameters32 = {name: self.probes.slot(slot).astype(np.float32) for name, slot in slots.items()}
        self._float32: dict[Shape, Array] = {}

    def copy(self) -> Levels:
        """The same to go on from: what is made in one is not in the other."""
        slots = [slot for head in self.functions.dag.heads for slot in head.slots]
        shared = [self.grammar, *slots, *self._inner, *self._folds, *self._float32]
        return deepcopy(self, {id(part): part for part in shared})

    def rows(self, shape: Shape) -> Array:
        """Row numbers of a shape that is an argument of another; its functions become rows of the dag."""
        if shape.kind == "x":
            return np.zeros((), np.int64)
        if shape not in self._inner:
            wanted = Wanted()
            places = self.places(shape, wanted)
            self._inner[shape] = self._adopt(wanted)[places] if wanted.count else places
        return self._inner[shape]

    def _adopt(self, wanted: Wanted) -> Array:
        """Row numbers for every place: known rows first, then the wanted ones, equal functions sharing a row."""
        known = len(self._known)
        rows = Candidates.joined([self._known, self.describe(wanted)])
        classes = self.functions.classify(rows, settled=known, prove=True)
        labels = classes.labels
        first = np.unique(labels, return_index=True)[1]
        new = first[first >= known]
        numbers = np.arange(len(rows))
        numbers[new] = self.functions.adopt(rows[new])
        self.functions.record(numbers[first], classes.evidence)
        added = rows[new[np.argsort(numbers[new])]]
        added.nodes[:] = known + np.arange(len(added))
        self._known = Candidates.joined([self._known, added])
        return numbers[first[labels]]

    def describe(self, wanted: Wanted) -> Candidates:
        """Evaluate the wanted rows and describe them, in order of their numbers."""
        described = self.functions.candidates(wanted.parts)
        self.tick(len(described))
        return described

    @property
    def known(self) -> Candidates:
        """The rows of the dag, described, with what their classes were made by."""
        np.maximum(self._known.proof, self.functions.proof(self._known.nodes), out=self._known.proof)
        return self._known

    def prepare(self, shape: Shape) -> None:
        """Make every inner level of a shape; after that `places` adds no row to the dag."""
        children = [self.rows(child) for child in shape.children]
        if shape.kind != "nary" or len(children) <= 2 or shape in self._folds:
            return
        combined = [children[0]] * len(self.heads["nary"])
        for child in children[1:-1]:
            inner = Wanted()
            size = self.functions.dag.size
            places = [
                self._apply(head, _Product([left, child]), inner, size)
                for head, left in zip(self.heads["nary"], combined, strict=True)
            ]
            numbers = self._adopt(inner) if inner.count else np.arange(size)
            combined = [numbers[place] for place in places]
        self._folds[shape] = combined

    def places(self, shape: Shape, wanted: Wanted) -> Array:
        """One axis per slot: a row of the dag, or the dag's size plus the number of a wanted row."""
        self.prepare(shape)
        size = self.functions.dag.size
        children = [self.rows(child) for child in shape.children]
        if not children:
            return np.zeros((), np.int64)
        heads = self.heads[shape.kind]
        if shape.kind == "nary" and len(children) == 1:
            return np.stack([children[0]] * len(heads))
        if shape in self._folds:
            return np.stack(
                [
                    self._apply(head, _Product([folded, children[-1]]), wanted, size)
                    for head, folded in zip(heads, self._folds[shape], strict=True)
                ]
            )
        product = _Product(children)
        return np.stack([self._apply(head, product, wanted, size) for head in heads])

    def _apply(self, head: int, product: _Product, wanted: Wanted, size: int) -> Array:
        known = self.functions.dag.heads[head]
        if known.alias is not None:
            return product.side(known.alias)
        if known.program.total:
            number = wanted.add(head, np.zeros((1, known.arity), np.int64))
            return np.full(product.shape, size + number[0])
        return product.spread(self._numbers(head, product.arguments, wanted, size))

    def _numbers(self, head: int, arguments: Array, wanted: Wanted, size: int) -> Array:
        """Rows of the dag that applications are by a rule, and the numbers of the others, which are wanted."""
        rules = self.functions.shortcuts
        numbers = np.empty(len(arguments), np.int64)
        for number, own, where in rules.applications(head, arguments):
            found = rules.rows(number, own)
            others = found < 0
            if not others.all():
                # Who meets a row by a rule brings along by what its arguments were made.
                self.functions.record(found[~others], self.functions.proof(own[~others]).max(axis=1, initial=0))
            if others.any():
                found[others] = size + wanted.add(number, own[others])
            numbers[where] = found
        return numbers

    # Accuracy in float32, expression by expression, to choose representatives.

    def float32(self, shape: Shape) -> Array:
        """Plain float32 values ``(expressions in prefix order, points)`` of a shape at the probes."""
        if shape.kind == "x":
            return self.probes.x.astype(np.float32)[None]
        if shape not in self._float32:
            children = [self.float32(child) for child in shape.children]
            grids = np.indices([len(child) for child in children]).reshape(len(children), -1)
            arguments = [child[at] for child, at in zip(children, grids, strict=True)]
            operators = zip(self.grammar.of_kind(shape.kind), self.heads[shape.kind], strict=True)
            self._float32[shape] = np.concatenate([self.apply32(o, h, arguments) for o, h in operators])
        return self._float32[shape]

    def apply32(self, operator: Operator, head: int, arguments: list[Array]) -> Array:
        """One operator in float32 on rows of argument values."""
        program = self.functions.dag.heads[head].program
        own = [self._parameters32[p.name] for p in operator.parameters]
        shape = arguments[0].shape
        if operator.kind != "nary":
            return np.broadcast_to(run_float32(program, [*arguments, *own]), shape)
        result = arguments[0]
        for argument in arguments[1:]:
            result = run_float32(program, [result, argument, *own])
        return np.broadcast_to(result, shape)
