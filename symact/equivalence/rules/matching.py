"""Rules whose left side is a function of a pattern, and whether a form is of that pattern.

In: the two sides of a rule as text; forms. Out: Programs; what the variables of a pattern stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import permutations
from typing import Any

import sympy

from symact.equivalence.rules.form import Form, FormTable, leads_with_minus
from symact.equivalence.rules.rules import Rule
from symact.equivalence.rules.sums import added
from symact.expr.formula import parse_formula
from symact.expr.functions import FUNCTIONS
from symact.program.from_sympy import program_of
from symact.program.instructions import EXACT
from symact.program.program import Program

# Functions that are one operation, whose rules are found by matching their argument.
_MATCHED = frozenset(name for name, row in FUNCTIONS.items() if row.head and row.arity == 1 and name in EXACT)
_MATCHED -= {"exp", "abs"}
_HOLES = tuple(sympy.Symbol(name, real=True) for name in "abc")


@cache
def program_of_side(text: str) -> Program:
    """The program of one side of a rule in `a`, `b` and `c`."""
    names = {symbol.name: symbol for symbol in _HOLES}
    return program_of(parse_formula(text, names.get), tuple(names))


def _matched(table: FormTable, pattern: Form, form: Form, found: dict[str, Form]) -> bool:
    """Whether a form is of a pattern; binds the pattern's variables."""
    if pattern.kind == "hole":
        return found.setdefault(pattern.data, form) is form
    if pattern.kind == "sum" and len(pattern.data[1]) == 1 and pattern.data[1][0][0].kind == "hole":
        constant, ((hole, factor),) = pattern.data
        if hole.data not in found and factor < 0 and not leads_with_minus(form):
            return False
        inner = added(table, ((form, Fraction(1) / factor), (table.one, -constant / Fraction(factor))))
        return found.setdefault(hole.data, inner) is inner
    if pattern.kind != form.kind:
        return False
    if pattern.kind == "call":
        return pattern.data[0] == form.data[0] and all(
            _matched(table, part, own, found) for part, own in zip(pattern.data[1:], form.data[1:], strict=True)
        )
    if pattern.kind == "sum" and pattern.data[0] == form.data[0]:
        return _matched_parts(table, pattern.data[1], form.data[1], found)
    if pattern.kind == "product":
        return _matched_parts(table, pattern.data, form.data, found)
    return pattern is form


def _matched_parts(table: FormTable, parts: Sequence[Any], own: Sequence[Any], found: dict[str, Form]) -> bool:
    if len(parts) != len(own):
        return False
    for order in permutations(own):
        trial = dict(found)
        pairs = zip(parts, order, strict=True)
        if all(p == q and _matched(table, part, form, trial) for (part, p), (form, q) in pairs):
            found.update(trial)
            return True
    return False


@dataclass
class MatchedRule:
    """A rule whose left side is a function of a pattern.

    Attributes:
        head: the function.
        pattern: of its argument.
        text: what it is then, as the rule says it.
        guard: see `Rule`.
    """

    head: str
    pattern: Form
    text: str
    guard: str

    @property
    def right(self) -> Program:
        """What it is then; compiled when it is first asked for, for few rules are."""
        return program_of_side(self.text)

    @classmethod
    def compiled(
        cls, table: FormTable, evaluate: Callable[[Program, Sequence[Form]], Form], rule: Rule
    ) -> MatchedRule | None:
        """A rule made ready; None for those that hold by construction."""
        if rule.guard not in ("", "a != 0"):
            return None
        left = program_of_side(rule.left)
        if not left.value_operations:
            return None
        last = left.value_operations[-1]
        if last.name not in _MATCHED:
            return None
        (number,) = last.arguments
        holes = [table.hole(name) for name in "abc"]
        pattern = evaluate(replace(left, outputs=(number,)), holes)
        if pattern.kind == "product":
            return None
        return cls(last.name, pattern, rule.right, rule.guard)

    def match(self, table: FormTable, argument: Form) -> dict[str, Form] | None:
        """What the variables stand for, or None."""
        found: dict[str, Form] = {}
        if not _matched(table, self.pattern, argument, found):
            return None
        return found if not self.guard or found["a"].nonzero else None
