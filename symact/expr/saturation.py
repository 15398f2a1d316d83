"""Where an operator hides its arguments from float64: `revealing`.

tanh(20) is 1 to the last bit whatever 20 stands for, sinh(20) is cosh(20), and 1e20 + x forgets x. Functions
that agree in float64 at such points need not be equal. A point reveals an operator when its result moves
with each argument and no argument is so large or so small that two different operators look alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from symact.expr.kernels import Array, Saturation, run
from symact.expr.tape import Tape

_STEP = 2.0**-16
# An operator must move by a thousandth of a millionth of its argument's relative move ...
_SENSITIVE = 1e-9
# ... and these approach another function exponentially fast: exp(-2*11) is 3e-10.
_EXPONENTIAL = frozenset(
    ["sinh", "cosh", "tanh", "sigmoid", "logsigmoid", "softplus", "elu", "selu", "swish", "expm1", "erf", "erfc"]
) | {"erfcx", "ndtr", "log_ndtr", "gelu", "logcosh"}
_LARGEST, _LARGEST_ALGEBRAIC = 11.0, 1e4
# Below this tanh(x) and atan(x), equal to third order, differ by less than 1e-11 of their size.
_SMALLEST = 2.0**-8
# Steps that choose, and those that may stand beside them without hiding anything.
_CHOOSING = frozenset(["max", "min", "where", "lt", "le", "eq", "ne", "and", "or", "abs", "sign", "relu", "heaviside"])
_CHOICES = _CHOOSING | {"add", "sub", "mul", "neg"}
# These only add, multiply or choose: what they hide, insensitivity shows; all others need the bounds.
_ARITHMETIC = _CHOICES | {"div", "ipow", "pow", "exp", "sqrt"}
_TIE = 1e-9


def revealing(tape: Tape, arity: int, inputs: Sequence[Array], values: Array) -> tuple[Array, list[Array]]:
    """Where results show their arguments, and where each argument matters at all.

    Args:
        tape: of the operator.
        arity: how many of the inputs are arguments.
        inputs: ``(rows, points)`` each, or broadcastable; arguments, then parameters.
        values: the results ``(rows, points)``.

    Returns:
        ``(rows, points)`` bool: every argument that matters shows; and one such array per argument: it matters. The
        branch that max does not take, or x in relu(x) for negative x, does not.
    """
    names = {step.name for step in tape.steps[: tape.value_steps]} - {"const"}
    bounds = Saturation(values.shape[1], doubled=False)
    good = np.ones(values.shape, bool)
    matters = []
    pure = not names.isdisjoint(_CHOOSING) and names <= _CHOICES
    size = np.abs(values)
    for number in range(arity):
        argument = inputs[number]
        magnitude = np.abs(argument)
        moved = list(inputs)
        moved[number] = argument * (1 + _STEP)
        change = np.abs(run(tape, moved, bounds) - values)
        good_here = (change > _SENSITIVE * _STEP * size) | (argument == 0) | np.isnan(values)
        if not names <= _ARITHMETIC or len(names) > 1:
            largest = _LARGEST if not names.isdisjoint(_EXPONENTIAL | {"exp"}) else _LARGEST_ALGEBRAIC
            good_here &= ((magnitude < largest) & (magnitude > _SMALLEST)) | (magnitude == 0) | np.isnan(magnitude)
        mattering = np.ones(values.shape, bool)
        if pure:
            # 0.2*x + 0.5 forgets a tiny x too; that is no choice.
            mattering = (change != 0) | ((magnitude < _SMALLEST) & (len(names) > 1))
        good &= good_here | ~mattering
        matters.append(mattering)
    for operand, largest in _inner_operands(tape, names, inputs, bounds):
        magnitude = np.abs(operand)
        good &= ((magnitude < largest) & (magnitude > _SMALLEST)) | (magnitude == 0) | np.isnan(magnitude)
    # An undefined argument, or one that absorbs, settles the result whatever the others are.
    undefined = [np.isnan(argument) & np.isnan(values) for argument in inputs[:arity]]
    for settled in filter(None, (undefined, _absorbing(names, arity, inputs, values))):
        any_settled = np.logical_or.reduce(settled)
        matters = [np.where(any_settled, own, mattering) for own, mattering in zip(settled, matters, strict=True)]
        good |= any_settled
    if pure and arity == 2:
        tied = (np.abs(inputs[0] - inputs[1]) <= _TIE * np.abs(inputs[0])) & (inputs[0] != inputs[1])
        good &= ~tied
        # What ties must both be known well.
        matters = [mattering | tied | (inputs[0] == inputs[1]) for mattering in matters]
    return good, matters


def _inner_operands(
    tape: Tape, names: set[str], inputs: Sequence[Array], bounds: Saturation
) -> Iterator[tuple[Array, float]]:
    """What the functions inside a formula of several steps are applied to, with the largest size that shows.

    sinh(20 + x*x) and cosh(20 + x*x) are as alike as sinh and cosh of a sum that was made by other operators.
    """
    if len(names) < 2 or names <= _ARITHMETIC:
        return
    known = len(tape.inputs)
    for step in tape.steps[: tape.value_steps]:
        if step.name not in _ARITHMETIC and step.name != "const" and step.arguments[0] >= known:
            operand = run(replace(tape, output=step.arguments[0]), inputs, bounds)
            yield operand, _LARGEST if step.name in _EXPONENTIAL else _LARGEST_ALGEBRAIC


def _absorbing(names: set[str], arity: int, inputs: Sequence[Array], values: Array) -> list[Array]:
    """Per argument, where the result is settled and this argument matters to that.

    A factor 0, an exponent 0 and a base 1 settle it alone; whether 0/b and 0**b are defined hangs on b as well.
    """
    if arity != 2:
        return []
    first, second = inputs[:2]
    vanishing = (first == 0) & (values == 0)
    if "mul" in names:
        return [vanishing, (second == 0) & (values == 0)]
    if names == {"div"}:
        return [vanishing, vanishing]
    if names == {"pow"}:
        return [vanishing | ((first == 1) & (values == 1)), vanishing | ((second == 0) & (values == 1))]
    return []
