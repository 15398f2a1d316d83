"""The compiler, as one list of named passes.

    exact_program      SymPy of one operator -> exact Program (`from_sympy`), which identity reads
    operator_program   exact Program -> the Program that back ends run (`expand`), with stable rewrites
    lower              Expr -> Program: its operators' Programs, composed; rewrites across them
    backward           Program -> backward Program (`gradient`)

What comes after them lives in `backends`: a Program becomes a callable of tensors, or a fused kernel.

No SymPy object is made per expression: only an operator's formula is ever read.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from symact.expr.operators import INPUTS, Operator
from symact.expr.tree import Binding, Expr
from symact.program.builder import Emitter
from symact.program.continuation import without_points
from symact.program.expand import expand
from symact.program.from_sympy import program_of
from symact.program.program import Program


@lru_cache(maxsize=65536)
def exact_program(operator: Operator) -> Program:
    """The exact Program of one operator; of `nary` it is the fold step in `a` and `b`."""
    return program_of(operator.formula, operator.variables, tuple(parameter.name for parameter in operator.parameters))


@lru_cache(maxsize=65536)
def operator_program(operator: Operator) -> Program:
    """The Program of one operator that back ends run: inputs are its arguments, then its parameters."""
    return without_points(expand(exact_program(operator)))


@lru_cache(maxsize=65536)
def lower(expr: Expr, variables: int = 1) -> Program:
    """The forward Program of an expression: inputs `x`, or `x` and `g`, then its parameters; one output.

    Args:
        expr: the expression.
        variables: of how many inputs it is a function at least; it is one of two where it mentions `g`.
    """
    bindings = expr.bindings()
    names = tuple({p.name: None for binding in bindings for p in binding.parameters.values()})
    inputs = INPUTS[: max(variables, len(expr.inputs))]
    builder = Emitter((*inputs, *names), variables=len(inputs))
    number = {name: position for position, name in enumerate(builder.inputs)}
    return builder.build(_emitted(expr, builder, number, iter(bindings)))


def _emitted(node: Expr, builder: Emitter, number: dict[str, int], remaining: Iterator[Binding]) -> int:
    """The value number of a node; `number` holds those of the inputs, `remaining` the bindings from here on."""
    if node.operator.is_variable:
        return number[node.operator.name]
    uses = next(remaining).parameters
    own = tuple([number[uses[parameter.name].name] for parameter in node.operator.parameters])
    arguments = [_emitted(argument, builder, number, remaining) for argument in node.arguments]
    program = operator_program(node.operator)
    if node.operator.kind != "nary":
        return builder.inline(program, (*arguments, *own))[0]
    result = arguments[0]
    for argument in arguments[1:]:
        result = builder.inline(program, (result, argument, *own))[0]
    return result
