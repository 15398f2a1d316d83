"""What is known for sure of a function's sign and domain, from its formula alone.

In: an exact Program and what is known of its inputs. Out: the same of its result, a sum of four flags per row. A flag
that is not set says nothing. "Almost nowhere" is as identity means it: at single points, or for single values of
parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from symact.arrays import Array
from symact.expr.formula import applied
from symact.expr.functions import FUNCTIONS, Function, X
from symact.program.from_sympy import program_of
from symact.program.program import Operation, Program

# Defined almost everywhere on the interval; never negative, never positive where it is defined; zero almost nowhere.
DEFINED, ABOVE, BELOW, NONZERO = 1, 2, 4, 8
NOTHING = 0
_POSITIVE = ABOVE | NONZERO
_SIGNS = ABOVE | BELOW
_COUNT = 16

OF_VARIABLE = DEFINED | NONZERO


def of_slot(low: float) -> int:
    """What is known of a parameter whose range begins at `low`."""
    return DEFINED | NONZERO | (ABOVE if low >= 0 else 0)


def _negated(a: int) -> int:
    return a & ~_SIGNS | (ABOVE if a & BELOW else 0) | (BELOW if a & ABOVE else 0)


def _size(a: int) -> int:
    return a & (DEFINED | NONZERO) | ABOVE


def _sum(a: int, b: int) -> int:
    sign = a & b & _SIGNS
    return a & b & DEFINED | sign | ((a | b) & NONZERO if sign else 0)


def _product(a: int, b: int) -> int:
    above = (a & b & ABOVE) | (ABOVE if a & b & BELOW else 0)
    below = BELOW if (a & ABOVE and b & BELOW) or (a & BELOW and b & ABOVE) else 0
    return a & b & (DEFINED | NONZERO) | above | below


def _quotient(a: int, b: int) -> int:
    both = _product(a, b)
    return both & _SIGNS | a & NONZERO | (DEFINED if a & b & DEFINED and b & NONZERO else 0)


def _power(a: int, b: int) -> int:
    positive = a & _POSITIVE == _POSITIVE
    # Where it is defined at all, a power of what is not zero is not.
    return (DEFINED if positive and a & b & DEFINED else 0) | a & _POSITIVE


def _larger(a: int, b: int) -> int:
    positive = a & _POSITIVE == _POSITIVE or b & _POSITIVE == _POSITIVE
    nonzero = NONZERO if positive or a & b & NONZERO else 0
    return a & b & (DEFINED | BELOW) | (a | b) & ABOVE | nonzero


def _smaller(a: int, b: int) -> int:
    return _negated(_larger(_negated(a), _negated(b)))


def _truth(a: int, b: int) -> int:
    return a & b & DEFINED | ABOVE


# Instructions that are no functions of formulas; the flags of those follow from their sign and domain.
_UNARY: dict[str, Callable[[int], int]] = {"neg": _negated, "abs": _size}
_BINARY: dict[str, Callable[[int, int], int]] = {
    "add": _sum,
    "sub": lambda a, b: _sum(a, _negated(b)),
    "mul": _product,
    "div": _quotient,
    "pow": _power,
    "max": _larger,
    "min": _smaller,
    **dict.fromkeys(["lt", "le", "eq", "ne", "and", "or"], _truth),
}
# What has to be known of a quantity that a domain asks something of.
_NEEDED = {">": _POSITIVE, ">=": ABOVE, "!=": NONZERO}


def _of_function(row: Function, a: int) -> int:
    """What is known of a function of an argument of which flags `a` are known."""
    known = _of_formula(row.sign, a) & ~DEFINED if row.sign else NOTHING
    quantity, relation = row.edge
    sure = a & DEFINED
    if quantity:
        needed = _NEEDED[relation] | DEFINED
        sure = DEFINED if _of_formula(quantity, a) & needed == needed else 0
    return known | sure


def _of_formula(text: str, a: int) -> int:
    return int(of_result(_program(text), [np.array([a], np.uint8)])[0])


@cache
def _program(text: str) -> Program:
    return program_of(applied(text, X), ("x",))


@cache
def _table(name: str) -> Array | None:
    """The row of a step for all flags at once."""
    if name in _UNARY:
        return np.array([_UNARY[name](a) for a in range(_COUNT)], np.uint8)
    row = FUNCTIONS.get(name)
    if row is not None and row.arity == 1:
        return np.array([_of_function(row, a) for a in range(_COUNT)], np.uint8)
    if name in _BINARY:
        return np.array([[_BINARY[name](a, b) for b in range(_COUNT)] for a in range(_COUNT)], np.uint8)
    return None


def of_result(program: Program, inputs: Sequence[Array]) -> Array:
    """Flags of results, from ``(rows,)`` flags of the inputs (or ``(1,)``)."""
    known = list(inputs)
    for step in program.value_operations:
        known.append(_of_step(step, [known[a] for a in step.arguments]))
    return known[program.output]


def is_total(program: Program) -> bool:
    """Whether results are defined wherever the inputs are."""
    return bool(of_result(program, [np.array([DEFINED], np.uint8)] * len(program.inputs))[0] & DEFINED)


def _of_step(step: Operation, operands: list[Array]) -> Array:
    if step.name == "const":
        return np.array([_of_number(step)], np.uint8)
    if step.name == "ipow":
        even = int(step.number) % 2 == 0
        table = _table("abs") if even else None
        return operands[0] if table is None else table[operands[0]]
    if step.name == "where":
        condition, then, otherwise = operands
        return then & otherwise & (condition | ~np.uint8(DEFINED))
    table = _table(step.name)
    return np.zeros(1, np.uint8) if table is None else table[tuple(operands)]


def _of_number(step: Operation) -> int:
    value = step.number
    sign = (ABOVE if value >= 0 else 0) | (BELOW if value <= 0 else 0)
    return DEFINED | sign | (NONZERO if value != 0 else 0)
