"""Candidates as sequences of choices: the grammar's mask for a controller that emits slot by slot.

In: a space. Out: `ActionSpace`: the tokens (shapes, operators, inputs), which of them may come next in a
partial candidate, the candidate that a finished sequence stands for, and the sequence of a candidate. The first token
picks a shape (when there are several), then come the operators in prefix order; an open-ended `tree(x)` also emits
inputs. Where groups of sites have functions of their own, one follows another. Every allowed choice can be finished.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from symact.expr.operators import ROOT, Operator, Place, variable
from symact.expr.shape import Shape
from symact.expr.space import Space
from symact.expr.tree import Candidate, Expr, leaf
from symact.optimize.site_groups import ONE, SiteGroups

START = 0  # what stands before the first token, and above the root of the first function


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
        waiting: functions that come after the one that is being spelled.
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
    waiting: int = 0

    @property
    def finished(self) -> bool:
        """Whether nothing is open."""
        return self.started and not self.open and not self.waiting


class ActionSpace:
    """The choices by which a space's expressions are spelled.

    Args:
        space: the space.
        groups: of sites; a candidate has one expression for each.

    Attributes:
        tokens: number of tokens, the start token included, and those above the roots of further functions.
    """

    def __init__(self, space: Space, groups: SiteGroups = ONE):
        self.space, self.groups = space, groups
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
        self.tokens = len(self._operators) + len(groups) - 1
        self._masks: dict[tuple[Shape, Place, bool, bool], np.ndarray] = {}
        self._feasible: dict[tuple[Shape, Place], bool] = {}

    def _within(self, shape: Shape) -> bool:
        return (self._depth is None or shape.depth <= self._depth) and (self._size is None or shape.size <= self._size)

    def begin(self) -> Partial:
        """An empty candidate; a single shape is chosen already."""
        partial = Partial(waiting=len(self.groups) - 1)
        self._advance(partial)
        return partial

    def around(self, partial: Partial) -> int:
        """What stands above the next choice: the operator around it; above a root the token of its group of sites."""
        return partial.open[-1].parent if partial.open else self._root(partial)

    def _root(self, partial: Partial) -> int:
        group = len(self.groups) - 1 - partial.waiting
        return len(self._operators) + group - 1 if group else START

    def _advance(self, partial: Partial) -> None:
        """Go on to the next function where one is spelled; a single shape is chosen already."""
        while not partial.open:
            if partial.started:
                if not partial.waiting:
                    return
                partial.started, partial.size, partial.waiting = False, 0, partial.waiting - 1
            if len(self.shapes) > 1:
                return
            self._start(partial, 0)

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
        partial.parents.append(self.around(partial))
        if partial.started:
            self._fill(partial, token)
        else:
            self._start(partial, token - 1)
        self._advance(partial)

    def _fill(self, partial: Partial, token: int) -> None:
        """Put an operator or an input into the next open place."""
        shape, _, depth, place, rooms = partial.open.pop()
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
            partial.open.append(_Opening(shape, self._root(partial), 0, ROOT, ()))

    def expression(self, partial: Partial) -> Candidate:
        """The candidate that a finished sequence stands for."""
        tokens = iter(partial.tokens)

        def build(part: Shape) -> Expr:
            if part.is_leaf:
                return leaf(part.kind)
            operator = self._operators[next(tokens)]
            assert operator is not None
            if operator.is_variable:
                return leaf(operator.name)
            children = part.children if part.kind != "tree" else (part,) * (operator.arity or 1)
            return Expr(operator, tuple(build(child) for child in children))

        several = len(self.shapes) > 1
        built = [build(self.shapes[next(tokens) - 1 if several else 0]) for _ in range(len(self.groups))]
        return self.groups.candidate(built)

    def sequence(self, candidate: Candidate) -> Partial | None:
        """The choices that spell a candidate; None where it is not in the space, or not of these groups of sites."""
        partial = self.begin()
        for expression in self.groups.functions(candidate) or (None,):
            shape = None if expression is None else self.space.shape_of(expression)
            if expression is None or shape is None:
                return None
            if not partial.started:
                self.push(partial, 1 + self.shapes.index(shape))
            for node in expression.walk():
                if not node.operator.is_variable or shape.kind == "tree":
                    self.push(partial, self._token[node.operator.name])
        return partial
