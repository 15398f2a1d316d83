"""The derivative of an instruction as a Program, read off the table of functions.

In: an instruction's name. Out: the Program of what `expr.functions` says its derivative is. `gradient`, `taylor` and
`continuation` take it where they know nothing better, so that a new instruction needs no row there.
"""

from __future__ import annotations

from functools import cache

from symact.expr.formula import applied
from symact.expr.functions import FUNCTIONS, X
from symact.program.expand import expand
from symact.program.from_sympy import program_of
from symact.program.instructions import INSTRUCTIONS
from symact.program.program import Program

DIFFERENTIABLE = frozenset(name for name in INSTRUCTIONS if name in FUNCTIONS and FUNCTIONS[name].derivative)


@cache
def derivative(name: str) -> Program:
    """The derivative of a `DIFFERENTIABLE` instruction of one argument, `x`, as back ends run it."""
    return expand(program_of(applied(FUNCTIONS[name].derivative, X), ("x",)))
