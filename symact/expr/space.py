"""`Space`: the expressions of one or more shapes over a grammar, within the grammar's limits.

A shape such as `binary(unary(x), unary(x))` has operator slots that any operator of their kind may
fill; `tree(x)` is every tree of unary and binary operators that the limits allow (`tree(x, g)`, with
both inputs at its leaves). A space counts
without enumerating, enumerates in the documented order, draws uniformly and knows its members.

Counting and drawing rest on one recursion. A *state* is a set of trees: a shape, or the trees of at
most some depth and of some size. Each state is a list of choices, an operator with one state per
argument, so its count is a sum of products, and a random index unfolds into a tree digit by digit. What
the operators around a state forbid in it is a `Place`; states are counted once per place.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from symact.errors import InputError
from symact.expr.operators import KINDS, ROOT, Operator, Place, Vocabulary, variable
from symact.expr.shape import Shape, parse_shape
from symact.expr.slot_rules import slot_rules
from symact.expr.space_checks import check_shapes
from symact.expr.tree import Expr, leaf

__all__ = ["Shape", "Space", "below", "parse_shape"]

_CHUNK = 4096
_TABLE = 65_536


@dataclass(frozen=True, slots=True)
class _Trees:
    """The trees of at most `depth` operators on a path (None: any), and of `size` operators (None: any)."""

    depth: int | None
    size: int | None


_State: TypeAlias = "Shape | _Trees"


@dataclass(frozen=True, slots=True)
class _Choices:
    """The ways to begin a tree of one state, and how many trees begin with each or an earlier one."""

    operators: list[Operator]
    parts: list[tuple[_State, ...]]
    cumulative: list[int]

    @property
    def total(self) -> int:
        return self.cumulative[-1] if self.cumulative else 0


class Space:
    """The expressions of some shapes over a grammar.

    Args:
        grammar: operators and limits.
        name: the name of the space in its grammar.
        shapes: one or more, each once; enumerated in this order.
        affine: searches and benchmark tables keep functions of the form a*x + b, with which a network is a linear one.

    Attributes:
        leaves: what the leaves of its trees may be; none where it holds no `tree(...)`.

    Raises:
        InputError: no shape, one twice, `tree(x)` beside what it holds already, a tree without limits,
            too much forbidden at any depth to be counted, or no expression at all.
    """

    def __init__(self, grammar: Vocabulary, name: str, shapes: Sequence[Shape], affine: bool = False):
        self.grammar, self.name, self.shapes, self.affine = grammar, name, tuple(shapes), affine
        self._operators: Mapping[str, tuple[Operator, ...]] = {kind: grammar.of_kind(kind) for kind in KINDS}
        self._cache: dict[tuple[_State, Place], _Choices] = {}
        self._tables: dict[Shape, list[Expr]] = {}
        trees = [shape for shape in self.shapes if shape.kind == "tree"]
        self.leaves = tuple(variable(child.kind) for shape in trees for child in shape.children)
        self._states: list[_State] | None = None
        self._cumulative: list[int] = []
        check_shapes(self.shapes, grammar)
        if all(self._first(shape) is None for shape in self.shapes):
            raise InputError(f"the space is empty: {self._why_empty()}")

    def __repr__(self) -> str:
        return f"Space({self.grammar.name!r}, {self.name!r}, {[str(shape) for shape in self.shapes]})"

    def keeping_affine(self, affine: bool = True) -> Space:
        """The same space for searches that keep functions of the form a*x + b (or, with False, do not)."""
        return self if affine == self.affine else Space(self.grammar, self.name, self.shapes, affine)

    @property
    def is_open(self) -> bool:
        """Whether it holds `tree(x)` or `tree(x, g)`, every tree within the limits."""
        return bool(self.leaves)

    @property
    def numbered_by_slots(self) -> bool:
        """Whether operator slots number its expressions: fixed shapes, and parameters that occurrences share."""
        parameters = self.grammar.parameters.values()
        kinds = {(p.init, p.per, p.positive, p.share, p.range) for p in parameters}
        plain = all(p.share for p in parameters) and len(kinds) == len(parameters)
        return plain and all(part.kind != "tree" for shape in self.shapes for part in shape.walk())

    def count(self) -> int:
        """The exact number of expressions, by dynamic programming."""
        self._prepare()
        return self._cumulative[-1]

    def sample(self, generator: np.random.Generator) -> Expr:
        """One expression, each with equal probability."""
        self._prepare()
        assert self._states is not None
        index = below(self._cumulative[-1], generator)
        at = bisect_right(self._cumulative, index)
        return self._unrank(self._states[at], ROOT, index - (self._cumulative[at - 1] if at else 0))

    def __iter__(self) -> Iterator[Expr]:
        """Every expression once, in the documented order.

        Shape by shape. Of a shape: the product over its operator slots, n-ary slots first, then
        binary, then unary, each group left to right, the last slot fastest; operators in file order.
        Of `tree(x)`: by size; then by the operator at the root, unary ones first; then by the size of
        the first argument; then by the arguments, the last fastest.
        """
        for shape in self.shapes:
            if shape.kind == "tree":
                for state in self._by_size():
                    yield from self._trees(state, ROOT)
            elif self._within(shape):
                yield from self._filled(shape)

    def __contains__(self, expr: object) -> bool:
        return isinstance(expr, Expr) and self.shape_of(expr) is not None

    def shape_of(self, expr: Expr) -> Shape | None:
        """The shape that the expression has in this space; None where it is not a member."""
        limits = self.grammar.limits
        if limits.max_depth is not None and expr.depth > limits.max_depth:
            return None
        if limits.max_size is not None and expr.size > limits.max_size:
            return None
        found = next((shape for shape in self.shapes if self._fits(expr, shape)), None)
        return found if found is not None and self.permits(expr) else None

    def permits(self, expr: Expr) -> bool:
        """Whether all its operators are the grammar's own, and [limits] forbid no nesting and no argument in it."""
        grammar, sized = self.grammar, self.grammar.limits.argument_size
        left = [(expr, ROOT)]
        while left:
            node, place = left.pop()
            operator = node.operator
            if operator.is_variable:
                continue
            own = grammar.operators.get(operator.name)
            if (own is not operator and own != operator) or operator.name in place.here:
                return False
            if operator.name in sized and not grammar.takes(operator, [argument.size for argument in node.arguments]):
                return False
            inner = grammar.inside(operator.name, place)
            left.extend((argument, inner) for argument in node.arguments)
        return True

    # Counting and drawing.

    def _prepare(self) -> None:
        if self._states is not None:
            return
        states: list[_State] = []
        for shape in self.shapes:
            if shape.kind == "tree":
                limits = self.grammar.limits
                # Without a limit on the size, the depth alone counts, and faster; see `_options` for the leaf.
                states += self._by_size() if limits.max_size is not None else [shape]
            elif self._within(shape):
                states.append(shape)
        counts = [self._choices(state, ROOT).total for state in states]
        self._cumulative = list(itertools.accumulate(counts))
        self._states = states

    def _by_size(self) -> list[_State]:
        depth, size = self.grammar.limits.max_depth, self.grammar.limits.max_size
        if depth is not None:
            most = 2**depth - 1 if self._operators["binary"] else depth
            size = most if size is None else min(size, most)
        assert size is not None
        return [_Trees(depth, s) for s in range(1, size + 1)]

    def _within(self, shape: Shape) -> bool:
        limits = self.grammar.limits
        return (limits.max_depth is None or shape.depth <= limits.max_depth) and (
            limits.max_size is None or shape.size <= limits.max_size
        )

    def _choices(self, state: _State, place: Place) -> _Choices:
        """The choices of a state at a place."""
        found = self._cache.get((state, place))
        if found is not None:
            return found
        choices = _Choices([], [], [])
        total = 0
        for operator, parts in self._options(state):
            if operator.name in place.here:
                continue
            inner = self.grammar.inside(operator.name, place)
            count = 1
            for part in parts:
                count *= self._choices(part, inner).total if count else 0
            if count:
                total += count
                choices.operators.append(operator)
                choices.parts.append(parts)
                choices.cumulative.append(total)
        self._cache[state, place] = choices
        return choices

    def _options(self, state: _State) -> Iterator[tuple[Operator, tuple[_State, ...]]]:
        if isinstance(state, Shape):
            if state.is_leaf:
                yield variable(state.kind), ()
            elif state.kind == "tree":
                # Every tree of the allowed depth but a bare input.
                depth = self.grammar.limits.max_depth
                yield from (o for o in self._options(_Trees(depth, None)) if not o[0].is_variable)
            else:
                sizes = [child.size for child in state.children]
                operators = (o for o in self._operators[state.kind] if self.grammar.takes(o, sizes))
                yield from ((operator, state.children) for operator in operators)
            return
        if not state.size:
            yield from ((operator, ()) for operator in self.leaves)
        if state.depth == 0 or state.size == 0:
            return
        for kind in ("unary", "binary"):
            splits: dict[tuple[float, ...], list[tuple[_Trees, ...]]] = {}
            for operator in self._operators[kind]:
                room = self.grammar.argument_room(operator, 1 if kind == "unary" else 2)
                if room not in splits:
                    splits[room] = list(_splits(state, room))
                yield from ((operator, parts) for parts in splits[room])

    def _unrank(self, state: _State, place: Place, index: int) -> Expr:
        choices = self._choices(state, place)
        at = bisect_right(choices.cumulative, index)
        operator, parts = choices.operators[at], choices.parts[at]
        if operator.is_variable:
            return leaf(operator.name)
        if at:
            index -= choices.cumulative[at - 1]
        inner = self.grammar.inside(operator.name, place)
        arguments = []
        for part in parts:
            index, digit = divmod(index, self._choices(part, inner).total)
            arguments.append(self._unrank(part, inner, digit))
        return Expr(operator, tuple(arguments))

    # Enumeration.

    def _trees(self, state: _State, place: Place) -> Iterator[Expr]:
        choices = self._choices(state, place)
        for operator, parts in zip(choices.operators, choices.parts, strict=True):
            inner = self.grammar.inside(operator.name, place)
            if operator.is_variable:
                yield leaf(operator.name)
            elif len(parts) == 1:
                yield from (Expr(operator, (argument,)) for argument in self._trees(parts[0], inner))
            else:
                for first in self._trees(parts[0], inner):
                    yield from (Expr(operator, (first, second)) for second in self._trees(parts[1], inner))

    def _filled(self, shape: Shape) -> Iterator[Expr]:
        """The expressions of one fixed shape: leading slots one by one, trailing ones as arrays."""
        slots = shape.slots()
        if not slots:
            yield leaf(shape.kind)
            return
        order = [i for kind in KINDS for i, slot in enumerate(slots) if slot.kind == kind]
        counts = [len(self._operators[slots[i].kind]) for i in order]
        if not all(counts):
            return
        trailing = 0
        while trailing < len(order) and np.prod(counts[len(order) - trailing - 1 :], dtype=float) <= _CHUNK:
            trailing += 1
        lead = len(order) - trailing
        grid = [axis.ravel() for axis in np.indices(counts[lead:])] if trailing else []
        width = len(grid[0]) if grid else 1
        digits: list[np.ndarray] = [np.zeros(width, dtype=np.int64)] * len(slots)
        for position, axis in zip(order[lead:], grid, strict=True):
            digits[position] = axis
        rules = slot_rules(self.grammar, shape)
        for leading in itertools.product(*map(range, counts[:lead])):
            for position, digit in zip(order[:lead], leading, strict=True):
                digits[position] = np.full(width, digit, dtype=np.int64)
            kept = digits
            if rules:
                allowed = np.ones(width, dtype=bool)
                for rule in rules:
                    allowed &= rule.allowed[tuple(digits[slot] for slot in rule.slots)]
                kept = [digit[allowed] for digit in digits]
            yield from self._grown(shape, 0, kept)

    def _grown(self, shape: Shape, position: int, digits: list[np.ndarray]) -> list[Expr]:
        """The trees of `shape`, whose root is the slot at `position`, for columns of operator numbers."""
        operators = self._operators[shape.kind]
        columns: list[list[Expr]] = []
        after = position + 1
        width = len(digits[position])
        for child in shape.children:
            if child.is_leaf:
                columns.append([leaf(child.kind)] * width)
                continue
            columns.append(self._subtrees(child, after, digits))
            after += len(child.slots())
        roots = map(operators.__getitem__, digits[position].tolist())
        return [Expr(root, arguments) for root, arguments in zip(roots, zip(*columns, strict=True), strict=True)]

    def _subtrees(self, shape: Shape, position: int, digits: list[np.ndarray]) -> list[Expr]:
        """Like `_grown`, with every small subtree made once and shared."""
        counts = [len(self._operators[slot.kind]) for slot in shape.slots()]
        if np.prod(counts, dtype=float) > _TABLE:
            return self._grown(shape, position, digits)
        if shape not in self._tables:
            self._tables[shape] = self._grown(shape, 0, [axis.ravel() for axis in np.indices(counts)])
        number = np.zeros(len(digits[position]), dtype=np.int64)
        for offset, count in enumerate(counts):
            number = number * count + digits[position + offset]
        return list(map(self._tables[shape].__getitem__, number.tolist()))

    # Membership and emptiness.

    def _fits(self, expr: Expr, shape: Shape) -> bool:
        if shape.kind == "tree":
            own = ("unary", "binary")
            return expr.size > 0 and all(n.operator.kind in own or n.operator in self.leaves for n in expr.walk())
        if shape.is_leaf:
            return expr.operator is variable(shape.kind)
        return (
            expr.operator.kind == shape.kind
            and len(expr.arguments) == len(shape.children)
            and all(map(self._fits, expr.arguments, shape.children))
        )

    def _first(self, shape: Shape) -> object | None:
        if shape.kind == "tree":
            return next((o for kind in ("unary", "binary") for o in self._operators[kind]), None)
        return (self._choices(shape, ROOT).total or None) if self._within(shape) else None

    def _why_empty(self) -> str:
        for shape in self.shapes:
            for slot in shape.slots():
                kinds = ("unary", "binary") if slot.kind == "tree" else (slot.kind,)
                if not any(self._operators[kind] for kind in kinds):
                    return f"{shape} needs operators, and the grammar has no [{slot.kind}] section with any"
            if not self._within(shape):
                return f"{shape} has {shape.size} operators, {shape.depth} deep, more than [limits] allows"
        both = bool(self.grammar.limits.argument_size)
        return "[limits] forbid and max_argument_size leave nothing" if both else "[limits] forbid leaves nothing"


