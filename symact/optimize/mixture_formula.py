"""Formulas of mixtures: normalized non-negative sums, over functions or over a grammar's operators.

In: functions, or the choices that are left in every slot of a shape. Out: a formula `Expr` whose
weights are positive parameters marked `mixture`, one per layer, and the way back: weights by name.

    A(x) = sum_i P_i f_i(x),  P_i = w_i / sum_j w_j,  w_i > 0     (Bansal 2022)

A cell writes such a sum in every slot of a shape (GRAFS, Strack, Safari & Hutter 2024,
arXiv:2408.06820); what an operator gives is clipped, so that no branch drowns the others. The mean of many
operators is flat and has an offset; where GRAFS's networks normalize after every layer, a cell carries the shift and
the factor that give it mean 0 and deviation 1 for normal inputs and its first weights. Without them a deep
network of cells stands still.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from symact.equivalence.numeric import float32
from symact.errors import InputError
from symact.expr.formula import MAXIMUM_LENGTH
from symact.expr.operators import Operator, Parameter, Vocabulary
from symact.expr.shape import Shape
from symact.expr.tree import Expr, parse
from symact.optimize.function_features import outputs

# Choices left in every slot, in prefix order: operator names.
Choices = tuple[tuple[str, ...], ...]


def weighted_sum(terms: Mapping[str, str], vocabulary: Vocabulary, initial: Mapping[str, float] | None = None) -> Expr:
    """The mixture of some functions.

    Args:
        terms: parameter name -> formula in `x`.
        vocabulary: what the formulas may name.
        initial: parameter name -> weight at the start; equal without.
    """
    if len(terms) == 1:
        return parse(next(iter(terms.values())), vocabulary)
    return _parsed(_normalized(terms), list(terms), vocabulary, initial)


def cell(shape: Shape, choices: Choices, vocabulary: Vocabulary, bound: float, initial: Mapping[str, float]) -> Expr:
    """The mixture over the operators that are left in every slot of a shape; discrete where one is left.

    Args:
        shape: of unary and binary slots.
        choices: the operators left in each.
        vocabulary: of the operators.
        bound: what an operator gives is clipped to [-bound, bound].
        initial: parameter name -> weight at the start; 1 without.

    Raises:
        InputError: its formula would be too long.
    """
    if all(len(names) == 1 for names in choices):
        return shape.build([vocabulary.operators[names[0]] for names in choices])
    slots = iter(range(len(choices)))
    names: list[str] = []

    def write(part: Shape) -> str:
        if part.is_leaf:
            return part.kind
        slot = next(slots)
        arguments = ", ".join([write(child) for child in part.children])
        if len(choices[slot]) == 1:
            return f"{choices[slot][0]}({arguments})"
        terms = {weight(slot, name): f"max(min({name}({arguments}), {bound!r}), -{bound!r})" for name in choices[slot]}
        names.extend(terms)
        text = _normalized(terms)
        if len(text) > MAXIMUM_LENGTH:
            raise InputError(f"mixture: a cell over {shape} is too large; use a smaller space or fewer operators")
        return text

    text = write(shape)
    values = outputs([_parsed(text, names, vocabulary, initial)])[0].astype(float)
    shift, spread = float(f"{values.mean():.4g}"), float(f"{max(values.std(), 1e-2):.4g}")
    return _parsed(
        f"({text} - {shift!r})/{spread!r}" if shift >= 0 else f"({text} + {-shift!r})/{spread!r}",
        names,
        vocabulary,
        initial,
    )


def weight(slot: int, name: str) -> str:
    """The name of the weight of an operator in a slot."""
    return f"w{slot}_{name}"


def usable_operators(vocabulary: Vocabulary, kind: str) -> tuple[str, ...]:
    """The operators of a kind that give a finite number for a thousand normal arguments, and for 0.

    A pole at 0 that is clipped is a jump from one bound to the other, which no gradient sees: with division or the
    reciprocal among its operators a deep network of cells does not train.
    """
    generator = np.random.default_rng(0)
    first, second = generator.standard_normal((2, 1, 1000)).astype(np.float32) * 2
    first[0, :20], second[0, 10:30] = 0.0, 0.0
    return tuple(o.name for o in vocabulary.of_kind(kind) if _is_finite(o, vocabulary, first, second))


def _is_finite(operator: Operator, vocabulary: Vocabulary, first: np.ndarray, second: np.ndarray) -> bool:
    arguments = [first] if operator.arity == 1 else [first, second]
    with np.errstate(all="ignore"):
        return bool(np.isfinite(float32.applied(operator, arguments, float32.initial(operator, 2))).all())


def proportions(constants: Sequence[Mapping[str, object]]) -> dict[str, float]:
    """Learned weights as shares, averaged over sites: parameter name -> mean of w_i / sum of its slot."""
    totals: dict[str, list[float]] = {}
    for site in constants:
        for name, share in site_proportions(site).items():
            totals.setdefault(name, []).append(share)
    return {name: float(np.mean(shares)) for name, shares in totals.items()}


def site_proportions(constants: Mapping[str, object]) -> dict[str, float]:
    """Learned weights of one site as shares of their slot; what is not a finite weight counts nothing."""
    weights: dict[str, float] = {}
    for name, value in constants.items():
        if name.startswith("w") and "_" in name:
            mean = float(np.mean(np.asarray(value, dtype=float)))
            weights[name] = mean if np.isfinite(mean) and mean > 0 else 0.0
    sums: dict[str, float] = {}
    for name, value in weights.items():
        sums[slot_of(name)] = sums.get(slot_of(name), 0.0) + value
    return {name: value / (sums[slot_of(name)] or 1.0) for name, value in weights.items()}


def slot_of(name: str) -> str:
    """The part of a weight's name that says which sum it belongs to."""
    return name.partition("_")[0]


def mixed(text: str) -> tuple[str, ...]:
    """The functions that the formula of `weighted_sum` mixes; none where it is another formula."""
    head, _, tail = text.rpartition(")/(")
    names = tail.removesuffix(")").split(" + ")
    terms, rest = {}, head.removeprefix("(") + " + "
    for name, following in zip(names, [*names[1:], ""], strict=True):
        formula, _, after = rest.removeprefix(f"{name}*(").partition(f") + {following}*(" if following else ") + ")
        terms[name], rest = formula, f"{following}*({after}"
    return tuple(terms.values()) if _normalized(terms) == text else ()


def _normalized(terms: Mapping[str, str]) -> str:
    total = " + ".join(f"{name}*({text})" for name, text in terms.items())
    return f"({total})/({' + '.join(terms)})"


def _parsed(text: str, names: Sequence[str], vocabulary: Vocabulary, initial: Mapping[str, float] | None) -> Expr:
    weights = {
        name: Parameter(name, init=float((initial or {}).get(name, 1.0)), positive=True, mixture=True, range=(0.1, 3.0))
        for name in names
    }
    return parse(text, replace(vocabulary, parameters={**vocabulary.parameters, **weights}))
