"""An expression as one exact Program in `x` alone, and a function's derivative as another.

This is what balls and intervals evaluate: the formula as its author wrote it, without the rewrites that kernels are
made of. A learnable parameter stands at its initial value in float32, as kernels get it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import sympy

from symact.expr import functions
from symact.expr.formula import applied
from symact.expr.tree import Expr, of_x_alone
from symact.program.builder import Builder
from symact.program.from_sympy import program_of
from symact.program.pipeline import exact_program
from symact.program.program import Program


def parameter_values(expr: Expr) -> dict[str, float]:
    """The initial value of every parameter, rounded to float32."""
    return {parameter.name: float(np.float32(parameter.init)) for parameter in expr.parameters}


def flat_program(expr: Expr, parameters: Mapping[str, float] | None = None) -> Program:
    """The exact Program of a whole expression; its one input is `x`.

    Args:
        expr: an expression.
        parameters: values of its parameters, by name; else their initial ones, in float32.
    """
    of_x_alone(expr, "a certificate")
    builder = Builder(("x",))
    known = {**parameter_values(expr), **(parameters or {})}
    remaining = iter(expr.bindings())

    def emit(node: Expr) -> int:
        if node.operator.is_variable:
            return 0
        uses = next(remaining).parameters
        own = [builder.exact(sympy.Rational(known[uses[p.name].name])) for p in node.operator.parameters]
        arguments = [emit(argument) for argument in node.arguments]
        program = exact_program(node.operator)
        if node.operator.kind != "nary":
            return _inlined(builder, program, (*arguments, *own))
        result = arguments[0]
        for argument in arguments[1:]:
            result = _inlined(builder, program, (result, argument, *own))
        return result

    return builder.build_exact(emit(expr), (), False)


def _inlined(builder: Builder, program: Program, values: tuple[int, ...]) -> int:
    numbers = list(values)
    for operation in program.value_operations:
        arguments = tuple(numbers[argument] for argument in operation.arguments)
        if operation.name == "const":
            numbers.append(builder.exact(sympy.Integer(0) + operation.value))
        elif operation.name == "ipow":
            numbers.append(builder.whole_power(arguments[0], int(operation.number)))
        else:
            numbers.append(builder.emit(operation.name, *arguments))
    return numbers[program.output]


@cache
def derivative_program(name: str) -> Program:
    """The exact Program of the derivative of a function of one argument, by its row in the table of functions.

    Raises:
        KeyError: the row gives no derivative.
    """
    row = functions.FUNCTIONS[name]
    if not row.derivative:
        raise KeyError(name)
    return program_of(applied(row.derivative, functions.X), ("x",))
