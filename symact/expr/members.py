"""The expressions of a space, their classes, and the choice of a representative for each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symact.expr.candidates import Candidates
from symact.expr.fields import Field, sample_points
from symact.expr.kernels import Array
from symact.expr.levels import Levels
from symact.expr.partition import Functions
from symact.expr.shape import Shape
from symact.expr.space import Space
from symact.expr.texts import enumeration_axes
from symact.expr.vocabulary import Vocabulary

_PROBES = 32
_SMALLEST, _LARGEST = 1e-37, 3.4e38
_FLOOR = 2.0**-26


@dataclass
class Members:
    """The expressions of one shape, in enumeration order, those that limits forbid left out.

    Attributes:
        shape: the shape.
        prefix: ``(expressions,)`` number in the product over slots in prefix order.
        kept: ``(product,)`` bool over the whole product in enumeration order; None where all are kept.
    """

    shape: Shape
    prefix: Array
    kept: Array | None


def members(grammar: Vocabulary, shape: Shape) -> Members:
    """Enumerate a shape by numbers."""
    counts = [len(grammar.of_kind(slot.kind)) for slot in shape.slots()]
    axes = enumeration_axes(shape)
    prefix = np.arange(int(np.prod(counts)), dtype=np.int64).reshape(counts).transpose(axes).ravel()
    kept = _allowed(grammar, shape, counts)
    if kept is None:
        return Members(shape, prefix, None)
    ordered = kept.transpose(axes).ravel()
    return Members(shape, prefix[ordered], ordered)


def _allowed(grammar: Vocabulary, shape: Shape, counts: list[int]) -> Array | None:
    """Which operator choices break no `forbid`, one axis per slot; None where nothing is forbidden."""
    allowed: Array | None = None

    def visit(part: Shape, position: int) -> int:
        nonlocal allowed
        after = position + 1
        for child in part.children:
            if child.kind == "x":
                continue
            outer, inner = grammar.of_kind(part.kind), grammar.of_kind(child.kind)
            table = np.array([[grammar.allows(o.name, i.name) for i in inner] for o in outer])
            if not table.all():
                place = [1] * len(counts)
                place[position], place[after] = table.shape
                allowed = np.ones(counts, bool) if allowed is None else allowed
                allowed &= table.reshape(place)
            after = visit(child, after)
        return after

    visit(shape, 0)
    return allowed


def simplicity(levels: Levels, found: Members) -> Array:
    """Operators that do something, then distinct parameters, as one number per expression (64 parameters at most)."""
    grammar, dag = levels.grammar, levels.functions.dag
    slots = found.shape.slots()
    counts = [len(grammar.of_kind(slot.kind)) for slot in slots]
    names = list(grammar.parameters)[:64]
    size = np.zeros(counts, np.int16)
    used = np.zeros(counts if names else [1] * len(counts), np.uint64)
    for position, slot in enumerate(slots):
        place = [1] * len(counts)
        place[position] = counts[position]
        heads = [dag.heads[h] for h in levels.heads[slot.kind]]
        weight = [0 if h.alias is not None or (h.tape.total and not h.slots) else 1 for h in heads]
        size += np.array(weight, np.int16).reshape(place)
        if names:
            bits = [sum(1 << names.index(p.name) for p in h.operator.parameters if p.name in names) for h in heads]
            used |= np.array(bits, np.uint64).reshape(place)
    mentioned = sum(((used >> np.uint64(i)) & np.uint64(1)).astype(np.int16) for i in range(len(names)))
    total = size * np.int16(128) + mentioned
    return np.broadcast_to(total, counts).ravel()[found.prefix]


def representatives(
    levels: Levels, shapes: list[Members], labels: Array, rows: Candidates, places: Array, classes: int
) -> Array:
    """The number of the representative expression of each class, ``(classes,)``.

    Args:
        levels: of the space.
        shapes: the members of each shape.
        labels: ``(expressions,)`` class of each.
        rows: the described rows that `places` points into.
        places: ``(expressions,)``.
        classes: how many.
    """
    simple = np.concatenate([simplicity(levels, found) for found in shapes])
    tied = _tied(simple, labels, classes)
    first = np.full(classes, len(labels), np.int64)
    np.minimum.at(first, labels[tied], tied)
    # Where several of the simplest differ in the rows they are computed by, float32 decides.
    several = np.zeros(classes, bool)
    several[labels[tied[places[tied] != places[first[labels[tied]]]]]] = True
    rivals = tied[several[labels[tied]]]
    if not len(rivals):
        return first
    error = _errors(levels, shapes, labels, rows, places, rivals)
    order = np.lexsort((rivals, error, labels[rivals]))
    winners = order[np.r_[True, np.diff(labels[rivals][order]) != 0]]
    first[labels[rivals[winners]]] = rivals[winners]
    return first


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
    levels: Levels, shapes: list[Members], labels: Array, rows: Candidates, places: Array, rivals: Array
) -> Array:
    """Worst relative error in float32 of some expressions, in half powers of two."""
    functions = levels.functions
    low, high = levels.grammar.interval
    field = Field(functions.dag, sample_points(low, high, _PROBES).astype(np.float32).astype(float), 3, False)
    field.extend()
    own = np.unique(labels[rivals], return_inverse=True)[1]
    truth = _truth(functions, field, own, rows, places[rivals])
    parameters = {
        name: field.slot(slot).astype(np.float32)
        for h in functions.dag.heads
        for name, slot in zip((p.name for p in h.operator.parameters), h.slots, strict=True)
    }
    worst = np.empty(len(rivals))
    start = done = 0
    for found in shapes:
        stop = start + len(found.prefix)
        inside = rivals[(rivals >= start) & (rivals < stop)]
        for chunk in np.array_split(inside, max(1, len(inside) // 4096)):
            values = _values32(levels, found, chunk - start, field.x, parameters)
            worst[done : done + len(chunk)] = _relative(values, truth[own[done : done + len(chunk)]])
            done += len(chunk)
        start = stop
    return np.ceil(2 * np.log2(np.maximum(worst, _FLOOR))) / 2


def _truth(functions: Functions, field: Field, labels: Array, rows: Candidates, places: Array) -> Array:
    """Float64 values ``(classes, points)`` of the most trusted member of each class, from members' labels and rows."""
    order = np.lexsort((-rows.prints.trusted[places].astype(int), labels))
    chosen = places[order[np.r_[True, np.diff(labels[order]) != 0]]]
    truth = np.empty((len(chosen), field.columns))
    heads = rows.heads[chosen]
    for head in np.unique(heads).tolist():
        which = np.flatnonzero(heads == head)
        if head < 0:
            truth[which] = field.values[0]
            continue
        arguments = rows.arguments[chosen[which], : functions.dag.heads[head].arity]
        truth[which] = np.concatenate(list(field.applied(head, arguments)))
    return np.clip(truth, -_LARGEST, _LARGEST, out=truth)


