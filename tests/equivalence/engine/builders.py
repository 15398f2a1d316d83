"""Terms of expressions in a `ClassBuilder`, for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symact.equivalence.engine.classes import ClassBuilder
from symact.equivalence.engine.term_columns import TermColumns
from symact.equivalence.terms import Slots, numbered_slots
from symact.expr.tree import Expr, parse
from symact.program.loading import load_grammar

AQUASURF = load_grammar("aquasurf")


def number_of(builder: ClassBuilder, expr: Expr, slots: Slots | None = None) -> int:
    """The number of an expression in the builder's graph, with values."""
    own = numbered_slots(expr.parameters) if slots is None else slots

    def walk(node: Expr) -> int:
        if node.operator.is_variable:
            return 0
        symbol = builder.graph.symbol(node.operator, tuple(own[p.name] for p in node.operator.parameters))
        result, *others = [walk(argument) for argument in node.arguments]
        if node.operator.kind != "nary":
            return builder.apply(symbol, (result, *others))
        for argument in others:
            result = builder.apply(symbol, (result, argument))
        return result

    return walk(expr)


@np.errstate(all="ignore")
def described(builder: ClassBuilder, texts: Sequence[str], grammar=AQUASURF) -> TermColumns:
    """Some expressions, described; all of them are terms of the graph."""
    numbers = [number_of(builder, parse(text, grammar)) for text in texts]
    return TermColumns.joined([builder.variables if not n else builder.columns_of(n) for n in numbers])
