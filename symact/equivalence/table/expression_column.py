"""The texts of all expressions of a shape as one Arrow column, joined a block at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symact.arrays import Array
from symact.expr.operators import KINDS, Vocabulary
from symact.expr.shape import Shape


def enumeration_axes(shape: Shape) -> list[int]:
    """Prefix positions of the slots in enumeration order: n-ary first, then binary, then unary."""
    slots = shape.slots()
    return [i for kind in KINDS for i, slot in enumerate(slots) if slot.kind == kind]


def expression_texts(grammar: Vocabulary, shape: Shape) -> pa.Array:
    """Every expression of a shape, as written, in enumeration order and regardless of forbidden nestings."""
    axes = enumeration_axes(shape)
    texts = _prefix_texts(grammar, shape, {})
    if axes == sorted(axes):
        return texts
    counts = [len(grammar.of_kind(slot.kind)) for slot in shape.slots()]
    order = np.arange(int(np.prod(counts))).reshape(counts).transpose(axes).ravel()
    return texts.take(pa.array(order))


def _prefix_texts(grammar: Vocabulary, shape: Shape, known: dict[Shape, pa.Array]) -> pa.Array:
    if shape.is_leaf:
        return pa.array([shape.kind])
    if shape not in known:
        inner = _arguments([_prefix_texts(grammar, child, known) for child in shape.children])
        names = [operator.name + "(" for operator in grammar.of_kind(shape.kind)]
        if len(inner) == 1:
            known[shape] = pa.array([f"{name}{inner[0]})" for name in names])
        else:
            known[shape] = pa.concat_arrays([pc.binary_join_element_wise(name, inner, ")", "") for name in names])
    return known[shape]


def _arguments(children: list[pa.Array]) -> pa.Array:
    """All argument lists: the product of the children's texts, joined by commas, the last fastest."""
    joined = children[0]
    for child in children[1:]:
        left: Array = np.repeat(np.arange(len(joined)), len(child))
        right: Array = np.tile(np.arange(len(child)), len(joined))
        joined = pc.binary_join_element_wise(joined.take(pa.array(left)), child.take(pa.array(right)), ",")
    return joined
