"""Building Programs.

`Builder` appends operations and shares those that are there already. `Emitter` is a `Builder` whose `emit` simplifies:
constants fold and rewrites apply. Since whole operators are inlined through it, a pattern is found across the operators
of a composition, and in derivative programs too. `Value` writes Programs as ordinary mathematics: `x * sigmoid(x)`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import cache

import sympy

from symact.program.instructions import EXACT, INSTRUCTIONS
from symact.program.mpmath_values import fold
from symact.program.patterns import CONSTANTS, Matcher, Pattern, Term, matcher
from symact.program.program import Operation, Program, verify
from symact.program.rewrites import REWRITES, Rewrite


class Builder:
    """Appends operations, sharing those that are already there (value numbering).

    Args:
        inputs: names of the inputs.
        variables: how many of them, from the first on, are variables.
    """

    def __init__(self, inputs: tuple[str, ...], variables: int = 1):
        self.inputs, self.variables = inputs, variables
        self.operations: list[Operation] = []
        # By value number: what defines it, None for an input.
        self._defined: list[Operation | None] = [None] * len(inputs)
        self._known: dict[tuple[str, tuple[int, ...], Hashable], int] = {}

    def emit(self, name: str, *arguments: int) -> int:
        """The value number of `name(arguments)`, new or shared."""
        if EXACT[name].commutative and arguments[0] > arguments[1]:
            arguments = (arguments[1], arguments[0])
        return self._share(Operation(name, arguments), "")

    def const(self, value: float) -> int:
        """The value number of a constant; 0.0 and -0.0 are two, every NaN is one."""
        value = math.nan if math.isnan(value) else float(value)
        return self._share(Operation("const", (), value), value.hex())

    def exact(self, value: sympy.Expr | int) -> int:
        """The value number of an exact constant."""
        number = sympy.Integer(value) if isinstance(value, int) else value
        return self._share(Operation("const", (), number), number)

    def whole_power(self, base: int, exponent: int) -> int:
        """The value number of an `ipow`."""
        return self._share(Operation("ipow", (base,), exponent), exponent)

    def inline(self, program: Program, values: tuple[int, ...]) -> tuple[int, ...]:
        """Append a whole program with `values` for its inputs; gives the numbers of its outputs."""
        numbers = list(values)
        for operation in program.operations:
            if operation.name == "const":
                numbers.append(self.const(operation.number))
            else:
                numbers.append(self.emit(operation.name, *[numbers[a] for a in operation.arguments]))
        return tuple(numbers[output] for output in program.outputs)

    def build(self, *outputs: int) -> Program:
        """The Program that back ends run, verified, without operations that no output needs."""
        operations, renumbered = self._needed(outputs)
        numbers = tuple([renumbered[output] for output in outputs])
        return verify(Program(self.inputs, operations, numbers, variables=self.variables))

    def build_exact(self, output: int, breakpoints: tuple[int, ...], total: bool) -> Program:
        """The exact Program, verified, without operations that neither the output nor a breakpoint needs."""
        operations, renumbered = self._needed((output, *breakpoints))
        ends = tuple([renumbered[value] for value in breakpoints])
        numbers = (renumbered[output],)
        return verify(Program(self.inputs, operations, numbers, ends, total, self.variables), exact=True)

    def _needed(self, outputs: tuple[int, ...]) -> tuple[tuple[Operation, ...], list[int]]:
        offset, operations = len(self.inputs), self.operations
        needed = [False] * (offset + len(operations))
        for output in outputs:
            needed[output] = True
        for number in range(len(needed) - 1, offset - 1, -1):
            if needed[number]:
                for argument in operations[number - offset].arguments:
                    needed[argument] = True
        renumber = list(range(offset))
        kept: list[Operation] = []
        is_moved = False
        for operation, wanted in zip(operations, needed[offset:], strict=True):
            renumber.append(offset + len(kept))
            if not wanted:
                is_moved = True
                continue
            if is_moved and operation.arguments:
                arguments = tuple([renumber[argument] for argument in operation.arguments])
                if arguments != operation.arguments:
                    operation = Operation(operation.name, arguments, operation.value)
            kept.append(operation)
        return tuple(kept), renumber

    def _share(self, operation: Operation, constant: Hashable) -> int:
        key = (operation.name, operation.arguments, constant)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = len(self._defined)
            self.operations.append(operation)
            self._defined.append(operation)
        return known


@cache
def _rows(name: str, heads: tuple[str, ...]) -> tuple[tuple[Matcher, Rewrite], ...]:
    """The rows that may match an operation whose arguments are defined by `heads`, in table order."""
    rows = [row for row in _by_name().get(name, ()) if _possible(row.pattern, heads)]
    return tuple((matcher(row.pattern), row) for row in rows)


@cache
def _by_name() -> dict[str, list[Rewrite]]:
    table: dict[str, list[Rewrite]] = {}
    for row in REWRITES:
        table.setdefault(row.pattern.name, []).append(row)
    return table


def _possible(wanted: Pattern, heads: tuple[str, ...]) -> bool:
    if all(map(_admits, wanted.arguments, heads)):
        return True
    return INSTRUCTIONS[wanted.name].commutative and all(map(_admits, wanted.arguments, reversed(heads)))


def _admits(term: Term, head: str) -> bool:
    if isinstance(term, Pattern):
        return term.name == head or (term.name == "neg" and head == "mul")
    return head == "const" if isinstance(term, float) or term in CONSTANTS else True


# Rewrites within rewrites; the table has no cycle, and this bounds what a new row could do.
MAXIMUM_DEPTH = 40


class Emitter(Builder):
    """A `Builder` that keeps what it builds stable.

    Attributes:
        stable: whether the table of rewrites is applied; constants fold in any case.
    """

    def __init__(self, inputs: tuple[str, ...], stable: bool = True, variables: int = 1):
        super().__init__(inputs, variables)
        self.stable = stable
        self._depth = 0
        self._simplified: dict[tuple[str, tuple[int, ...]], int] = {}

    def operation(self, number: int) -> Operation | None:
        """The operation that defines a value, or None for an input."""
        return self._defined[number]

    def number(self, value: int) -> float | None:
        """The value of a constant, or None."""
        operation = self._defined[value]
        return operation.number if operation is not None and operation.name == "const" else None

    def is_parameter(self, number: int) -> bool:
        """Whether an input is a parameter, and neither a variable nor a gradient."""
        return number >= self.variables and not self.inputs[number].startswith("grad")

    def negated_product(self, number: int) -> tuple[int, bool] | None:
        """For a product with a constant: minus it, and whether the constant is negative; else None."""
        operation = self.operation(number)
        assert operation is not None
        for factor, other in (operation.arguments, operation.arguments[::-1]):
            constant = self.number(factor)
            if constant is not None:
                return Builder.emit(self, "mul", other, self.const(-constant)), constant < 0
        return None

    def emit(self, name: str, *arguments: int) -> int:
        """The value number of `name(arguments)`, folded or rewritten where a row says so."""
        key = (name, arguments)
        known = self._simplified.get(key)
        if known is None:
            known = self._simplified[key] = self._simplify(name, arguments)
        return known

    def _simplify(self, name: str, arguments: tuple[int, ...]) -> int:
        defined = [self._defined[a] for a in arguments]
        heads = tuple([d.name if d is not None else "" for d in defined])
        if "const" in heads:
            numbers = [d.number for d in defined if d is not None and d.name == "const"]
            if len(numbers) == len(heads):
                folded = fold(name, numbers)
                if folded is not None:
                    return self.const(folded)
            if name == "where" and heads[0] == "const":
                return arguments[1 if numbers[0] != 0 else 2]
        if self.stable and self._depth < MAXIMUM_DEPTH:
            for matches, row in _rows(name, heads):
                found: dict[str, int] = {}
                if matches(self, arguments, found) and (row.when is None or row.when(self, found)):
                    self._depth += 1
                    try:
                        return self.instantiate(row.replacement, found)
                    finally:
                        self._depth -= 1
        return super().emit(name, *arguments)

    def copy(self, program: Program) -> list[int]:
        """Append a Program that is stable already, over the first inputs; the numbers of all its values."""
        numbers = list(range(len(program.inputs)))
        for operation in program.operations:
            if operation.name == "const":
                numbers.append(self.const(operation.number))
            else:
                numbers.append(super().emit(operation.name, *[numbers[a] for a in operation.arguments]))
        return numbers

    def instantiate(self, template: Term, values: dict[str, int]) -> int:
        """Emit a template with `values` for its variables."""
        if isinstance(template, str):
            return values[template]
        if isinstance(template, float):
            return self.const(template)
        return self.emit(template.name, *[self.instantiate(a, values) for a in template.arguments])

    def inputs_as_values(self) -> tuple[Value, ...]:
        """The inputs, ready to compute with."""
        return tuple(Value(self, number) for number in range(len(self.inputs)))


class Value:
    """A value of a Program under construction; arithmetic on it emits operations."""

    __slots__ = ("builder", "number")

    def __init__(self, builder: Emitter, number: int):
        self.builder, self.number = builder, number

    def _binary(self, name: str, other: Value | float, swapped: bool = False) -> Value:
        right = other.number if isinstance(other, Value) else self.builder.const(float(other))
        pair = (right, self.number) if swapped else (self.number, right)
        return Value(self.builder, self.builder.emit(name, *pair))

    def __add__(self, other: Value | float) -> Value:
        return self._binary("add", other)

    def __radd__(self, other: float) -> Value:
        return self._binary("add", other, True)

    def __sub__(self, other: Value | float) -> Value:
        return self._binary("sub", other)

    def __rsub__(self, other: float) -> Value:
        return self._binary("sub", other, True)

    def __mul__(self, other: Value | float) -> Value:
        return self._binary("mul", other)

    def __rmul__(self, other: float) -> Value:
        return self._binary("mul", other, True)

    def __truediv__(self, other: Value | float) -> Value:
        return self._binary("div", other)

    def __rtruediv__(self, other: float) -> Value:
        return self._binary("div", other, True)

    def __neg__(self) -> Value:
        return call("neg", self)


def call(name: str, *arguments: Value | float) -> Value:
    """`name(arguments)`; at least one argument is a `Value`, numbers become constants."""
    first = arguments[0]
    builder = first.builder if isinstance(first, Value) else next(a.builder for a in arguments if isinstance(a, Value))
    numbers = [a.number if isinstance(a, Value) else builder.const(float(a)) for a in arguments]
    return Value(builder, builder.emit(name, *numbers))
