"""`Program`: a short list of elementwise operations in SSA form; the narrow waist of symact.

Everything before it makes Programs, identity and every back end read them, nothing else crosses. Value
numbers: the inputs come first (the variables `x`, `x` and `g`, or `a` and `b`; then the parameters, then `grad` in a
backward program), then one value per operation. An operation only reads smaller numbers.

There are two kinds. An *exact* Program is a formula as it is written: its constants are exact numbers, it may
hold macros, and it lists the formula's breakpoints. What back ends run has float constants and instructions
only; `expand` makes it of the former.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

import sympy

from symact.program.instructions import EXACT, INSTRUCTIONS

Constant: TypeAlias = "float | int | sympy.Expr"


class Operation(NamedTuple):
    """One step: `value = name(arguments)`.

    Attributes:
        name: of an instruction or macro.
        arguments: value numbers.
        value: the number of a `const`, exact (rational, pi or e) in an exact Program; the exponent of an `ipow`;
            else 0.
    """

    name: str
    arguments: tuple[int, ...] = ()
    value: Constant = 0.0

    @property
    def number(self) -> float:
        """The number of a constant in float64."""
        value = self.value
        return value if type(value) is float else _number(value)


@lru_cache(maxsize=65536)
def _number(value: Constant) -> float:
    return float(value)


@dataclass(frozen=True)
class Program:
    """Elementwise operations in SSA form.

    Attributes:
        inputs: names of the inputs: the variables, then parameters; a backward program adds `grad` last.
        operations: operation i defines the value number `len(inputs) + i`.
        outputs: value numbers; a forward program has one, a backward program one per
            differentiable input (the variables, then each parameter).
        breakpoints: of an exact Program: values at whose sign changes the function may pass from one analytic piece
            to another. What only they need comes after what the outputs need.
        total: of an exact Program: it does not mention its arguments, so it is defined where they are not.
        variables: how many inputs, from the first on, are what it is a function of: `x`; `x` and `g`; `a` and `b`.
            A variable is a tensor of the full shape, a parameter a number (or one per channel) that is broadcast.
    """

    inputs: tuple[str, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[int, ...]
    breakpoints: tuple[int, ...] = ()
    total: bool = False
    variables: int = 1
    _hash: int = field(default=0, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.inputs, self.operations, self.outputs)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the inputs that are neither variables nor gradients."""
        return tuple([name for name in self.inputs[self.variables :] if not name.startswith("grad")])

    @property
    def output(self) -> int:
        """The value number of the one output."""
        (output,) = self.outputs
        return output

    @cached_property
    def value_operations(self) -> tuple[Operation, ...]:
        """The operations up to the last one that an output needs; those after it serve the breakpoints alone."""
        return self.operations[: max(max(self.outputs) + 1 - len(self.inputs), 0)]

    @cached_property
    def breakpoint_operations(self) -> tuple[int, ...]:
        """The positions of the operations that the breakpoints need."""
        offset = len(self.inputs)
        needed: set[int] = set()
        waiting = list(self.breakpoints)
        while waiting:
            position = waiting.pop() - offset
            if position >= 0 and position not in needed:
                needed.add(position)
                waiting += self.operations[position].arguments
        return tuple(sorted(needed))

    @cached_property
    def length(self) -> int:
        """Operations that the outputs take, constants free."""
        return sum(operation.name != "const" for operation in self.value_operations)

    @property
    def cost(self) -> float:
        """Deterministic cost, the sum over the instruction set's costs; of a Program without macros."""
        return sum(INSTRUCTIONS[operation.name].cost for operation in self.operations)

    def __str__(self) -> str:
        names = [*self.inputs]
        lines = []
        for operation in self.operations:
            names.append(f"%{len(names)}")
            shown = [names[a] for a in operation.arguments]
            if operation.name in ("const", "ipow"):
                shown.append(repr(operation.value))
            lines.append(f"{names[-1]} = {operation.name}({', '.join(shown)})")
        lines.append("return " + ", ".join(names[output] for output in self.outputs))
        return "\n".join(lines)


def verify(program: Program, exact: bool = False) -> Program:
    """Check a Program and give it back; the gate between the stages of the compiler.

    Args:
        program: to check.
        exact: whether it is an exact one, with macros; else it is one that back ends run.

    Raises:
        ValueError: naming the operation that is wrong: unknown, wrong arity, reading a value that
            is not defined yet, or a constant that is not a float (not an exact number in an exact Program).
    """
    defined = len(program.inputs)
    rows = EXACT if exact else INSTRUCTIONS
    for operation in program.operations:
        name, arguments = operation.name, operation.arguments
        row = rows.get(name)
        if row is None:
            raise ValueError(f"%{defined}: unknown operation {name!r}")
        if len(arguments) != row.arity:
            raise ValueError(f"%{defined}: {name} takes {row.arity} arguments")
        for argument in arguments:
            if not 0 <= argument < defined:
                raise ValueError(f"%{defined}: {name} reads a value that is not defined yet")
        if name == "const" and not isinstance(operation.value, sympy.Expr if exact else float):
            wanted = "an exact number" if exact else "a float"
            raise ValueError(f"%{defined}: a constant is {wanted}, not {operation.value!r}")
        defined += 1
    if not 1 <= program.variables <= len(program.inputs):
        raise ValueError(f"{program.variables} of {len(program.inputs)} inputs cannot be variables")
    if any(not 0 <= output < defined for output in (*program.outputs, *program.breakpoints)):
        raise ValueError("an output is not defined")
    return program
