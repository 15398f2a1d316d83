"""Patterns over Programs, written as ordinary mathematics: `exp(u*u)*erfc(u)`.

In a pattern `u`, `v` and `w` stand for any value, `c` and `d` for any constant. Calls name
operations of the instruction set, `+ - * / **` are `add sub mul div pow`, and `u - 1` means
`u + (-1)`, as Programs have it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
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
# (values, arguments of an operation, variable -> value, which is added to) -> whether they match
Matcher: TypeAlias = Callable[["Values", tuple[int, ...], dict[str, int]], bool]


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


@cache
def matcher(wanted: Pattern) -> Matcher:
    """What tells whether the arguments of an operation are those of a pattern, and which values its variables are."""
    tests = [_test(term) for term in wanted.arguments]
    if len(tests) == 1:
        (only,) = tests
        return lambda values, arguments, found: only(values, arguments[0], found)
    if len(tests) == 3:
        return lambda values, arguments, found: all(
            test(values, argument, found) for test, argument in zip(tests, arguments, strict=True)
        )
    first, second = tests

    # A variable is settled before a pattern that may take it for another: a match is not taken back.
    if isinstance(wanted.arguments[0], Pattern) and isinstance(wanted.arguments[1], str):

        def both(values: Values, one: int, other: int, found: dict[str, int]) -> bool:
            return second(values, other, found) and first(values, one, found)

    else:

        def both(values: Values, one: int, other: int, found: dict[str, int]) -> bool:
            return first(values, one, found) and second(values, other, found)

    def in_order(values: Values, arguments: tuple[int, ...], found: dict[str, int]) -> bool:
        one, other = arguments
        return both(values, one, other, found)

    def in_any_order(values: Values, arguments: tuple[int, ...], found: dict[str, int]) -> bool:
        one, other = arguments
        before = found.copy() if found else None
        if both(values, one, other, found):
            return True
        found.clear()
        if before:
            found.update(before)
        return both(values, other, one, found)

    return in_any_order if wanted.commutative else in_order


def _test(wanted: Term) -> Callable[[Values, int, dict[str, int]], bool]:
    """The same of one argument."""
    if isinstance(wanted, str):
        return _constant(wanted) if wanted in CONSTANTS else lambda _, n, found: found.setdefault(wanted, n) == n
    if isinstance(wanted, float):
        return lambda values, number, _: values.number(number) == wanted
    matches, name = matcher(wanted), wanted.name

    def operation(values: Values, number: int, found: dict[str, int]) -> bool:
        defined = values.operation(number)
        if defined is None:
            return False
        if defined.name == name:
            return matches(values, defined.arguments, found)
        return name == "neg" and defined.name == "mul" and negated(values, number, found)

    def negated(values: Values, number: int, found: dict[str, int]) -> bool:
        """Whether `-2*w` is meant by `-u`: Programs keep signs in constant factors."""
        minus = values.negated_product(number)
        if minus is None:
            return False
        opposite, negative = minus
        inner = wanted.arguments[0]
        bound = isinstance(inner, str) and inner in found
        return (bound or negative) and matches(values, (opposite,), found)

    return operation


def _constant(name: str) -> Callable[[Values, int, dict[str, int]], bool]:
    return lambda values, n, found: values.number(n) is not None and found.setdefault(name, n) == n
