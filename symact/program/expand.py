"""Exact Program -> the Program that back ends run: float constants, macros written out, stable rewrites applied."""

from __future__ import annotations

from symact.program.builder import Emitter, Value, call
from symact.program.from_sympy import LARGEST_WHOLE_POWER
from symact.program.instructions import MACROS
from symact.program.patterns import pattern
from symact.program.program import Operation, Program


def expand(program: Program) -> Program:
    """An exact Program over the instructions that back ends run."""
    builder = Emitter(program.inputs, variables=program.variables)
    numbers = list(range(len(program.inputs)))
    for operation in program.value_operations:
        numbers.append(_emit(builder, operation, [numbers[a] for a in operation.arguments]))
    return builder.build(*[numbers[output] for output in program.outputs])


def _emit(builder: Emitter, operation: Operation, arguments: list[int]) -> int:
    if operation.name == "const":
        return builder.const(operation.number)
    if operation.name == "ipow":
        return _rational_power(Value(builder, arguments[0]), int(operation.number), 1).number
    if operation.name == "pow":
        exponent = builder.number(arguments[1])
        if exponent is not None and abs(exponent) <= LARGEST_WHOLE_POWER and (2 * exponent).is_integer():
            return _rational_power(Value(builder, arguments[0]), int(2 * exponent), 2).number
    macro = MACROS.get(operation.name)
    if macro is None:
        return builder.emit(operation.name, *arguments)
    return builder.instantiate(pattern(macro.expansion), dict(zip("uv", arguments, strict=False)))


def _rational_power(base: Value, numerator: int, denominator: int) -> Value:
    """`base**(numerator/denominator)` for denominator 1 or 2, by repeated squaring."""
    if numerator % denominator == 0:
        numerator, denominator = numerator // denominator, 1
    if numerator < 0:
        return 1.0 / _rational_power(base, -numerator, denominator)
    whole, half = divmod(numerator, denominator)
    result: Value | None = None
    square = base
    while whole:
        if whole & 1:
            result = square if result is None else result * square
        whole >>= 1
        if whole:
            square = square * square
    if half:
        root = call("sqrt", base)
        result = root if result is None else result * root
    return result if result is not None else base * 0.0 + 1.0
