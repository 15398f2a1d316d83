"""Adjoints: what the uses of a value contribute to its derivative, and how they are summed.

A branch that is not taken may be infinite or NaN there. Its adjoint is therefore not multiplied by
zero but *masked*: it carries the conditions under which it counts, and they are applied by a
`where` at the place where it meets other adjoints.

A divisor of an adjoint is carried along too, until it meets a derivative: that of `1/cosh(x)` and
of `log(cosh(x))` is then `sinh(x)/cosh(x)`, which a rewrite knows to be `tanh(x)`, where both parts
overflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from symact.program.builder import Emitter, Value, call

Mask: TypeAlias = tuple[int, bool]  # (value number of a condition, whether it has to hold)


@dataclass(frozen=True, slots=True)
class Adjoint:
    """What one use of a value contributes to its adjoint: `value/divisor` where all masks hold, else 0."""

    value: Value
    masks: tuple[Mask, ...] = ()
    divisor: Value | None = None


def masked(value: Value, condition: Value, holds: bool = True) -> Adjoint:
    """A contribution that counts where a condition holds, or else where it does not."""
    return Adjoint(value, ((condition.number, holds),))


def divided(total: Adjoint, local: Adjoint) -> Adjoint:
    """`total` times a local derivative, which is divided first."""
    assert total.divisor is not None
    value = local.value / total.divisor
    if local.divisor is not None:
        value = value / local.divisor
    return Adjoint(total.value * value, (*total.masks, *local.masks))


def scaled(total: Adjoint, local: Value) -> Adjoint:
    """`total` times a local derivative."""
    return divided(total, Adjoint(local)) if total.divisor is not None else Adjoint(total.value * local, total.masks)


def summed(builder: Emitter, terms: list[Adjoint], whole: bool = True) -> Adjoint:
    """One adjoint for several: with the masks and the divisor that all share, the others applied.

    Where every term has masks of its own, the sum gets one for all: what no branch that is taken needs is not
    multiplied by zero either. At an input, where nothing is multiplied any more (`whole` is False), it is left out.
    """
    if len(terms) == 1:
        return terms[0]
    shared = [mask for mask in terms[0].masks if all(mask in term.masks for term in terms[1:])]
    divisor = terms[0].divisor
    if divisor is not None and any(t.divisor is None or t.divisor.number != divisor.number for t in terms):
        divisor = None
    total: Value | None = None
    rest = [tuple(mask for mask in term.masks if mask not in shared) for term in terms]
    for term, own in zip(terms, rest, strict=True):
        value = applied(builder, Adjoint(term.value, own, None if divisor is not None else term.divisor))
        total = value if total is None else total + value
    assert total is not None
    needed = _any(builder, rest) if whole or divisor is not None else True
    if not isinstance(needed, bool):
        shared.append((needed.number, True))
    return Adjoint(total, tuple(shared), divisor)


def _any(builder: Emitter, cases: list[tuple[Mask, ...]]) -> Value | bool:
    """Whether all masks of one of the cases hold, decided condition by condition."""
    if not all(cases):
        return True
    if not cases:
        return False
    condition = cases[0][0][0]
    then, otherwise = (
        _any(
            builder,
            [tuple(m for m in case if m[0] != condition) for case in cases if (condition, not holds) not in case],
        )
        for holds in (True, False)
    )
    test = Value(builder, condition)
    if isinstance(then, bool) and isinstance(otherwise, bool):
        if then == otherwise:
            return then
        return test if then else call("where", test, 0.0, 1.0)
    if not isinstance(then, bool) and not isinstance(otherwise, bool) and then.number == otherwise.number:
        return then
    if then is True:
        return call("max", test, otherwise)
    if otherwise is False:
        return test * then
    return call("where", test, then, otherwise)


def applied(builder: Emitter, adjoint: Adjoint) -> Value:
    """An adjoint as one value, its divisor and its masks applied."""
    value = adjoint.value if adjoint.divisor is None else adjoint.value / adjoint.divisor
    for condition, holds in reversed(adjoint.masks):
        chosen = (Value(builder, condition), value, 0.0) if holds else (Value(builder, condition), 0.0, value)
        value = call("where", *chosen)
    return value
