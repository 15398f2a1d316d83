"""The published rule of AQuaSurF (arXiv:2301.05785): equal float32 outputs at 1,000 points of clip(N(0,1), -5, 5).

-0.0 counts as 0.0 and NaN as NaN. The rule separates equal functions that round differently, so its outcome hangs
on the kernels; those of the framework that the paper used are followed where they differ from ours.
Expressions whose arguments have the same bits share their evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from symact.arrays import Array
from symact.equivalence.numeric.float32 import FLOAT32, values
from symact.equivalence.numeric.samples import scattered
from symact.equivalence.table.representatives import ShapeExpressions
from symact.errors import InputError
from symact.expr.functions import SELU_ALPHA, SELU_SCALE
from symact.expr.operators import INPUTS, Operator, Vocabulary
from symact.expr.shape import Shape
from symact.expr.space import Space
from symact.program.pipeline import exact_program

POINTS = 1000
_BLOCK = 64
_ONE = np.float32(1)
_SCALE, _SCALE_ALPHA = np.float32(SELU_SCALE), np.float32(float(SELU_SCALE) * float(SELU_ALPHA))

# TensorFlow's kernels: ELU and SELU subtract 1 from exp, silu multiplies by its sigmoid, and pow is that of the C
# library, which works in double precision (so x**1 is x).
PUBLISHED: dict[str, Callable[..., Array]] = {
    **FLOAT32,
    "ne": lambda a, b: (a != b).astype(np.float32),
    "and": lambda a, b: ((a != 0) & (b != 0)).astype(np.float32),
    "or": lambda a, b: ((a != 0) | (b != 0)).astype(np.float32),
    "relu": lambda a: np.maximum(a, np.float32(0)),
    "heaviside": lambda a: (a > 0).astype(np.float32),
    "gelu": lambda a: a * FLOAT32["ndtr"](a),
    "elu": lambda a: np.where(a < 0, np.exp(a) - _ONE, a),
    "selu": lambda a: np.where(a < 0, _SCALE_ALPHA * (np.exp(a) - _ONE), _SCALE * a),
    "lgamma": special.gammaln,
    "swish": lambda a: a * FLOAT32["sigmoid"](a),
    "pow": lambda a, b: np.power(a.astype(float), b.astype(float)).astype(np.float32),
}

_MIXERS = np.random.default_rng(20260105).integers(1, 2**63, size=(2, POINTS), dtype=np.int64).astype(np.uint64) | 1


def normal_points(seed: int = 0) -> Array:
    """``(1000,)`` float32 draws of a standard normal variable, clipped to [-5, 5]."""
    return np.clip(np.random.default_rng(seed).standard_normal(POINTS), -5, 5).astype(np.float32)


def float32_labels(
    grammar: Vocabulary, space: Space, shapes: list[ShapeExpressions], progress: Callable[[int, int], Any]
) -> tuple[Array, Array]:
    """Labels by the published rule, and how many of the points each expression is undefined at.

    Args:
        grammar: parameters stand at their initial values.
        space: of fixed shapes.
        shapes: its members.
        progress: called with (done, total).

    Returns:
        ``(expressions,)`` labels in no particular order, ``(expressions,)`` numbers of NaN.

    Raises:
        InputError: the space holds `tree` shapes or parameters that are not shared.
    """
    if not space.numbered_by_slots:
        raise InputError("--equivalence float32 needs a space of fixed shapes and shared parameters; use exact")
    enumerator = _Float32Enumerator(grammar, normal_points())
    keys, undefined = [], []
    done, total = 0, space.count()
    for found in shapes:
        key, lost = enumerator.keys(found.shape)
        keys.append(key[found.prefix])
        undefined.append(lost[found.prefix])
        done += len(found.prefix)
        progress(min(done, total - 1), total)
    _, labels = np.unique(np.concatenate(keys), return_inverse=True)
    return labels, np.concatenate(undefined)


class _Float32Enumerator:
    """Float32 outputs of the expressions of shapes, each distinct one computed once."""

    def __init__(self, grammar: Vocabulary, x: Array):
        self.grammar, self.x = grammar, x
        self._values: dict[Shape, tuple[Array, Array]] = {}

    def values(self, shape: Shape) -> tuple[Array, Array]:
        """Distinct outputs ``(outputs, points)`` of a shape, and which of them each expression (prefix order) has."""
        if shape.is_leaf:
            return self._input(shape), np.zeros(1, np.int64)
        if shape not in self._values:
            parts, positions = [], []
            for block, position in self._blocks(shape):
                parts.append(block)
                positions.append(position)
            offsets = np.cumsum([0, *map(len, parts)])
            outputs = np.concatenate(parts)
            _, first, inverse = np.unique(hashes(outputs), return_index=True, return_inverse=True)
            position = np.concatenate([p + o for p, o in zip(positions, offsets, strict=False)])
            self._values[shape] = outputs[first], inverse[position]
        return self._values[shape]

    def _input(self, shape: Shape) -> Array:
        """``(1, points)`` values of an input."""
        return (self.x if shape.kind == INPUTS[0] else scattered(self.x))[None]

    def keys(self, shape: Shape) -> tuple[Array, Array]:
        """A number per expression that is equal for equal outputs, -0.0 being 0.0, and how many are NaN."""
        keys, lost = [], []
        for outputs, position in self._blocks(shape):
            keys.append(hashes(outputs + np.float32(0))[position])
            lost.append(np.isnan(outputs).sum(axis=1)[position])
        return np.concatenate(keys), np.concatenate(lost)

    def _blocks(self, shape: Shape) -> Any:
        """Per slice of expressions in prefix order: outputs of distinct argument tuples, and each expression's."""
        children = [self.values(child) for child in shape.children]
        if not children:
            yield self._input(shape), np.zeros(1, np.int64)
            return
        counts = [len(child[0]) for child in children]
        own = np.ravel_multi_index(np.ix_(*[child[1] for child in children]), counts).ravel()
        used, position = np.unique(own, return_inverse=True)
        digits = np.unravel_index(used, counts)
        for operator in self.grammar.of_kind(shape.kind):
            out = np.empty((len(used), POINTS), np.float32)
            for start in range(0, len(used), _BLOCK):
                part = slice(start, start + _BLOCK)
                out[part] = self._apply(operator, [c[0][d[part]] for c, d in zip(children, digits, strict=True)])
            yield out, position

    def _apply(self, operator: Operator, arguments: list[Array]) -> Array:
        program = exact_program(operator)
        own = [np.full((1, 1), p.init, np.float32) for p in operator.parameters]
        if operator.kind != "nary":
            return values(program, [*arguments, *own], PUBLISHED)[program.output]
        result = arguments[0]
        for argument in arguments[1:]:
            result = values(program, [result, argument, *own], PUBLISHED)[program.output]
        return result


def hashes(outputs: Array) -> Array:
    """``(outputs,)`` 64-bit numbers that are equal for equal bits, every NaN being one."""
    keys = np.empty(len(outputs), np.uint64)
    for start in range(0, len(outputs), _BLOCK):
        block = outputs[start : start + _BLOCK]
        bits = (
            np.ascontiguousarray(np.where(np.isnan(block), np.float32(np.nan), block)).view(np.uint32).astype(np.uint64)
        )
        bits *= bits + _MIXERS[1]
        keys[start : start + _BLOCK] = ((bits ^ (bits >> np.uint64(29))) * _MIXERS[0]).sum(axis=1)
    return keys
