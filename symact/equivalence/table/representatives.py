"""The expressions of a space, their classes, and the choice of a representative for each class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.term_columns import TermColumns
from symact.equivalence.table.enumeration import ShapeEnumerator
from symact.equivalence.table.expression_column import enumeration_axes
from symact.equivalence.terms import ArgumentProduct
from symact.expr.operators import Vocabulary
from symact.expr.shape import Shape
from symact.expr.slot_rules import slot_rules

_SMALLEST, _LARGEST = 1e-37, 3.4e38
_FLOOR = 2.0**-26
# What an input is called among the numbers of ways to compute; operators have others.
_LEAVES = {"x": 1, "g": 2**63}


@dataclass
class ShapeExpressions:
    """The expressions of one shape, in enumeration order, those that limits forbid left out.

    Attributes:
        shape: the shape.
        prefix: ``(expressions,)`` number in the product over slots in prefix order.
        kept: ``(product,)`` bool over the whole product in enumeration order; None where all are kept.
    """

    shape: Shape
    prefix: Array
    kept: Array | None


def expressions_of(grammar: Vocabulary, shape: Shape) -> ShapeExpressions:
    """Enumerate a shape by numbers."""
    counts = [len(grammar.of_kind(slot.kind)) for slot in shape.slots()]
    axes = enumeration_axes(shape)
    prefix = np.arange(int(np.prod(counts)), dtype=np.int64).reshape(counts).transpose(axes).ravel()
    kept = _allowed(grammar, shape, counts)
    if kept is None:
        return ShapeExpressions(shape, prefix, None)
    ordered = kept.transpose(axes).ravel()
    return ShapeExpressions(shape, prefix[ordered], ordered)


def _allowed(grammar: Vocabulary, shape: Shape, counts: list[int]) -> Array | None:
    """Which operator choices are within [limits], one axis per slot; None where all are."""
    allowed: Array | None = None
    for rule in slot_rules(grammar, shape):
        lengths = [1] * len(counts)
        for slot in rule.slots:
            lengths[slot] = counts[slot]
        allowed = np.ones(counts, bool) if allowed is None else allowed
        allowed &= rule.allowed.reshape(lengths)
    return allowed


def simplicity(enumerator: ShapeEnumerator, found: ShapeExpressions) -> Array:
    """Operators that do something, then distinct parameters, as one number per expression (64 parameters at most)."""
    grammar, graph = enumerator.grammar, enumerator.builder.graph
    slots = found.shape.slots()
    counts = [len(grammar.of_kind(slot.kind)) for slot in slots]
    names = list(grammar.parameters)[:64]
    size = np.zeros(counts, np.int16)
    used = np.zeros(counts if names else [1] * len(counts), np.uint64)
    for position, slot in enumerate(slots):
        lengths = [1] * len(counts)
        lengths[position] = counts[position]
        symbols = [graph.symbols[number] for number in enumerator.symbols[slot.kind]]
        size += np.array([not symbol.trivial for symbol in symbols], np.int16).reshape(lengths)
        if names:
            bits = [sum(1 << names.index(p.name) for p in s.operator.parameters if p.name in names) for s in symbols]
            used |= np.array(bits, np.uint64).reshape(lengths)
    mentioned = sum(((used >> np.uint64(i)) & np.uint64(1)).astype(np.int16) for i in range(len(names)))
    total = size * np.int16(128) + mentioned
    return np.broadcast_to(total, counts).ravel()[found.prefix]


def representatives(
    enumerator: ShapeEnumerator,
    shapes: list[ShapeExpressions],
    labels: Array,
    terms: TermColumns,
    indices: Array,
    classes: int,
) -> Array:
    """The number of the representative expression of each class, ``(classes,)``.

    Args:
        enumerator: of the space.
        shapes: the members of each shape.
        labels: ``(expressions,)`` class of each.
        terms: the described terms that `indices` points into.
        indices: ``(expressions,)``.
        classes: how many.
    """
    simple = np.concatenate([simplicity(enumerator, found) for found in shapes])
    tied = _tied(simple, labels, classes)
    first = np.full(classes, len(labels), np.int64)
    np.minimum.at(first, labels[tied], tied)
    # Where several of the simplest are computed in different ways, float32 decides.
    tied = tied[np.bincount(labels[tied], minlength=classes)[labels[tied]] > 1]
    ways = np.concatenate([way_of_computing(enumerator, found.shape)[found.prefix] for found in shapes])[tied]
    _, once = np.unique(_mixed(labels[tied].astype(np.uint64), ways), return_index=True)
    rivals = np.sort(tied[once])
    rivals = rivals[np.bincount(labels[rivals], minlength=classes)[labels[rivals]] > 1]
    if not len(rivals):
        return first
    error = _errors(enumerator, shapes, labels, terms, indices, rivals)
    order = np.lexsort((rivals, error, labels[rivals]))
    winners = order[np.r_[True, np.diff(labels[rivals][order]) != 0]]
    first[labels[rivals[winners]]] = rivals[winners]
    return first


def way_of_computing(enumerator: ShapeEnumerator, shape: Shape) -> Array:
    """``(product,)`` a number per expression of a shape, in prefix order, that is equal for those computed alike.

    Operators that give an argument back, constants of ignored arguments and the order of commuting arguments make no
    difference; so equal numbers mean equal bits in float32. Numbers of 64 bits that ought to differ do, but for luck.
    """
    graph = enumerator.builder.graph
    known: dict[Shape, Array] = {}

    def visit(part: Shape) -> Array:
        if part.is_leaf:
            return np.full((), _LEAVES[part.kind], np.uint64)
        if part not in known:
            children = [visit(child) for child in part.children]
            first = ArgumentProduct(children[:2])
            known[part] = np.stack([folded(s, first, children[2:]) for s in enumerator.symbols[part.kind]])
        return known[part]

    def folded(symbol: int, product: ArgumentProduct, others: list[Array]) -> Array:
        if len(product.children) < graph.symbols[symbol].arity:
            return product.side(0)
        result = graph.apply_all(symbol, product, partial(mixed, symbol))
        for child in others:
            result = graph.apply_all(symbol, ArgumentProduct([result, child]), partial(mixed, symbol))
        return result

    def mixed(symbol: int, arguments: Array) -> Array:
        name = np.full(len(arguments), graph.canonical_symbol(symbol) + 2, np.uint64)
        return reduce(_mixed, graph.symbols[symbol].ordered(arguments).astype(np.uint64).T, name)

    return visit(shape).ravel()


def _mixed(first: Array | np.uint64, second: Array | np.uint64) -> Array:
    """One number of two, scattered as in splitmix64 (Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        z = np.asarray(first) * np.uint64(0x9E3779B97F4A7C15) + second
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: Array = z ^ (z >> np.uint64(31))
    return mixed


def simplest(simple: Array, labels: Array, classes: int) -> Array:
    """The first of the simplest expressions of each class, ``(classes,)``."""
    tied = _tied(simple, labels, classes)
    first = np.full(classes, len(labels), np.int64)
    np.minimum.at(first, labels[tied], tied)
    return first


def _tied(simple: Array, labels: Array, classes: int) -> Array:
    least = np.full(classes, np.iinfo(np.int16).max, np.int16)
    np.minimum.at(least, labels, simple)
    return np.flatnonzero(simple == least[labels])


def _errors(
    enumerator: ShapeEnumerator,
    shapes: list[ShapeExpressions],
    labels: Array,
    terms: TermColumns,
    indices: Array,
    rivals: Array,
) -> Array:
    """Worst relative error in float32 of some expressions, in half powers of two."""
    enumerator.probes.extend()
    own = np.unique(labels[rivals], return_inverse=True)[1]
    truth = _truth(enumerator, own, terms, indices[rivals])
    worst = np.empty(len(rivals))
    start = done = 0
    for found in shapes:
        stop = start + len(found.prefix)
        inside = rivals[(rivals >= start) & (rivals < stop)]
        for chunk in np.array_split(inside, max(1, len(inside) // 4096)):
            values = _values32(enumerator, found, chunk - start)
            worst[done : done + len(chunk)] = _relative(values, truth[own[done : done + len(chunk)]])
            done += len(chunk)
        start = stop
    halves: Array = np.ceil(2 * np.log2(np.maximum(worst, _FLOOR))) / 2
    return halves


def _truth(enumerator: ShapeEnumerator, labels: Array, terms: TermColumns, indices: Array) -> Array:
    """Float64 values ``(classes, points)`` of the most reliable member of each class."""
    grid, graph = enumerator.probes, enumerator.builder.graph
    order = np.lexsort((-terms.fingerprints.reliable[indices].astype(int), labels))
    chosen = indices[order[np.r_[True, np.diff(labels[order]) != 0]]]
    truth = np.empty((len(chosen), grid.columns))
    symbols = terms.symbols[chosen]
    for symbol in np.unique(symbols).tolist():
        which = np.flatnonzero(symbols == symbol)
        if symbol < 0:
            truth[which] = grid.values[-1 - symbol]
            continue
        arguments = terms.arguments[chosen[which], : graph.symbols[symbol].arity]
        truth[which] = np.concatenate(list(grid.applied(symbol, arguments)))
    return np.clip(truth, -_LARGEST, _LARGEST, out=truth)


def _values32(enumerator: ShapeEnumerator, found: ShapeExpressions, numbers: Array) -> Array:
    """Plain float32 values of some members of one shape, each computed as it is written."""
    shape = found.shape
    if shape.is_leaf:
        return np.repeat(enumerator.float32(shape), len(numbers), axis=0)
    children = [enumerator.float32(child) for child in shape.children]
    digits = np.unravel_index(found.prefix[numbers], (len(enumerator.symbols[shape.kind]), *map(len, children)))
    values = np.empty((len(numbers), len(enumerator.probes.x)), np.float32)
    operators = enumerator.grammar.of_kind(shape.kind)
    for number in np.unique(digits[0]):
        where = np.flatnonzero(digits[0] == number)
        arguments = [child[at[where]] for child, at in zip(children, digits[1:], strict=True)]
        values[where] = enumerator.apply32(operators[number], arguments)
    return values


def _relative(values: Array, truth: Array) -> Array:
    """The worst relative error over the points, at most 1; undefined agrees with undefined only."""
    error = np.abs(np.clip(values, -_LARGEST, _LARGEST) - truth) / np.maximum(np.abs(truth), _SMALLEST)
    error = np.where(np.isnan(values) & np.isnan(truth), 0.0, np.where(np.isnan(error), 1.0, error))
    worst: Array = np.minimum(error, 1.0).max(axis=1)
    return worst
