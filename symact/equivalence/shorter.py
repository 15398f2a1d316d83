"""The same function in fewer words: `add(zero(x),erfc(x))` is `erfc(x)`.

In: an expression. Out: what is left when every operator that is proved to do nothing there is taken away. The result
may lie outside the space that was searched; it is for people to read. What is trained and stored is never replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from symact.equivalence.rules.prover import shared_prover
from symact.equivalence.terms import numbered_slots
from symact.expr.tree import Expr

_MOST_OPERATORS = 40  # beyond that, an expression is shown as it is


@lru_cache(maxsize=1 << 15)
def shorter(expr: Expr) -> Expr:
    """The expression without the parts that the rewriting rules prove to be idle.

    Parameters keep their names: an expression whose parameters are numbered by occurrence is left as it is.
    """
    if expr.size > _MOST_OPERATORS or any(not p.share for node in expr.walk() for p in node.operator.parameters):
        return expr
    prover, slots = shared_prover(), numbered_slots(expr.parameters)
    target = prover.graph.term_of(expr, slots)
    while True:
        found = next((e for e in _without_a_part(expr) if prover.proved(target, prover.graph.term_of(e, slots))), None)
        if found is None:
            return expr
        expr = found


def _without_a_part(expr: Expr) -> Iterator[Expr]:
    """The expression with one operator replaced by one of its arguments, or with one argument fewer."""
    for position, node in enumerate(expr.walk()):
        for index, argument in enumerate(node.arguments):
            yield expr.replaced(position, argument)
            if node.operator.arity is None and len(node.arguments) > 1:
                yield expr.replaced(position, Expr(node.operator, node.arguments[:index] + node.arguments[index + 1 :]))
