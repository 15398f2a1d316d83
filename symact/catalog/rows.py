"""Rows of the table of published functions -> expressions: at their default values, or with their parameters.

Published functions are compared on `INTERVAL`, where activation functions live; on a longer one float64 leaves its
range in the tails of many of them.
"""

from __future__ import annotations

from functools import cache

import sympy

from symact.errors import InputError
from symact.expr.formula_text import formula_text
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.published import Published, Setting, find_gate, find_published, published
from symact.expr.tree import Expr, parse

INTERVAL = (-30.0, 30.0)
VOCABULARY = Vocabulary(name="atlas", interval=INTERVAL)


def row_of(name: str) -> Published:
    """The row of a key, a name or an alias; gates come last.

    Raises:
        InputError: no published function, or more than one, is called so.
    """
    row = find_published(name) or find_gate(name)
    if row is None:
        raise InputError(f"no published function is called {name!r}; `symact atlas --find TEXT` searches")
    return row


@cache
def expression_of(key: str) -> Expr:
    """A published function at its default values."""
    row = published()[key]
    constants = {setting.name: _number(setting) for setting in row.settings}
    return parse(row.formula, Vocabulary(constants=constants))


def family_of(key: str) -> Expr:
    """A published function with its parameters as learnable ones, compared over their ranges."""
    row = published()[key]
    parameters = {s.name: Parameter(s.name, init=float(s.default), range=(s.low, s.high)) for s in row.settings}
    return parse(row.formula, Vocabulary(parameters=parameters))


def text_of(key: str) -> str:
    """A published function at its default values, as formula text."""
    row = published()[key]
    return (
        formula_text(family_of(key), {s.name: float(s.default) for s in row.settings}) if row.settings else row.formula
    )


def _number(setting: Setting) -> sympy.Rational:
    return sympy.Rational(setting.default.numerator, setting.default.denominator)
