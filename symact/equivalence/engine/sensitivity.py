"""Where an operator hides its arguments from float64: `informative_points`.

tanh(20) is 1 to the last bit whatever 20 stands for, sinh(20) is cosh(20), and 1e20 + x forgets x. ClassBuilder
that agree in float64 at such points need not be equal. A point reveals an operator when its result moves
with each argument and no argument is so large or so small that two different operators look alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np

from symact.arrays import Array
from symact.equivalence.numeric.float64 import Saturation, run
from symact.expr.functions import FUNCTIONS
from symact.program.instructions import CHOOSING
from symact.program.program import Program

_STEP = 2.0**-16
# An operator must move by a thousandth of a millionth of its argument's relative move ...
_SENSITIVE = 1e-9
# ... and these approach another function exponentially fast: exp(-2*11) is 3e-10.
_EXPONENTIAL = frozenset(name for name, row in FUNCTIONS.items() if row.exponential)
_LARGEST, _LARGEST_ALGEBRAIC = 11.0, 1e4
# Below this tanh(x) and atan(x), equal to third order, differ by less than 1e-11 of their size.
_SMALLEST = 2.0**-8
# Steps that choose, and those that may stand beside them without hiding anything.
_CHOICES = CHOOSING | {"add", "sub", "mul", "neg"}
# These only add, multiply or choose: what they hide, insensitivity shows; all others need the bounds.
_ARITHMETIC = _CHOICES | {"div", "ipow", "pow", "exp", "sqrt"}
_TIE = 1e-9


@dataclass(frozen=True)
class _Profile:
    """What the steps of a program say of where it hides its arguments.

    Attributes:
        names: of its steps, constants apart.
        pure: it only chooses, and adds.
        largest: arguments beyond it do not show; infinite where insensitivity tells.
        smallest: nor do those below.
        faint: tiny arguments are forgotten without any choice.
    """

    names: frozenset[str]
    pure: bool
    largest: float
    smallest: float
    faint: float


@lru_cache(maxsize=4096)
def _profile(program: Program) -> _Profile:
    names = frozenset(step.name for step in program.value_operations) - {"const"}
    bounded = not names <= _ARITHMETIC or len(names) > 1
    largest = _LARGEST if not names.isdisjoint(_EXPONENTIAL) else _LARGEST_ALGEBRAIC
    return _Profile(
        names,
        not names.isdisjoint(CHOOSING) and names <= _CHOICES,
        largest if bounded else np.inf,
        _SMALLEST if bounded else 0.0,
        # 0.2*x + 0.5 forgets a tiny x too; that is no choice.
        _SMALLEST if len(names) > 1 else 0.0,
    )


@cache
def _plain(points: int) -> Saturation:
    return Saturation(points, doubled=False)


@dataclass
class Sensitivity:
    """Results ``(rows, points)`` of operators at a few points.

    Attributes:
        values: the results.
        good: every argument that matters shows.
        matters: per argument, whether it matters at all. The branch that max does not take, or x in relu(x) for
            negative x, does not.
    """

    values: Array
    good: Array
    matters: list[Array]


def informative_points(parts: Sequence[tuple[Program, Sequence[Array]]], arity: int) -> Sensitivity:
    """Where results show their arguments, and where each argument matters.

    Args:
        parts: operators of one arity, and their inputs: one array ``(rows, points)`` per argument, then parameters,
            which may be broadcast. The rows of all follow one another in the answer.
        arity: how many of the inputs are arguments.
    """
    shape = parts[0][1][0].shape
    lengths = [len(inputs[0]) for _, inputs in parts]
    profiles = [_profile(program) for program, _ in parts]
    values = np.empty((sum(lengths), shape[1]))
    slices = [slice(end - n, end) for end, n in zip(itertools.accumulate(lengths), lengths, strict=True)]
    bounds = _plain(shape[1])
    for (program, inputs), own in zip(parts, slices, strict=True):
        values[own] = run(program, inputs, bounds)
    arguments = [np.concatenate([inputs[number] for _, inputs in parts]) for number in range(arity)]

    def each(attribute: str) -> Array:
        return np.repeat([getattr(profile, attribute) for profile in profiles], lengths)[:, None]

    pure, largest, smallest, faint = (each(name) for name in ("pure", "largest", "smallest", "faint"))
    good = np.ones(values.shape, bool)
    matters = []
    size = np.abs(values)
    lost = np.isnan(values)
    for number, argument in enumerate(arguments):
        change = np.empty_like(values)
        for (program, inputs), own in zip(parts, slices, strict=True):
            moved = list(inputs)
            moved[number] = inputs[number] * (1 + _STEP)
            change[own] = run(program, moved, bounds)
        change = np.abs(change - values)
        magnitude = np.abs(argument)
        good_here = (change > _SENSITIVE * _STEP * size) | (argument == 0) | lost
        good_here &= _moderate(magnitude, smallest, largest)
        mattering = ~pure | (change != 0) | (magnitude < faint)
        good &= good_here | ~mattering
        matters.append(mattering)
    # An undefined argument, or one that absorbs, determines the result whatever the others are.
    _note_determined(good, matters, [np.isnan(argument) & lost for argument in arguments], slice(None))
    for (program, inputs), own, profile in zip(parts, slices, profiles, strict=True):
        for part, most in _inner_operands(program):
            operand = run(part, inputs, bounds)
            good[own] &= _moderate(np.abs(operand), _SMALLEST, most) | (lost[own] & _undefined(inputs[:arity]))
        if arity == 2:
            _note_determined(good, matters, _absorbing(profile.names, inputs, values[own]), own)
    if arity == 2 and pure.any():
        first, second = arguments
        tied = (np.abs(first - second) <= _TIE * np.abs(first)) & (first != second) & pure
        good &= ~tied
        # What ties must both be known well.
        matters = [mattering | tied | ((first == second) & pure) for mattering in matters]
    return Sensitivity(values, good, matters)


def _moderate(magnitude: Array, smallest: Array | float, largest: Array | float) -> Array:
    moderate: Array = ((magnitude < largest) & (magnitude > smallest)) | (magnitude == 0) | np.isnan(magnitude)
    return moderate


def _undefined(arguments: Sequence[Array]) -> Array:
    undefined: Array = np.logical_or.reduce([np.isnan(argument) for argument in arguments])
    return undefined


def _note_determined(good: Array, matters: list[Array], determined: Sequence[Array], own: slice) -> None:
    """Note in place where some arguments determine the result, and only those matter."""
    if not len(determined):
        return
    decided = np.logical_or.reduce(determined)
    if decided.any():
        for mattering, here in zip(matters, determined, strict=True):
            mattering[own] = np.where(decided, here, mattering[own])
        good[own] |= decided


@lru_cache(maxsize=4096)
def _inner_operands(program: Program) -> tuple[tuple[Program, float], ...]:
    """What the functions inside a formula of several steps are applied to, with the largest size that shows.

    sinh(20 + x*x) and cosh(20 + x*x) are as alike as sinh and cosh of a sum that was made by other operators.
    """
    names = _profile(program).names
    if len(names) < 2 or names <= _ARITHMETIC:
        return ()
    known = len(program.inputs)
    return tuple(
        (replace(program, outputs=step.arguments[:1]), _LARGEST if step.name in _EXPONENTIAL else _LARGEST_ALGEBRAIC)
        for step in program.value_operations
        if step.name not in _ARITHMETIC and step.name != "const" and step.arguments[0] >= known
    )


def _absorbing(names: frozenset[str], inputs: Sequence[Array], values: Array) -> list[Array]:
    """Per argument, where the result is determined and this argument matters to that.

    A factor 0, an exponent 0 and a base 1 determine it alone; whether 0/b and 0**b are defined hangs on b as well.
    """
    first, second = inputs[:2]
    vanishing = (first == 0) & (values == 0)
    if "mul" in names:
        return [vanishing, (second == 0) & (values == 0)]
    if names == {"div"}:
        return [vanishing, vanishing]
    if names == {"pow"}:
        return [vanishing | ((first == 1) & (values == 1)), vanishing | ((second == 0) & (values == 1))]
    return []
