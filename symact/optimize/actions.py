"""Candidates as sequences of choices: the grammar's mask for a controller that emits slot by slot.

In: a space. Out: `ActionSpace`: the tokens (shapes, operators, inputs), which of them may come next in a
partial candidate, the expression that a finished sequence stands for, and the sequence of an
expression. The first token picks a shape (when there are several), then come the operators in prefix
order; an open-ended `tree(x)` also emits inputs. Every allowed choice can be finished.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from symact.expr.operators import ROOT, Operator, Place, variable
from symact.expr.shape import Shape
from symact.expr.space import Space
from symact.expr.tree import Expr, leaf

START = 0  # what stands before the first token, and above the root


class _Opening(NamedTuple):
    """A place that an operator or an input will fill.

    Attributes:
        shape: what may stand there.
        parent: token of the operator around it.
        depth: operators around it.
        place: what those forbid.
        rooms: numbers into `Partial.rooms`, of the arguments of limited size that it is in.
    """

    shape: Shape
    parent: int
    depth: int
    place: Place
    rooms: tuple[int, ...]


@dataclass
class Partial:
    """A candidate that is being emitted.

    Attributes:
        tokens: the choices made.
        parents: for every choice the token of the operator around it, `START` at the root.
        masks: for every choice which tokens were allowed, each ``(tokens,)`` bool.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    masks: list[np.ndarray] = field(default_factory=list)
    size: int = 0
    # Open places, the next one last.
    open: list[_Opening] = field(default_factory=list)
    # How many operators each argument of limited size may still get.
    rooms: list[float] = field(default_factory=list)
    started: bool = False

    @property
    def finished(self) -> bool:
        """Whether nothing is open."""
        return self.started and not self.open


class ActionSpace:
    """The choices by which a space's expressions are spelled.

    Attributes:
        tokens: number of tokens, the start token included.
    """

    def __init__(self, space: Space):
        self.space = space
        limits = space.grammar.limits
        self._depth, self._size = limits.max_depth, limits.max_size
        self.shapes = [shape for shape in space.shapes if self._within(shape)]
        operators = [operator for kind in ("nary", "binary", "unary") for operator in space.grammar.of_kind(kind)]
        self._operators: list[Operator | None] = [
            *[None] * (1 + len(self.shapes)),
            *map(variable, space.grammar.inputs),
            *operators,
        ]
        self._token = {operator.name: i for i, operator in enumerate(self._operators) if operator is not None}
        self.tokens = len(self._operators)
        self._masks: dict[tuple[Shape, Place, bool, bool], np.ndarray] = {}
        self._feasible: dict[tuple[Shape, Place], bool] = {}

    def _within(self, shape: Shape) -> bool:
        return (self._depth is None or shape.depth <= self._depth) and (self._size is None or shape.size <= self._size)

    def begin(self) -> Partial:
        """An empty candidate; a single shape is chosen already."""
        partial = Partial()
        if len(self.shapes) == 1:
            self._start(partial, 0)
        return partial

    def mask(self, partial: Partial) -> np.ndarray:
        """Which tokens may come next, ``(tokens,)`` bool; at least one."""
        if not partial.started:
            mask = np.zeros(self.tokens, dtype=bool)
            for index, shape in enumerate(self.shapes):
                mask[1 + index] = shape.kind == "tree" or shape.is_leaf or self._can_finish(shape, ROOT)
            return mask
        shape, _, depth, place, rooms = partial.open[-1]
        tree = shape.kind == "tree"
        grow = not tree or (
            (self._depth is None or depth < self._depth)
            and (self._size is None or partial.size < self._size)
            and all(partial.rooms[room] > 0 for room in rooms)
        )
        return self._mask(shape, place, grow, tree and depth == 0)

    def _mask(self, shape: Shape, place: Place, grow: bool, root: bool) -> np.ndarray:
        key = (shape, place, grow, root)
        if key not in self._masks:
            mask = np.zeros(self.tokens, dtype=bool)
            for token, operator in enumerate(self._operators):
                if operator is None:
                    continue
                if operator.is_variable:
                    mask[token] = operator in self.space.leaves and shape.kind == "tree" and not root
                elif shape.kind == "tree":
                    inner = operator.kind in ("unary", "binary")
                    mask[token] = grow and inner and operator.name not in place.here
                else:
                    mask[token] = operator.kind == shape.kind and self._may(shape, place, operator)
            self._masks[key] = mask
        return self._masks[key]

    def _may(self, shape: Shape, place: Place, operator: Operator) -> bool:
        grammar = self.space.grammar
        if operator.name in place.here or not grammar.takes(operator, [child.size for child in shape.children]):
            return False
        inner = grammar.inside(operator.name, place)
        return all(child.is_leaf or self._can_finish(child, inner) for child in shape.children)

    def _can_finish(self, shape: Shape, place: Place) -> bool:
        key = (shape, place)
        if key not in self._feasible:
            self._feasible[key] = any(
                self._may(shape, place, operator) for operator in self.space.grammar.of_kind(shape.kind)
            )
        return self._feasible[key]

    def push(self, partial: Partial, token: int) -> None:
        """Make a choice; nothing is checked but what `mask` says."""
        partial.masks.append(self.mask(partial))
        partial.tokens.append(token)
        if not partial.started:
            partial.parents.append(START)
            self._start(partial, token - 1)
            return
        shape, parent, depth, place, rooms = partial.open.pop()
        partial.parents.append(parent)
        operator = self._operators[token]
        if operator is None or operator.is_variable:
            return
        partial.size += 1
        for room in rooms:
            partial.rooms[room] -= 1
        inner = self.space.grammar.inside(operator.name, place)
        if shape.kind != "tree":  # Sizes are fixed, and `_may` has compared them.
            openings = [_Opening(child, token, depth + 1, inner, ()) for child in shape.children if not child.is_leaf]
            partial.open.extend(reversed(openings))
            return
        openings = []
        for most in self.space.grammar.argument_room(operator, operator.arity or 1):
            own = rooms
            if most < math.inf:
                own = (*rooms, len(partial.rooms))
                partial.rooms.append(most)
            openings.append(_Opening(shape, token, depth + 1, inner, own))
        partial.open.extend(reversed(openings))

    def _start(self, partial: Partial, index: int) -> None:
        partial.started = True
        shape = self.shapes[index]
        if not shape.is_leaf:
            partial.open.append(_Opening(shape, START, 0, ROOT, ()))

    def expression(self, partial: Partial) -> Expr:
        """The expression that a finished sequence stands for."""
        tokens = iter(partial.tokens)
        shape = self.shapes[next(tokens) - 1] if len(self.shapes) > 1 else self.shapes[0]

        def build(part: Shape) -> Expr:
            if part.is_leaf:
                return leaf(part.kind)
            operator = self._operators[next(tokens)]
            assert operator is not None
            if operator.is_variable:
                return leaf(operator.name)
            children = part.children if part.kind != "tree" else (part,) * (operator.arity or 1)
            return Expr(operator, tuple(build(child) for child in children))

        return build(shape)

    def sequence(self, expression: Expr) -> Partial | None:
        """The choices that spell an expression; None where it is not in the space."""
        shape = self.space.shape_of(expression)
        if shape is None:
            return None
        partial = self.begin()
        if not partial.started:
            self.push(partial, 1 + self.shapes.index(shape))
        for node in expression.walk():
            if node.operator.is_variable and shape.kind != "tree":
                continue
            self.push(partial, self._token[node.operator.name])
        return partial
