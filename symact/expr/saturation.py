"""Where an operator hides its arguments from float64: `revealing`.

tanh(20) is 1 to the last bit whatever 20 stands for, sinh(20) is cosh(20), and 1e20 + x forgets x. Functions
that agree in float64 at such points need not be equal. A point reveals an operator when its result moves
with each argument and no argument is so large or so small that two different operators look alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symact.expr.kernels import Array, Saturation, run
from symact.expr.tape import Tape

_STEP = 2.0**-16
# An operator must move by a thousandth of a millionth of its argument's relative move ...
_SENSITIVE = 1e-9
# ... and these approach another function exponentially fast: exp(-2*11) is 3e-10.
_EXPONENTIAL = frozenset(
    ["sinh", "cosh", "tanh", "sigmoid", "logsigmoid", "softplus", "elu", "selu", "swish", "expm1", "erf", "erfc", "erfcx", "ndtr", "log_ndtr", "gelu", "logcosh"]
)
_LARGEST, _LARGEST_ALGEBRAIC, _SMALLEST = 11.0, 1e4, 2.0**-16
# These only add, multiply or choose: what they hide, insensitivity shows; exp and the like need bounds.
_ARITHMETIC = frozenset(
    ["const", "add", "sub", "mul", "div", "neg", "ipow", "pow", "abs", "sign", "max", "min", "lt", "le", "eq", "ne", "and", "or", "where", "exp", "relu", "heaviside", "sqrt"]
)
_CHOOSING = frozenset(["max", "min", "where", "lt", "le", "eq", "ne", "and", "or", "abs", "sign", "relu", "heaviside"])
_BOUNDS = {count: Saturation(count, doubled=False) for count in (8,)}


def revealing(tape: Tape, arity: int, inputs: Sequence[Array], values: Array) -> Array:
    """Where results ``(rows, points)`` show their arguments.

    Args:
        tape: of the operator.
        arity: how many of the inputs are arguments.
        inputs: ``(rows, points)`` each, or broadcastable; arguments, then parameters.
        values: the results.
    """
    names = {step.name for step in tape.steps[: tape.value_steps]}
    bounds = _BOUNDS[values.shape[1]]
    good = np.ones(values.shape, bool)
    choosing = not names.isdisjoint(_CHOOSING)
    size = np.abs(values)
    for number in range(arity):
        argument = inputs[number]
        moved = list(inputs)
        moved[number] = argument * (1 + _STEP)
        change = np.abs(run(tape, moved, bounds) - values)
        sensitive = change > _SENSITIVE * _STEP * size
        if choosing:
            # A branch that is not taken hides its argument rightly, unless two branches tie.
            sensitive |= change == 0
        good &= sensitive | (argument == 0) | np.isnan(values)
        if not names <= _ARITHMETIC or len(names - {"const"}) > 1:
            largest = _LARGEST if not names.isdisjoint(_EXPONENTIAL | {"exp"}) else _LARGEST_ALGEBRAIC
            magnitude = np.abs(argument)
            good &= (magnitude < largest) & ((magnitude > _SMALLEST) | (magnitude == 0)) | np.isnan(magnitude)
    if choosing and arity == 2:
        difference = np.abs(inputs[0] - inputs[1])
        good &= (difference > 1e-9 * np.abs(inputs[0])) | (difference == 0)
    return good
