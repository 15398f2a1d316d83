"""Candidates as sequences of choices: the grammar's mask for a controller that emits slot by slot.

In: a space. Out: `ActionSpace`: the tokens (shapes, operators, `x`), which of them may come next in a
partial candidate, the expression that a finished sequence stands for, and the sequence of an
expression. The first token picks a shape (when there are several), then come the operators in prefix
order; an open-ended `tree(x)` also emits `x`. Every allowed choice can be finished.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from symact.expr.operators import VARIABLE, Operator
from symact.expr.shape import Shape
from symact.expr.space import Space
from symact.expr.tree import X_LEAF, Expr

START = 0  # what stands before the first token, and above the root


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
    # Open places, the next one last: (shape, token of the operator around it, depth so far).
    open: list[tuple[Shape, int, int]] = field(default_factory=list)
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
        self._operators: list[Operator | None] = [None] * (1 + len(self.shapes)) + [VARIABLE, *operators]
        self._token = {operator.name: i for i, operator in enumerate(self._operators) if operator is not None}
        self._variable = 1 + len(self.shapes)
        self.tokens = len(self._operators)
        self._masks: dict[tuple[Shape, int, bool, bool], np.ndarray] = {}
        self._feasible: dict[tuple[Shape, str], bool] = {}

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
                mask[1 + index] = shape.kind in ("tree", "x") or self._can_finish(shape, "")
            return mask
        shape, parent, depth = partial.open[-1]
        tree = shape.kind == "tree"
        grow = not tree or (
            (self._depth is None or depth < self._depth) and (self._size is None or partial.size < self._size)
        )
        return self._mask(shape, parent, grow, tree and depth == 0)

    def _mask(self, shape: Shape, parent: int, grow: bool, root: bool) -> np.ndarray:
        key = (shape, parent, grow, root)
        if key not in self._masks:
            mask = np.zeros(self.tokens, dtype=bool)
            around = self._operators[parent]
            outer = around.name if around is not None else ""
            for token, operator in enumerate(self._operators):
                if operator is None:
                    continue
                if operator is VARIABLE:
                    mask[token] = shape.kind == "tree" and not root
                elif shape.kind == "tree":
                    inner = operator.kind in ("unary", "binary")
                    mask[token] = grow and inner and self.space.grammar.allows(outer, operator.name)
                else:
                    mask[token] = operator.kind == shape.kind and self._may(shape, outer, operator)
            self._masks[key] = mask
        return self._masks[key]

    def _may(self, shape: Shape, outer: str, operator: Operator) -> bool:
        return self.space.grammar.allows(outer, operator.name) and all(
            child.kind == "x" or self._can_finish(child, operator.name) for child in shape.children
        )

    def _can_finish(self, shape: Shape, outer: str) -> bool:
        key = (shape, outer)
        if key not in self._feasible:
            self._feasible[key] = any(
                self._may(shape, outer, operator) for operator in self.space.grammar.of_kind(shape.kind)
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
        shape, parent, depth = partial.open.pop()
        partial.parents.append(parent)
        operator = self._operators[token]
        if operator is None or operator is VARIABLE:
            return
        partial.size += 1
        if shape.kind == "tree":
            partial.open.extend([(shape, token, depth + 1)] * (operator.arity or 1))
        else:
            inner = [(child, token, depth + 1) for child in shape.children if child.kind != "x"]
            partial.open.extend(reversed(inner))

    def _start(self, partial: Partial, index: int) -> None:
        partial.started = True
        shape = self.shapes[index]
        if shape.kind != "x":
            partial.open.append((shape, START, 0))

    def expression(self, partial: Partial) -> Expr:
        """The expression that a finished sequence stands for."""
        tokens = iter(partial.tokens)
        shape = self.shapes[next(tokens) - 1] if len(self.shapes) > 1 else self.shapes[0]

        def build(part: Shape) -> Expr:
            if part.kind == "x":
                return X_LEAF
            operator = self._operators[next(tokens)]
            assert operator is not None
            if operator is VARIABLE:
                return X_LEAF
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
            if node.operator is VARIABLE and shape.kind != "tree":
                continue
            self.push(partial, self._token[node.operator.name] if node.operator is not VARIABLE else self._variable)
        return partial
