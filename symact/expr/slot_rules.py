"""What [limits] allow in the operator slots of a fixed shape, as tables over operator numbers.

In: a grammar and a shape. Out: rules, each a table over one slot (the size of its arguments) or over two
(what may not stand inside what), for those who enumerate a shape by numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from symact.expr.operators import Vocabulary
from symact.expr.shape import Shape


class SlotRule(NamedTuple):
    """Which operators may stand in some slots together.

    Attributes:
        slots: one or two prefix positions, ascending.
        allowed: bool, an axis per slot; operators in file order.
    """

    slots: tuple[int, ...]
    allowed: np.ndarray


def slot_rules(grammar: Vocabulary, shape: Shape) -> list[SlotRule]:
    """The rules that forbid something; an expression of the shape is within the limits when all hold."""
    rules: list[SlotRule] = []

    def keep(slots: tuple[int, ...], allowed: np.ndarray) -> None:
        if not allowed.all():
            rules.append(SlotRule(slots, allowed))

    def visit(part: Shape, position: int, around: list[tuple[int, Shape]]) -> int:
        """The position after `part`; `around` are the slots above it, the nearest last."""
        operators = grammar.of_kind(part.kind)
        sizes = [child.size for child in part.children]
        keep((position,), np.array([grammar.takes(operator, sizes) for operator in operators], bool))
        for at, outer in around:
            places = [grammar.inside(operator.name) for operator in grammar.of_kind(outer.kind)]
            banned = [place.here if at == around[-1][0] else place.below for place in places]
            keep((at, position), np.array([[o.name not in names for o in operators] for names in banned], bool))
        after = position + 1
        for child in part.children:
            if not child.is_leaf:
                after = visit(child, after, [*around, (position, part)])
        return after

    if not shape.is_leaf:
        visit(shape, 0, [])
    return rules
