"""Patterns of rules, and whether a form is of one.

In: the two sides of a rule as text; forms. Out: Programs; what the variables of a pattern stand for.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import permutations
from typing import Any

import sympy

from symact.equivalence.rules.forms import Form, Forms, leads_with_minus
from symact.expr.formula import parse_formula
from symact.program.from_sympy import program_of
from symact.program.program import Program

_HOLES = tuple(sympy.Symbol(name, real=True) for name in "abc")


@cache
def program_of_side(text: str) -> Program:
    """The program of one side of a rule in `a`, `b` and `c`."""
    names = {symbol.name: symbol for symbol in _HOLES}
    return program_of(parse_formula(text, names.get), tuple(names))


def matched(forms: Forms, pattern: Form, form: Form, found: dict[str, Form]) -> bool:
    """Whether a form is of a pattern; binds the pattern's variables."""
    if pattern.kind == "hole":
        return found.setdefault(pattern.data, form) is form
    if pattern.kind == "sum" and len(pattern.data[1]) == 1 and pattern.data[1][0][0].kind == "hole":
        constant, ((hole, factor),) = pattern.data
        if hole.data not in found and factor < 0 and not leads_with_minus(form):
            return False
        inner = forms.add(((form, Fraction(1) / factor), (forms.one, -constant / Fraction(factor))))
        return found.setdefault(hole.data, inner) is inner
    if pattern.kind != form.kind:
        return False
    if pattern.kind == "call":
        return pattern.data[0] == form.data[0] and all(
            matched(forms, part, own, found) for part, own in zip(pattern.data[1:], form.data[1:], strict=True)
        )
    if pattern.kind == "sum" and pattern.data[0] == form.data[0]:
        return _matched_parts(forms, pattern.data[1], form.data[1], found)
    if pattern.kind == "product":
        return _matched_parts(forms, pattern.data, form.data, found)
    return pattern is form


def _matched_parts(forms: Forms, parts: Sequence[Any], own: Sequence[Any], found: dict[str, Form]) -> bool:
    if len(parts) != len(own):
        return False
    for order in permutations(own):
        trial = dict(found)
        pairs = zip(parts, order, strict=True)
        if all(p == q and matched(forms, part, form, trial) for (part, p), (form, q) in pairs):
            found.update(trial)
            return True
    return False
