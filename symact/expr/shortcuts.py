"""Rules that say at sight which row an operator gives back: neutral elements, max(f, f), |f| of f that is not negative.

In: an operator and rows of a dag. Out: rows that need no evaluation and no comparison, because they are rows already.
Every rule holds between partial functions: both sides are undefined at the same points.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symact.expr.fields import Head
from symact.expr.kernels import Array
from symact.expr.tape import Tape

# Step -> the constant that gives the other argument back, by position.
NEUTRAL = {"add": {0: 0, 1: 0}, "sub": {1: 0}, "mul": {0: 1, 1: 1}, "div": {1: 1}, "pow": {1: 1}}
IDEMPOTENT = frozenset(["max", "min"])
# These give back what is not negative.
KEEPING = frozenset(["abs", "relu", "elu"])

# Which results are never negative: always, if both arguments are not, if one of two is not, or the first is not.
_ALWAYS = frozenset(
    [
        "abs",
        "relu",
        "exp",
        "cosh",
        "erfc",
        "erfcx",
        "i0e",
        "sigmoid",
        "softplus",
        "ndtr",
        "logcosh",
        "sqrt",
        "heaviside",
    ]
) | {"lt", "le", "eq", "ne", "and", "or"}
_BOTH = frozenset(["add", "mul", "div", "min"])
_FIRST = frozenset(
    ["sinh", "tanh", "asinh", "atan", "erf", "expm1", "i1e", "log1p", "elu", "selu", "swish", "gelu", "sign", "pow"]
)


def shortcut(head: Head, arguments: Array, constants: dict[int, int], nonnegative: Array) -> Array:
    """The row that each row ``(rows, arity)`` is by a rule, or -1.

    Args:
        head: the operator.
        arguments: rows of the dag.
        constants: row -> value of rows that are 0 or 1 everywhere.
        nonnegative: ``(dag rows,)`` rows known to be never negative.
    """
    found = np.full(len(arguments), -1)
    steps = head.tape.steps[: head.tape.value_steps]
    if len(steps) != 1 or head.slots or steps[0].arguments != tuple(range(head.arity)):
        return found
    name = steps[0].name
    if name in KEEPING:
        return np.where(nonnegative[arguments[:, 0]], arguments[:, 0], found)
    if name in IDEMPOTENT:
        return np.where(arguments[:, 0] == arguments[:, 1], arguments[:, 0], found)
    for position, value in NEUTRAL.get(name, {}).items():
        rows = [row for row, constant in constants.items() if constant == value]
        found = np.where(np.isin(arguments[:, position], rows), arguments[:, 1 - position], found)
    return found


def never_negative(tape: Tape, inputs: Sequence[Array]) -> Array:
    """``(rows,)`` whether results are never negative, from what is known of the inputs, step by step."""
    flags = list(inputs)
    for step in tape.steps[: tape.value_steps]:
        own = [flags[a] for a in step.arguments]
        nothing = np.zeros(1, bool)
        if step.name == "const":
            flags.append(np.array([bool(step.constant >= 0)]))  # type: ignore[operator]
        elif step.name in _ALWAYS or (step.name == "ipow" and int(step.constant) % 2 == 0):  # type: ignore[arg-type]
            flags.append(~nothing)
        elif step.name in _BOTH:
            flags.append(own[0] & own[1])
        elif step.name == "max":
            flags.append(own[0] | own[1])
        elif step.name == "where":
            flags.append(own[1] & own[2])
        else:
            flags.append(own[0] if step.name in _FIRST or step.name == "ipow" else nothing)
    return flags[tape.output]


def constant_of(head: Head) -> int | None:
    """0 or 1 where an operator is that constant, else None."""
    tape = head.tape
    step = tape.steps[tape.output - len(tape.inputs)] if tape.output >= len(tape.inputs) else None
    if not tape.total or step is None or step.name != "const":
        return None
    return int(step.constant) if step.constant in (0, 1) else None
