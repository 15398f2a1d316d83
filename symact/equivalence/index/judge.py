"""`Judge`: whether two single expressions are the same function, and where one is defined, in ball arithmetic.

In: expressions and which parameter of one is which of the other. Out: the verdict.
"""

from __future__ import annotations

import numpy as np

from symact.equivalence.engine.cells import hidden_points
from symact.equivalence.engine.classes import Functions
from symact.equivalence.engine.described import Candidates
from symact.equivalence.rules.prover import Rules
from symact.equivalence.terms import Field, Fingerprints, Slots
from symact.expr.operators import VARIABLE
from symact.expr.tree import Expr

_MOST_ROWS = 20_000
# At so many points of each kind balls are asked whether a function is defined.
_ASKED = 8
# Seeds of two settings of the parameters on which narrow cells are looked for.
_LINES = (11, 12)


class Judge:
    """Compares expressions.

    Args:
        interval: (low, high), where functions are compared.
        certify: settle by rules and balls; else agreement of float64 values is enough.
    """

    def __init__(self, interval: tuple[float, float], certify: bool = True):
        self.interval, self.certify = interval, certify
        self.rules = Rules()
        self._begin()

    def _begin(self) -> None:
        self._functions = Functions(self.interval, certify=self.certify)
        self._rows: dict[tuple[int, tuple[int, ...]], int] = {}
        self._fields: list[Field] = []
        self._described: dict[int, Candidates] = {0: self._functions.variable}

    def equal(self, first: Expr, slots: Slots, second: Expr, others: Slots) -> bool:
        """Whether two expressions are the same function, decided in float64 and balls."""
        self._refresh()
        with np.errstate(all="ignore"):
            pair = [self._description(expr, own) for expr, own in ((first, slots), (second, others))]
            return pair[0] is pair[1] or self._functions.equal(*pair)

    def prints(self, expr: Expr, slots: Slots) -> Fingerprints:
        """The fingerprint of an expression, with what float64 lost at the common anchors from ball arithmetic."""
        self._refresh()
        with np.errstate(all="ignore"):
            return self._description(expr, slots).prints

    def domain(self, expr: Expr, slots: Slots) -> str:
        """Where an expression is defined on the interval: `everywhere` (almost), `partly` or `nowhere`.

        The rules tell it where they can; else it is asked at the sample points, on a grid, and in cells between
        sign changes that both miss, and what float64 says there is confirmed in balls.
        """
        form = self.rules.form(expr, slots)
        if form.kind == "nowhere" or not form.tags:
            return "nowhere" if form.kind == "nowhere" else "everywhere"
        self._refresh()
        with np.errstate(all="ignore"):
            row = self._row(expr, slots)
            functions = self._functions
            functions.dense.extend()
            fields = [functions.base, functions.dense]
            for seed in _LINES if slots else _LINES[:1]:
                line = Field(functions.dag, functions.dense.x, seed, doubled=False, still=True)
                cells = hidden_points(functions.dag, [functions.dag.node(row)], line)
                if cells:
                    fields.append(Field(functions.dag, np.array(cells), seed, doubled=False, still=True))
                    fields[-1].extend()
            # The arbiter knows fields by their identity, so they have to stay.
            self._fields += fields
            defined, undefined = [], []
            for field in fields:
                lost = np.isnan(field.values[row, : len(field.x)])
                defined += [(field, int(point)) for point in np.flatnonzero(~lost)]
                undefined += [(field, int(point)) for point in np.flatnonzero(lost)]
            some = self._confirmed(row, defined, False) or self._confirmed(row, undefined, False)
            none = self._confirmed(row, undefined, True) or self._confirmed(row, defined, True)
        return "partly" if some and none else "nowhere" if none else "everywhere"

    def _confirmed(self, row: int, places: list[tuple[Field, int]], undefined: bool) -> bool:
        """Whether balls say so at one of some places, spread over all."""
        spread = [places[i] for i in np.linspace(0, len(places) - 1, min(len(places), _ASKED)).astype(int)]
        node, arbiter = self._functions.dag.node(row), self._functions.arbiter
        return any(arbiter.undefined(node, field, point) is undefined for field, point in spread)

    def _refresh(self) -> None:
        if self._functions.dag.size > _MOST_ROWS:
            self._begin()

    def _description(self, expr: Expr, slots: Slots) -> Candidates:
        row = self._row(expr, slots)
        if row not in self._described:
            functions = self._functions
            head, arguments = functions.dag.node(row)
            values = functions.base.values[row : row + 1]
            described = functions.describe(np.array([head]), np.array([arguments]), values)
            described.nodes[:] = row
            if functions.certify:
                functions.repair(described)
            self._described[row] = described
        return self._described[row]

    def _row(self, expr: Expr, slots: Slots) -> int:
        bindings = iter(expr.bindings())

        def walk(node: Expr) -> int:
            if node.operator is VARIABLE:
                return 0
            uses = next(bindings).parameters
            own = tuple(slots[uses[p.name].name] for p in node.operator.parameters)
            arguments = [walk(argument) for argument in node.arguments]
            head = self._functions.dag.head(node.operator, own)
            if node.operator.kind != "nary":
                return self._step(head, tuple(arguments))
            row = arguments[0]
            for argument in arguments[1:]:
                row = self._step(head, (row, argument))
            return row

        return walk(expr)

    def _step(self, head: int, arguments: tuple[int, ...]) -> int:
        known = self._functions.dag.heads[head]
        if known.alias is not None:
            return arguments[known.alias]
        if known.program.total:
            arguments = (0,) * known.arity
        elif known.commutative:
            arguments = tuple(sorted(arguments))
        row = self._rows.get((head, arguments))
        if row is None:
            one = self._functions.candidates([(head, np.array([arguments], np.int64))])
            row = self._rows[(head, arguments)] = int(self._functions.adopt(one)[0])
        return row
