"""Variation: mutation and crossover of expressions, always inside a space.

In: members of a space and a random generator. Out: members of the space. The mutations are those of
PANGAEA (Bingham & Miikkulainen 2022, arXiv:2006.03179, section 3): insert, remove, change,
regenerate, and a learnable parameter on an edge; `reshape` is ours, and moves between the shapes of
a space that has several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np

from symact.expr.operators import ROOT, Operator, Place
from symact.expr.shape import Shape
from symact.expr.space import Space
from symact.expr.tree import Expr, leaf

Mutation: TypeAlias = Callable[[Expr, Space, np.random.Generator], "Expr | None"]
Item = TypeVar("Item")

_TRIES = 16


class _Edge(NamedTuple):
    """A sub-expression, its prefix position, and its place, which says what may not stand there."""

    position: int
    node: Expr
    place: Place


def mutate(expr: Expr, space: Space, generator: np.random.Generator) -> Expr:
    """Another member of the space, one random mutation away.

    Mutations that are impossible here are passed over. An expression that is not a member, and one
    that no mutation changes, gives a random member.
    """
    if expr in space:
        names = list(MUTATIONS)
        for _ in range(2 * len(names)):
            mutant = MUTATIONS[_pick(names, generator)](expr, space, generator)
            if mutant is not None:
                return mutant
    return space.sample(generator)


def crossover(a: Expr, b: Expr, space: Space, generator: np.random.Generator) -> tuple[Expr, Expr]:
    """Exchange a random subtree of `a` with one of `b`, so that both children are members.

    In a space of fixed shapes only subtrees of one form can be exchanged. Where no exchange that
    changes anything is found, the parents come back; a parent that is not a member is replaced by a
    random one first.
    """
    a, b = (parent if parent in space else space.sample(generator) for parent in (a, b))
    ours, theirs = _edges(a, space), _edges(b, space)
    room = space.grammar.limits.max_size
    for _ in range(_TRIES):
        mine = _pick(ours, generator)
        if not space.is_open:
            partners = [e for e in theirs if _form(e.node) == _form(mine.node)]
        elif room is not None:
            least, most = b.size - room, room - a.size  # How much longer the partner may be, so that both children fit.
            partners = [e for e in theirs if least <= e.node.size - mine.node.size <= most]
        else:
            partners = theirs
        if not partners:
            continue
        other = _pick(partners, generator)
        if mine.node == other.node or mine.position == other.position == 0:
            continue
        first = a.replaced(mine.position, other.node)
        second = b.replaced(other.position, mine.node)
        if first in space and second in space:
            return first, second
    return a, b


def insert(expr: Expr, space: Space, generator: np.random.Generator) -> Expr | None:
    """Put an operator on a random edge; the second argument of a binary one is an input or a unary operator of it."""
    if not _has_size(space, expr.size + 1) and not _has_size(space, expr.size + 2):
        return None
    return _try(lambda: _inserted(expr, space, generator, ("unary", "binary"), False), expr, space)


def parametrize(expr: Expr, space: Space, generator: np.random.Generator) -> Expr | None:
    """Put a unary operator with a learnable parameter on a random edge."""
    if not _has_size(space, expr.size + 1):
        return None
    return _try(lambda: _inserted(expr, space, generator, ("unary",), True), expr, space)


def remove(expr: Expr, space: Space, generator: np.random.Generator) -> Expr | None:
    """Take a random operator out; one of its arguments takes its place."""

    def once() -> Expr | None:
        edge = _pick([edge for edge in _edges(expr, space) if edge.node.size], generator)
        return expr.replaced(edge.position, _pick(edge.node.arguments, generator))

    return _try(once, expr, space) if expr.size > 1 else None


def change(expr: Expr, space: Space, generator: np.random.Generator) -> Expr | None:
    """Exchange a random operator for another of its kind, or in an open space of two inputs a leaf for the other."""
    leaves = space.is_open and len(space.grammar.inputs) > 1

    def once() -> Expr | None:
        edge = _pick([edge for edge in _edges(expr, space) if edge.node.size or leaves], generator)
        if not edge.node.size:
            inputs = [name for name in space.grammar.inputs if name != edge.node.operator.name]
            return expr.replaced(edge.position, leaf(_pick(inputs, generator)))
        others = _fitting(space, edge.node.operator.kind, edge.place, edge.node.arguments)
        others = [operator for operator in others if operator != edge.node.operator]
        if not others:
            return None
        return expr.replaced(edge.position, Expr(_pick(others, generator), edge.node.arguments))

    return _try(once, expr, space) if expr.size else None


def regenerate(expr: Expr, space: Space, generator: np.random.Generator) -> Expr | None:
    """Draw every operator anew; the form stays."""

    def grow(node: Expr, place: Place) -> Expr | None:
        if node.operator.is_variable:
            return node
        sizes = [argument.size for argument in node.arguments]
        operators = [o for o in _fitting(space, node.operator.kind, place, ()) if space.grammar.takes(o, sizes)]
        if not operators:
            return None
        operator = _pick(operators, generator)
        inner = space.grammar.inside(operator.name, place)
        arguments = [grow(argument, inner) for argument in node.arguments]
        kept = tuple(argument for argument in arguments if argument is not None)
        return Expr(operator, kept) if len(kept) == len(arguments) else None

    return _try(lambda: grow(expr, ROOT), expr, space)


def reshape(expr: Expr, space: Space, generator: np.random.Generator) -> Expr | None:
    """Pour the operators into another shape of the space, in order; slots that stay empty are drawn."""
    current = space.shape_of(expr)
    shapes = [shape for shape in space.shapes if shape != current and shape.kind != "tree" and not shape.is_leaf]
    if not shapes:
        return None

    def once() -> Expr | None:
        left: dict[str, list[Operator]] = {}
        for node in expr.walk():
            left.setdefault(node.operator.kind, []).append(node.operator)
        return _poured(_pick(shapes, generator), ROOT, left, space, generator)

    return _try(once, expr, space)


MUTATIONS: dict[str, Mutation] = {
    "insert": insert,
    "remove": remove,
    "change": change,
    "regenerate": regenerate,
    "parametrize": parametrize,
    "reshape": reshape,
}


def _poured(
    shape: Shape, place: Place, left: dict[str, list[Operator]], space: Space, generator: np.random.Generator
) -> Expr | None:
    if shape.is_leaf:
        return leaf(shape.kind)
    waiting = left.get(shape.kind, [])
    operators = [waiting.pop(0)] if waiting else _fitting(space, shape.kind, place, ())
    if not operators:
        return None
    operator = _pick(operators, generator)
    inner = space.grammar.inside(operator.name, place)
    arguments = [_poured(child, inner, left, space, generator) for child in shape.children]
    kept = tuple(argument for argument in arguments if argument is not None)
    return Expr(operator, kept) if len(kept) == len(arguments) else None


def _inserted(
    expr: Expr, space: Space, generator: np.random.Generator, kinds: tuple[str, ...], learnable: bool
) -> Expr | None:
    edge = _pick(_edges(expr, space), generator)
    operators = [operator for kind in kinds for operator in _fitting(space, kind, edge.place, (edge.node,))]
    if learnable:
        operators = [operator for operator in operators if operator.parameters]
    if not operators:
        return None
    operator = _pick(operators, generator)
    arguments: tuple[Expr, ...] = (edge.node,)
    if operator.kind == "binary":
        inputs = space.grammar.inputs
        second = leaf(inputs[0] if len(inputs) == 1 else _pick(inputs, generator))
        unary = _fitting(space, "unary", space.grammar.inside(operator.name, edge.place), ())
        if unary and _has_size(space, expr.size + 2) and generator.integers(2):
            second = Expr(_pick(unary, generator), (second,))
        arguments = (edge.node, second) if generator.integers(2) else (second, edge.node)
    return expr.replaced(edge.position, Expr(operator, arguments))


def _try(once: Callable[[], Expr | None], expr: Expr, space: Space) -> Expr | None:
    for _ in range(_TRIES):
        mutant = once()
        if mutant is not None and mutant != expr and mutant in space:
            return mutant
    return None


def _pick(items: Sequence[Item], generator: np.random.Generator) -> Item:
    return items[int(generator.integers(len(items)))]


def _edges(expr: Expr, space: Space) -> list[_Edge]:
    inside = space.grammar.inside
    edges: list[_Edge] = []

    def visit(node: Expr, place: Place) -> None:
        edges.append(_Edge(len(edges), node, place))
        for argument in node.arguments:
            visit(argument, inside(node.operator.name, place))

    visit(expr, ROOT)
    return edges


def _fitting(space: Space, kind: str, place: Place, arguments: tuple[Expr, ...]) -> list[Operator]:
    """The operators of a kind that may stand at a place and directly around the arguments."""
    grammar = space.grammar
    names = {argument.operator.name for argument in arguments}
    return [
        operator
        for operator in grammar.of_kind(kind)
        if operator.name not in place.here and names.isdisjoint(grammar.inside(operator.name).here)
    ]


def _has_size(space: Space, size: int) -> bool:
    """Whether the space may hold an expression of so many operators."""
    most = space.grammar.limits.max_size
    if most is not None and size > most:
        return False
    return space.is_open or any(shape.size == size for shape in space.shapes)


def _form(node: Expr) -> tuple[object, ...]:
    """What must agree for two subtrees to be exchanged in a space of fixed shapes."""
    return (node.operator.kind, *map(_form, node.arguments))
