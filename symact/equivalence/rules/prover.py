"""`Rules`: what the rewriting rules prove about expressions.

In: expressions and which slot each parameter is. Out: normal forms, and whether two are one.
"""

from __future__ import annotations

from functools import cache

from symact.equivalence.rules.forms import Form, opened
from symact.equivalence.rules.normal_form import Normal
from symact.equivalence.terms import Slot, Slots
from symact.expr.operators import VARIABLE, Operator, Parameter
from symact.expr.tree import Expr
from symact.program.pipeline import exact_program

_MOST_FORMS = 150_000


class Rules:
    """Normal forms of expressions; what was made is remembered, until it is much."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._normal = Normal()
        self._forms: dict[tuple[Operator, tuple[Slot, ...], tuple[Form, ...]], Form] = {}

    def form(self, expr: Expr, slots: Slots) -> Form:
        """The normal form of an expression; those of one moment can be compared."""
        bindings = iter(expr.bindings())

        def walk(node: Expr) -> Form:
            if node.operator is VARIABLE:
                return self._normal.x
            uses = next(bindings).parameters
            own = tuple(slots[uses[p.name].name] for p in node.operator.parameters)
            return self._applied(node.operator, own, tuple([walk(argument) for argument in node.arguments]))

        return walk(expr)

    def proved(self, first: Expr, slots: Slots, second: Expr, others: Slots) -> bool:
        """Whether two expressions are proved to be the same function."""
        if len(self._normal) > _MOST_FORMS:
            self._begin()
        return self.form(first, slots) is self.form(second, others)

    def constant(self, expr: Expr) -> bool:
        """Whether an expression is proved to be one number wherever it is defined."""
        if len(self._normal) > _MOST_FORMS:
            self._begin()
        return opened(self.form(expr, numbered(expr.parameters)), frozenset())[0].kind == "const"

    def _applied(self, operator: Operator, slots: tuple[Slot, ...], arguments: tuple[Form, ...]) -> Form:
        place = (operator, slots, arguments)
        found = self._forms.get(place)
        if found is None:
            program = exact_program(operator)
            own = [self._normal.slot(slot, slot.family[4][0] >= 0) for slot in slots]
            if operator.kind == "nary":
                found = arguments[0]
                for argument in arguments[1:]:
                    found = self._normal.program(program, [found, argument, *own])
            else:
                found = self._normal.program(program, [*arguments, *own])
            self._forms[place] = found
        return found


def numbered(parameters: tuple[Parameter, ...]) -> Slots:
    """Slots for parameters by name, numbered within their families."""
    slots: Slots = {}
    counts: dict[tuple, int] = {}
    for parameter in parameters:
        family = Slot.family_of(parameter)
        slots[parameter.name] = Slot(family, counts.get(family, 0))
        counts[family] = counts.get(family, 0) + 1
    return slots


@cache
def shared_rules() -> Rules:
    """The rules for questions about single expressions, from anywhere in this process."""
    return Rules()
