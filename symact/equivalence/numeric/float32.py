"""Programs in plain float32 with IEEE infinities, as a network would evaluate them, by NumPy.

`FLOAT32` has one row per instruction that back ends run; `values` takes other tables too (see `table.float32_rule`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from symact.arrays import Array
from symact.equivalence.numeric.special import special
from symact.expr.operators import Operator
from symact.program.pipeline import operator_program
from symact.program.program import Program

Row = Callable[..., Array]


def values(program: Program, inputs: Sequence[Array], table: Mapping[str, Row] | None = None) -> list[Array]:
    """Every value of a Program: its inputs, then one per operation.

    Args:
        program: over the instructions of the table.
        inputs: one float32 array per input, of as many dimensions; they broadcast.
        table: instruction -> how it is computed; `FLOAT32` without.
    """
    table = FLOAT32 if table is None else table
    found: list[Array] = list(inputs)
    shape = (1,) * inputs[0].ndim
    for step in program.value_operations:
        if step.name == "const":
            found.append(np.full(shape, step.number, np.float32))
        elif step.name == "ipow":
            found.append(found[step.arguments[0]] ** np.float32(step.number))
        else:
            found.append(table[step.name](*[found[a] for a in step.arguments]))
    return found


def applied(operator: Operator, arguments: Sequence[Array], parameters: Sequence[Array]) -> Array:
    """An operator of a grammar at argument values; `nary` ones fold."""
    program = operator_program(operator)
    if operator.kind != "nary":
        return values(program, [*arguments, *parameters])[program.output]
    result = arguments[0]
    for argument in arguments[1:]:
        result = values(program, [result, argument, *parameters])[program.output]
    return result


def initial(operator: Operator, dimensions: int) -> list[Array]:
    """The parameters of an operator at their initial values."""
    return [np.full((1,) * dimensions, parameter.init, np.float32) for parameter in operator.parameters]


_ONE, _TWO, _LOG_2 = np.float32(1), np.float32(2), np.float32(np.log(2.0))


def _softplus(a: Array) -> Array:
    return np.maximum(a, np.float32(0)) + np.log1p(np.exp(-np.abs(a)))


def _logcosh(a: Array) -> Array:
    size = np.abs(a)
    half = np.sinh(np.minimum(size, _ONE) / _TWO)
    return np.where(size < 1, np.log1p(_TWO * half * half), size + (np.log1p(np.exp(-_TWO * size)) - _LOG_2))


def _sinc(a: Array) -> Array:
    return np.where(a == 0, _ONE, np.sin(a) / np.where(a == 0, _ONE, a))


def _wide(function: Callable[[Array], Array]) -> Row:
    """Computed in float64, where float32 would cancel."""
    return lambda a: function(a.astype(float)).astype(np.float32)


def _sinc_grad(a: Array) -> Array:
    square = a * a
    safe = np.where(a == 0, 1.0, a)
    return np.where(
        square < 2.5e-3,
        -a / 3 * (1 - square / 10 * (1 - square / 28 * (1 - square / 54))),
        (np.cos(a) - np.sin(a) / safe) / safe,
    )


def _erfcx_grad(a: Array) -> Array:
    """By the asymptotic series of DLMF 7.12.1 where the difference cancels."""
    inverse = 0.5 / np.maximum(a, 50.0) ** 2
    far = -2 / np.sqrt(np.pi) * inverse * (1 - 3 * inverse * (1 - 5 * inverse * (1 - 7 * inverse)))
    slope: Array = np.where(a > 50, far, 2 * a * special.erfcx(a) - 2 / np.sqrt(np.pi))
    return slope


def _i0e_minus_i1e(a: Array) -> Array:
    """By the asymptotic series of DLMF 10.40.1 where the difference cancels."""
    large = np.maximum(a, 1e4)
    far = (1 + 3 / (8 * large)) / (2 * large * np.sqrt(2 * np.pi * large))
    difference: Array = np.where(a > 1e4, far, special.i0e(a) - special.i1e(a))
    return difference


# One row per instruction: arguments -> value.
FLOAT32: dict[str, Row] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "pow": np.power,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "max": np.maximum,
    "min": np.minimum,
    "lt": lambda a, b: (a < b).astype(np.float32),
    "le": lambda a, b: (a <= b).astype(np.float32),
    "eq": lambda a, b: (a == b).astype(np.float32),
    "where": lambda c, a, b: np.asarray(np.where(c != 0, a, b)),
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "erf": special.erf,
    "erfc": special.erfc,
    "erfcx": special.erfcx,
    "i0e": special.i0e,
    "i1e": special.i1e,
    "sigmoid": lambda a: _ONE / (_ONE + np.exp(-a)),
    "logsigmoid": lambda a: np.minimum(a, np.float32(0)) - np.log1p(np.exp(-np.abs(a))),
    "softplus": _softplus,
    "ndtr": special.ndtr,
    "log_ndtr": special.log_ndtr,
    "logcosh": _logcosh,
    "sinc": _sinc,
    "sinc_grad": _wide(_sinc_grad),
    "erfcx_grad": _wide(_erfcx_grad),
    "i1e_ratio": _wide(lambda a: np.where(a == 0, 0.5, special.i1e(a) / np.where(a == 0, 1.0, a))),
    "i0e_minus_i1e": _wide(_i0e_minus_i1e),
    "hypot1": lambda a: np.hypot(_ONE, a),
    "product_rest": lambda a, b: (a.astype(float) * b - a * b).astype(np.float32),
    "sum_rest": lambda a, b: (a.astype(float) + b - (a + b)).astype(np.float32),
    "sin_sum": lambda a, b: np.sin(a.astype(float) + b).astype(np.float32),
    "cos_sum": lambda a, b: np.cos(a.astype(float) + b).astype(np.float32),
}