def _splits(state: _Trees, room: tuple[float, ...]) -> Iterator[tuple[_Trees, ...]]:
    """The states of the arguments of an operator that has `room` for so many operators in each."""
    depth = None if state.depth is None else state.depth - 1

    def part(size: int | None) -> _Trees:
        # A depth that no tree of this size reaches is the same as the size itself: fewer states.
        return _Trees(depth if size is None or depth is None or depth < size else size, size)

    if state.size is None:
        assert depth is not None
        largest = 2**depth - 1
        choices = [[part(None)] if most >= largest else [part(size) for size in range(int(most) + 1)] for most in room]
        yield from itertools.product(*choices)
    elif len(room) == 1:
        if state.size - 1 <= room[0]:
            yield (part(state.size - 1),)
    else:
        for size in range(state.size):
            rest = state.size - 1 - size
            if size <= room[0] and rest <= room[1]:
                yield part(size), part(rest)


def below(limit: int, generator: np.random.Generator) -> int:
    """A uniform integer in [0, limit), of any number of digits."""
    if limit <= 2**63:
        return int(generator.integers(limit))
    bits = (limit - 1).bit_length()
    while True:
        number = int.from_bytes(generator.bytes((bits + 7) // 8), "little") >> (-bits % 8)
        if number < limit:
            return number
