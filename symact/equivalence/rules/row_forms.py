"""`RowForms`: what the rewriting rules prove about rows of a dag.

In: rows. Out: normal forms; two rows of one form are proved to be the same function. A form takes some 30 microseconds,
too long for a million rows, and little for those that a million others are made of.
"""

from __future__ import annotations

from symact.equivalence.exact.comparison import VARIABLE_HEAD, Row
from symact.equivalence.rules.forms import Form
from symact.equivalence.rules.normal_form import Normal
from symact.equivalence.terms import Dag


class RowForms:
    """Normal forms of rows, each made once.

    Args:
        dag: names the argument rows.
    """

    def __init__(self, dag: Dag):
        self.dag = dag
        self._normal = Normal()
        self._forms: dict[Row, Form] = {}

    def of(self, row: Row) -> Form:
        """The form of a row, in the dag or not."""
        number, arguments = row
        if number == VARIABLE_HEAD:
            return self._normal.x
        form = self._forms.get(row)
        if form is None:
            head = self.dag.heads[number]
            inner = [self.of(self.dag.node(a)) if a else self._normal.x for a in arguments[: head.arity]]
            own = [self._normal.slot(slot, slot.family[4][0] >= 0) for slot in head.slots]
            form = self._forms[row] = self._normal.program(head.program, [*inner, *own])
        return form
