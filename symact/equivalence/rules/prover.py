"""`Prover`: what the rewriting rules prove about terms.

In: terms of a graph. Out: normal forms; two terms of one form are proved to be the same function. A form takes some 30
microseconds, too long for a million terms, and little for those that a million others are made of.
"""

from __future__ import annotations

from functools import cache

from symact.equivalence.rules.form import NO_TAGS, Form, opened
from symact.equivalence.rules.normal_form import NormalForms
from symact.equivalence.terms import Term, TermGraph, numbered_slots
from symact.expr.operators import INPUTS
from symact.expr.tree import Expr

_MOST_FORMS, _MOST_TERMS = 150_000, 400_000


class Prover:
    """Normal forms of terms; what was made is remembered, until it is much.

    Args:
        graph: names the terms.
    """

    def __init__(self, graph: TermGraph):
        self.graph = graph
        self._begin()

    def _begin(self) -> None:
        self._normal = NormalForms()
        self._forms: dict[int, Form] = dict(enumerate(self._normal.variables[: self.graph.inputs]))

    def form(self, number: int) -> Form:
        """The normal form of a term of the graph; forms of one moment can be compared."""
        found = self._forms.get(number)
        if found is None:
            found = self._forms[number] = self.form_of(self.graph.term(number))
        return found

    def form_of(self, term: Term) -> Form:
        """The normal form of a term that need not be in the graph."""
        number, arguments = term
        if number < 0:
            return self._normal.variables[-1 - number]
        symbol = self.graph.symbols[number]
        parameters = [self._normal.slot(slot, slot.range[0] >= 0) for slot in symbol.slots]
        return self._normal.program(symbol.program, [*[self.form(argument) for argument in arguments], *parameters])

    def proved(self, first: int, second: int) -> bool:
        """Whether two terms are proved to be the same function."""
        if len(self._normal) > _MOST_FORMS:
            self._begin()
        return self.form(first) is self.form(second)


@cache
def _of_this_process() -> list[Prover]:
    return [Prover(TermGraph(len(INPUTS)))]


def shared_prover() -> Prover:
    """One prover for all expressions of this process; it begins anew when it has grown large."""
    shared = _of_this_process()
    if shared[0].graph.size > _MOST_TERMS:
        shared[0] = Prover(TermGraph(len(INPUTS)))
    return shared[0]


def proved_constant(expr: Expr) -> bool:
    """Whether an expression is proved to be one number wherever it is defined."""
    prover = shared_prover()
    number = prover.graph.term_of(expr, numbered_slots(expr.parameters))
    return opened(prover.form(number), NO_TAGS)[0].kind == "const"
