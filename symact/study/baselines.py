"""The baselines, and which expression of a space is a given function: how they are told to an optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symact.expr.operators import Operator
from symact.expr.shape import Shape
from symact.expr.tree import Expr, leaf, parse
from symact.optimize.pool import Pool

# The functions that every study begins with, and a replay where the table has them.
BASELINES = tuple(
    f"{name}(x)" for name in ("elu", "relu", "selu", "sigmoid", "softplus", "softsign", "swish", "tanh", "identity")
)
# What reports and `symact transfer` show beside them.
SHOWN_BASELINES = ("gelu(x)", "mish(x)", "leakyrelu(x)")
NEUTRAL = ("x", "0*x", "0*x + 1")


class MemberSearch:
    """Callable: a function -> the same function as an expression of the space, or None.

    A space that can be listed is looked through. In a larger one the function is composed from the
    operator that it is and from neutral parts, such as `max(relu(x),zero(x))`; that finds what a person
    would write down, and may miss a representation that only a search would find.

    Args:
        functions: of the space.
    """

    def __init__(self, functions: Pool):
        self._functions, self._space = functions, functions.space
        self._found: dict[int, Expr | None] = {}
        self._solved: dict[tuple[Shape, Any], Expr | None] = {}

    def __call__(self, expression: Expr) -> Expr | None:
        """The expression of the space that is this function, or None."""
        if expression in self._space:
            return expression
        number = self._functions.index.add(expression)
        if number not in self._found:
            self._found[number] = self._find(number)
        return self._found[number]

    def _find(self, number: int) -> Expr | None:
        if self._functions.members is not None:
            return self._functions.member(number)
        for shape in self._space.shapes:
            found = self._solve(shape, number)
            if found is not None and found in self._space:
                return found
        return None

    def _solve(self, shape: Shape, target: Any) -> Expr | None:
        """An expression of that shape whose function is `target`, or None."""
        place = (shape, target)
        if place not in self._solved:
            self._solved[place] = None  # while it is looked for
            proposals = self._proposals(shape, target)
            self._solved[place] = next((e for e in proposals if self._functions.index.add(e) == target), None)
        return self._solved[place]

    def _proposals(self, shape: Shape, target: Any) -> Iterator[Expr]:
        if shape.is_leaf:
            yield leaf(shape.kind)
        elif shape.kind == "unary":
            (child,) = shape.children
            for operator in self._operators("unary"):
                parts = (self._solve(child, self._neutral(0)), self._solve(child, target))
                yield from (Expr(operator, (part,)) for part in parts if part is not None)
        elif shape.kind in ("binary", "nary"):
            first, *rest = shape.children
            heads = [self._solve(first, target), self._solve(first, self._neutral(0))]
            for operator in self._operators(shape.kind):
                for goal in (target, self._neutral(1), self._neutral(2)):
                    tails = [self._solve(child, goal) for child in rest]
                    for head in heads:
                        arguments = [part for part in (head, *tails) if part is not None]
                        if len(arguments) == len(shape.children):
                            yield Expr(operator, tuple(arguments))

    def _operators(self, kind: str) -> tuple[Operator, ...]:
        return self._space.grammar.of_kind(kind)

    def _neutral(self, index: int) -> Any:
        return self._functions.index.add(parse(NEUTRAL[index]))
