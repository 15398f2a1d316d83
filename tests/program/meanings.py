"""What every instruction and macro means, in mpmath, and the points at which tables of them are checked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import mpmath
import sympy
from mpmath import mp, mpf

from symact.expr.formula import applied
from symact.expr.functions import FUNCTIONS, X
from symact.program.expand import expand
from symact.program.from_sympy import program_of
from symact.program.instructions import EXACT
from symact.program.mpmath_values import MEANING, at
from tests.equivalence.high_precision import value

# Zero, both sides of it down to where float64 ends, kinks and edges with their neighbours, tails until it overflows.
SIZES = (1e-300, 1e-30, 1e-8, 1e-3, 0.3, 0.5, 1 - 1e-9, 1.0, 1 + 1e-9, 1.25, 2.5, 3.0, 4.75, 7.25, 20.0, 30.0, 88.5)
TAILS = (104.0, 700.0, 745.5, 1e3, 1e5, 1e10, 1e30)
POINTS = (0.0, *SIZES, *TAILS, *(-size for size in (*SIZES, *TAILS)))
UNARY = sorted(name for name, row in EXACT.items() if row.arity == 1 and name != "ipow")
BINARY = sorted(name for name, row in EXACT.items() if row.arity == 2)
_LOGIC = {
    "ne": lambda a, b: mpf(a != b),
    "and": lambda a, b: mpf(a != 0 and b != 0),
    "or": lambda a, b: mpf(a != 0 or b != 0),
}


PAIRS = [
    (a, b) for a in (-3.0, -1.0, -0.5, 0.0, 1e-9, 0.7, 1.0, 2.0, 40.0) for b in (-2.0, -0.5, 0.0, 0.7, 1.0, 3.0, 40.0)
]


@cache
def meaning(name: str, *arguments: float) -> Any:
    """The value of an instruction or macro to some 200 digits; None where it is undefined."""
    with mp.workprec(2500):
        row = FUNCTIONS.get(name)
        exact = [mpf(argument) for argument in arguments]
        if row is not None and row.definition and row.arity == 1 and (abs(arguments[0]) <= 40 or name not in MEANING):
            return value(applied(row.definition, X), {"x": exact[0]})
        if name in _LOGIC:
            return _LOGIC[name](*exact)
        found = MEANING[name](*exact)
        return found if mpmath.isfinite(found) else None


def evaluated(formula: sympy.Basic, values: Mapping[sympy.Symbol, float]) -> float:
    """The value of unevaluated SymPy in float64; NaN where it is not finite."""
    program = expand(program_of(formula, tuple(symbol.name for symbol in values)))
    return at(program, *values.values())[0]
