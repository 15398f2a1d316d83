"""The expressions of a space, their classes, and the choice of a representative for each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.described import Candidates
from symact.equivalence.table.enumeration import Levels
from symact.equivalence.table.expression_column import enumeration_axes
from symact.expr.operators import Vocabulary
from symact.expr.shape import Shape
from symact.expr.space import Space

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
        weight = [0 if h.alias is not None or (h.program.total and not h.slots) else 1 for h in heads]
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
    # Where several of the simplest are computed in different ways, float32 decides.
    tied = tied[np.bincount(labels[tied], minlength=classes)[labels[tied]] > 1]
    ways = np.concatenate([way_of_computing(levels, found.shape)[found.prefix] for found in shapes])[tied]
    _, once = np.unique(_mixed(labels[tied].astype(np.uint64), ways), return_index=True)
    rivals = np.sort(tied[once])
    rivals = rivals[np.bincount(labels[rivals], minlength=classes)[labels[rivals]] > 1]
    if not len(rivals):
        return first
    error = _errors(levels, shapes, labels, rows, places, rivals)
    order = np.lexsort((rivals, error, labels[rivals]))
    winners = order[np.r_[True, np.diff(labels[rivals][order]) != 0]]
    first[labels[rivals[winners]]] = rivals[winners]
    return first


def way_of_computing(levels: Levels, shape: Shape) -> Array:
    """``(product,)`` a number per expression of a shape, in prefix order, that is equal for those computed alike.

    Operators that give an argument back, constants of ignored arguments and the order of commuting arguments make no
    difference; so equal numbers mean equal bits in float32. Numbers of 64 bits that ought to differ do, but for luck.
    """
    known: dict[Shape, Array] = {}

    def visit(part: Shape) -> Array:
        if part.kind == "x":
            return np.ones(1, np.uint64)
        if part not in known:
            known[part] = _applied(levels, part.kind, [visit(child) for child in part.children]).ravel()
        return known[part]

    return visit(shape)


def _applied(levels: Levels, kind: str, children: list[Array]) -> Array:
    """``(operators, product)``: all operators of a kind on all combinations of ways of computing their arguments."""
    functions = levels.functions
    numbers = levels.heads[kind]
    heads = [functions.dag.heads[number] for number in numbers]
    names = np.array([[functions.dag.first_twin(number) + 2] for number in numbers], np.uint64)
    commuting = np.array([[head.commutative] for head in heads])
    result = np.repeat(children[0][None], len(heads), axis=0)
    if kind == "unary":
        result = _mixed(names, result)
    for child in children[1:]:
        left, right = np.repeat(result, len(child), axis=1), np.tile(child, result.shape[1])
        low, high = np.minimum(left, right), np.maximum(left, right)
        result = _mixed(_mixed(names, np.where(commuting, low, left)), np.where(commuting, high, right))
    for own, head, name in zip(result, heads, names, strict=True):
        if head.alias is not None:
            spread = np.ones([len(child) for child in children], np.uint64)
            place = [-1 if position == head.alias else 1 for position in range(len(children))]
            own[:] = (spread * children[head.alias].reshape(place)).ravel()
        elif head.program.total:
            own[:] = _mixed(name, name)
    return result


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
    levels: Levels, shapes: list[Members], labels: Array, rows: Candidates, places: Array, rivals: Array
) -> Array:
    """Worst relative error in float32 of some expressions, in half powers of two."""
    levels.probes.extend()
    own = np.unique(labels[rivals], return_inverse=True)[1]
    truth = _truth(levels, own, rows, places[rivals])
    worst = np.empty(len(rivals))
    start = done = 0
    for found in shapes:
        stop = start + len(found.prefix)
        inside = rivals[(rivals >= start) & (rivals < stop)]
        for chunk in np.array_split(inside, max(1, len(inside) // 4096)):
            values = _values32(levels, found, chunk - start)
            worst[done : done + len(chunk)] = _relative(values, truth[own[done : done + len(chunk)]])
            done += len(chunk)
        start = stop
    return np.ceil(2 * np.log2(np.maximum(worst, _FLOOR))) / 2


def _truth(levels: Levels, labels: Array, rows: Candidates, places: Array) -> Array:
    """Float64 values ``(classes, points)`` of the most trusted member of each class, from members' labels and rows."""
    field, dag = levels.probes, levels.functions.dag
    order = np.lexsort((-rows.prints.trusted[places].astype(int), labels))
    chosen = places[order[np.r_[True, np.diff(labels[order]) != 0]]]
    truth = np.empty((len(chosen), field.columns))
    heads = rows.heads[chosen]
    for head in np.unique(heads).tolist():
        which = np.flatnonzero(heads == head)
        if head < 0:
            truth[which] = field.values[0]
            continue
        arguments = rows.arguments[chosen[which], : dag.heads[head].arity]
        truth[which] = np.concatenate(list(field.applied(head, arguments)))
    return np.clip(truth, -_LARGEST, _LARGEST, out=truth)


def _values32(levels: Levels, found: Members, numbers: Array) -> Array:
    """Plain float32 values of some members of one shape, each computed as it is written."""
    shape = found.shape
    if shape.kind == "x":
        return np.repeat(levels.float32(shape), len(numbers), axis=0)
    children = [levels.float32(child) for child in shape.children]
    digits = np.unravel_index(found.prefix[numbers], (len(levels.heads[shape.kind]), *map(len, children)))
    values = np.empty((len(numbers), len(levels.probes.x)), np.float32)
    operators = levels.grammar.of_kind(shape.kind)
    for number in np.unique(digits[0]):
        where = np.flatnonzero(digits[0] == number)
        arguments = [child[at[where]] for child, at in zip(children, digits[1:], strict=True)]
        values[where] = levels.apply32(operators[number], levels.heads[shape.kind][number], arguments)
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