def _values32(levels: Levels, found: Members, numbers: Array, x: Array, parameters: dict[str, Array]) -> Array:
    """Plain float32 values of some members of one shape, each computed as it is written."""
    shape = found.shape
    if shape.kind == "x":
        return np.broadcast_to(x.astype(np.float32), (len(numbers), len(x)))
    children = [levels.float32(child, x, parameters) for child in shape.children]
    digits = np.unravel_index(found.prefix[numbers], (len(levels.heads[shape.kind]), *map(len, children)))
    values = np.empty((len(numbers), len(x)), np.float32)
    operators = levels.grammar.of_kind(shape.kind)
    for number in np.unique(digits[0]):
        where = np.flatnonzero(digits[0] == number)
        arguments = [child[at[where]] for child, at in zip(children, digits[1:], strict=True)]
        values[where] = levels.apply32(operators[number], levels.heads[shape.kind][number], arguments, parameters)
    return values


def _relative(values: Array, truth: Array) -> Array:
    """The worst relative error over the points, at most 1; undefined agrees with undefined only."""
    error = np.abs(np.clip(values, -_LARGEST, _LARGEST) - truth) / np.maximum(np.abs(truth), _SMALLEST)
    error = np.where(np.isnan(values) & np.isnan(truth), 0.0, np.where(np.isnan(error), 1.0, error))
    return np.minimum(error, 1.0).max(axis=1)


def enumerable(space: Space) -> bool:
    """Whether a space can be numbered by slots: fixed shapes, and parameters that occurrences share."""
    families = [(p.init, p.per, p.positive, p.share, p.range) for p in space.grammar.parameters.values()]
    plain = all(p.share for p in space.grammar.parameters.values()) and len(set(families)) == len(families)
    return plain and all(part.kind != "tree" for shape in space.shapes for part in shape.walk())
