"""Patterns over Programs, written as ordinary mathematics: `exp(u*u)*erfc(u)`.

In a pattern `u`, `v` and `w` stand for any value, `c` and `d` for any constant. Calls name
operations of the instruction set, `+ - * / **` are `add sub mul div pow`, and `u - 1` means
`u + (-1)`, as Programs have it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from typing import Protocol, TypeAlias

from symact.program.instructions import INSTRUCTIONS
from symact.program.program import Operation

_OPERATORS: dict[type, str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
_COMPARISONS: dict[type, str] = {ast.Lt: "lt", ast.Eq: "eq"}
CONSTANTS = ("c", "d")


@dataclass(frozen=True, slots=True)
class Pattern:
    """An operation whose arguments are patterns, variables (str) or numbers."""

    name: str
    arguments: tuple[Term, ...]

    @property
    def commutative(self) -> bool:
        """Whether its two arguments may be exchanged."""
        return INSTRUCTIONS[self.name].commutative


Term: TypeAlias = Pattern | str | float


class Values(Protocol):
    """What matching asks of a Program under construction."""

    def operation(self, number: int) -> Operation | None:
        """The operation that defines a value, or None for an input."""

    def number(self, value: int) -> float | None:
        """The value of a constant, or None."""

    def is_parameter(self, number: int) -> bool:
        """Whether an input is a parameter, and neither a variable nor a gradient."""

    def negated_product(self, number: int) -> tuple[int, bool] | None:
        """For a product with a constant: minus it, and whether the constant is negative; else None."""


@cache
def pattern(text: str) -> Term:
    """Read a pattern.

    Raises:
        ValueError: `text` names an operation that is not in the instruction set.
    """
    return _read(ast.parse(text.strip(), mode="eval").body)


def _read(node: ast.expr) -> Term:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return name
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _read(operand)
            return -inner if isinstance(inner, float) else Pattern("neg", (inner,))
        case ast.BinOp(op=operator, left=left, right=right):
            first, second = _read(left), _read(right)
            if isinstance(operator, ast.Sub) and isinstance(second, float):
                return Pattern("add", (first, -second))
            return Pattern(_OPERATORS[type(operator)], (first, second))
        case ast.Compare(left=left, ops=[comparison], comparators=[right]):
            return Pattern(_COMPARISONS[type(comparison)], (_read(left), _read(right)))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            if name not in INSTRUCTIONS or INSTRUCTIONS[name].arity != len(arguments):
                raise ValueError(f"{name} with {len(arguments)} arguments is no operation")
            return Pattern(name, tuple(_read(argument) for argument in arguments))
    raise ValueError(f"no pattern: {ast.unparse(node)}")


def matches(values: Values, wanted: Pattern, arguments: tuple[int, ...]) -> dict[str, int] | None:
    """What the variables of `wanted` stand for, given that its arguments are these; None where they do not match."""
    found: dict[str, int] = {}
    return found if _match_arguments(values, wanted, arguments, found) else None


def _match_arguments(values: Values, wanted: Pattern, arguments: tuple[int, ...], found: dict[str, int]) -> bool:
    terms = wanted.arguments
    if len(terms) == 1:
        return _match(values, terms[0], arguments[0], found)
    if len(terms) == 3:
        return all(_match(values, term, a, found) for term, a in zip(terms, arguments, strict=True))
    first, second = arguments
    if not wanted.commutative:
        return _match(values, terms[0], first, found) and _match(values, terms[1], second, found)
    before = found.copy()
    if _match(values, terms[0], first, found) and _match(values, terms[1], second, found):
        return True
    found.clear()
    found.update(before)
    return _match(values, terms[0], second, found) and _match(values, terms[1], first, found)


def _match(values: Values, wanted: Term, number: int, found: dict[str, int]) -> bool:
    if type(wanted) is str:
        if wanted in CONSTANTS and values.number(number) is None:
            return False
        return found.setdefault(wanted, number) == number
    operation = values.operation(number)
    if operation is None:
        return False
    if type(wanted) is float:
        return operation.name == "const" and operation.value == wanted
    assert isinstance(wanted, Pattern)
    if operation.name != wanted.name:
        return wanted.name == "neg" and operation.name == "mul" and _match_negated(values, wanted, number, found)
    return _match_arguments(values, wanted, operation.arguments, found)


def _match_negated(values: Values, wanted: Pattern, number: int, found: dict[str, int]) -> bool:
    """Whether `-2*w` is meant by `-u`: Programs keep signs in constant factors."""
    inner = wanted.arguments[0]
    negated = values.negated_product(number)
    if negated is None:
        return False
    opposite, negative = negated
    bound = isinstance(inner, str) and inner in found
    return (bound or negative) and _match(values, inner, opposite, found)
