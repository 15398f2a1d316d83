"""Which expressions of a space are the same function, with what evidence, and which one stands for each.

In: a grammar and one of its spaces. Out: a table with one row per expression (`enumerate_classes`), or the
list of distinct usable functions (`distinct`). "Same" means the same domain and the same
values almost everywhere on the grammar's interval, for all values of the parameters.

The representative of a class is its simplest member: fewest operators that do something (an operator that
gives its argument back, or a constant, counts nothing), then fewest parameters, then most accurate in
float32 (at its worst point, to half a power of two), then first in the space.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from symact.arrays import Array
from symact.equivalence.engine.classes import EVIDENCE, NUMERIC, ClassBuilder
from symact.equivalence.engine.domains import DOMAINS, domains
from symact.equivalence.engine.term_columns import TermColumns
from symact.equivalence.index.function_index import FunctionIndex
from symact.equivalence.parallel import keep_freed_memory
from symact.equivalence.screening import screen
from symact.equivalence.table import expression_column
from symact.equivalence.table.enumeration import GrammarTables, NewTerms, ShapeEnumerator
from symact.equivalence.table.exchange import exchanges
from symact.equivalence.table.float32_rule import POINTS as FLOAT32_POINTS
from symact.equivalence.table.float32_rule import float32_labels
from symact.equivalence.table.representatives import (
    ShapeExpressions,
    expressions_of,
    representatives,
    simplest,
    simplicity,
)
from symact.equivalence.table.size import check_size
from symact.equivalence.terms import FunctionSymbol
from symact.errors import InputError
from symact.expr.grammar import Grammar
from symact.expr.operators import Vocabulary
from symact.expr.shape import Shape
from symact.expr.space import Space
from symact.expr.tree import Expr
from symact.files import write_file
from symact.program.collection import no_collection
from symact.program.loading import load_grammar

EQUIVALENCES = ("exact", "sampled", "float32")
Progress: TypeAlias = Callable[[int, int], object]


def enumerate_classes(
    grammar: Vocabulary | Path | str,
    space: Space | str | None = None,
    equivalence: str = "exact",
    progress: Progress | None = None,
) -> pa.Table:
    """Every expression of a space with its class.

    Args:
        grammar: as loaded, or a path or name that `load_grammar` takes.
        space: a space of that grammar or its name; None for the grammar's first.
        equivalence: `exact`; `sampled`, by float64 at sample points alone; or `float32`, equal float32
            outputs at 1,000 clipped normal points (arXiv:2301.05785).
        progress: called with (done, total) expressions, at the end with (total, total).

    `exact` never merges what ball arithmetic tells apart at a point where the two were compared: the sample points that
    matter, dense points where float64 differs, and one in each piece between breakpoints that no point is in
    (`breakpoints` says which pieces it cannot see). It is thorough, not a proof: where every comparison agrees to all
    bits the functions are taken for equal.

    Returns:
        Columns index, expression, class_id (numbered by first member), representative, domain
        (everywhere, partly or nowhere), evidence (proved, certified or numeric); rows in enumeration order.

    Raises:
        InputError: an unknown space or equivalence; no such grammar; a space that is too large to list.
    """
    if isinstance(grammar, (str, Path)):
        grammar = load_grammar(grammar)
    if not isinstance(grammar, Vocabulary):
        raise InputError(f"enumerate_classes needs a grammar, or its path or name, not {type(grammar).__name__}")
    if equivalence not in EQUIVALENCES:
        raise InputError(f"unknown equivalence {equivalence!r}; expected {', '.join(EQUIVALENCES)}")
    chosen = _space(grammar, space)
    check_size(chosen)
    keep_freed_memory()
    with np.errstate(all="ignore"), no_collection():
        found = _found(grammar, chosen, equivalence, progress or (lambda done, total: None))
    return _table(grammar, chosen, equivalence, found)


def _space(grammar: Vocabulary, space: Space | str | None) -> Space:
    if isinstance(space, Space):
        if space.grammar is not grammar and space.grammar.text != grammar.text:
            raise InputError(
                f"the space {space.name!r} belongs to grammar {space.grammar.name!r}, not {grammar.name!r}"
            )
        return space
    if (space is not None and not isinstance(space, str)) or not isinstance(grammar, Grammar):
        raise InputError(f"expected a space or the name of one of the grammar's spaces, not {type(space).__name__}")
    return grammar.space(space)


class Found:
    """What is known of a space: per expression its class, per class domain, evidence, representative."""

    def __init__(self, labels: Array, domains: Array, evidence: Array, chosen: Array, texts_: list[pa.Array]):
        self.labels, self.domains, self.evidence, self.chosen, self.texts = labels, domains, evidence, chosen, texts_


def _found(grammar: Vocabulary, space: Space, equivalence: str, progress: Progress) -> Found:
    if equivalence == "float32":
        return _published(grammar, space, progress)
    if not space.numbered_by_slots:
        return _one_by_one(grammar, space, equivalence, progress)
    total = space.count()
    evaluated = 0

    def tick(count: int) -> None:
        nonlocal evaluated
        evaluated += count
        progress(min(evaluated, total - 1), total)

    enumerator = _TABLES.enumerator(grammar, equivalence == "exact", tick)
    builder = enumerator.builder
    shapes = [expressions_of(grammar, shape) for shape in space.shapes if _within(shape, grammar)]
    for part in shapes:
        enumerator.prepare(part.shape)
    new = NewTerms()
    size = builder.graph.size
    indices = np.concatenate([enumerator.indices(found.shape, new).ravel()[found.prefix] for found in shapes])
    used, indices = _referenced(indices, size)
    terms = TermColumns.joined([enumerator.known[used], *([enumerator.describe(new)] if new.count else [])])
    classes = builder.classify(terms)
    labels = classes.labels[indices]
    # Classes are numbered by their first expression.
    count, labels, original = _renumbered(labels)
    chosen = representatives(enumerator, shapes, labels, terms, indices, count)
    where = domains(builder, terms, indices[chosen])
    evidence = classes.evidence[original]
    if grammar.symmetric_inputs:
        # A class that was exchanged stands for itself; the first one of several speaks for all.
        group, made = exchanges(builder, terms[indices[chosen]])
        speaking = np.unique(group, return_index=True)[1]
        np.maximum.at(made, group, evidence)
        labels, evidence, chosen, where = group[labels], made, chosen[speaking], where[speaking]
    written = _texts(grammar, shapes)
    progress(total, total)
    return Found(labels, where, evidence, chosen, written)


# What is known of the grammars asked for last, in this process.
_TABLES = GrammarTables()
# Rows of a table that is not worth compressing.
_SMALL = 2**16


def _texts(grammar: Vocabulary, shapes: list[ShapeExpressions]) -> list[pa.Array]:
    written = []
    for found in shapes:
        column = expression_column.expression_texts(grammar, found.shape)
        written.append(column if found.kept is None else column.filter(pa.array(found.kept)))
    return written


def _published(grammar: Vocabulary, space: Space, progress: Progress) -> Found:
    """The published rule; the representative is the simplest member, and the first of these."""
    shapes = [expressions_of(grammar, shape) for shape in space.shapes if _within(shape, grammar)]
    labels, lost = float32_labels(grammar, space, shapes, progress)
    count, labels, _ = _renumbered(labels)
    enumerator = ShapeEnumerator(grammar, ClassBuilder(grammar.interval, False, len(grammar.inputs)))
    chosen = simplest(np.concatenate([simplicity(enumerator, found) for found in shapes]), labels, count)
    undefined = lost[chosen]
    codes = np.where(undefined == 0, 0, np.where(undefined == FLOAT32_POINTS, 2, 1)).astype(np.int8)
    progress(len(labels), len(labels))
    return Found(labels, codes, np.full(count, NUMERIC, np.int8), chosen, _texts(grammar, shapes))


def _within(shape: Shape, grammar: Vocabulary) -> bool:
    limits = grammar.limits
    deep = limits.max_depth is not None and shape.depth > limits.max_depth
    return not deep and (limits.max_size is None or shape.size <= limits.max_size)


def _referenced(indices: Array, size: int) -> tuple[Array, Array]:
    """Terms of the graph that indices point to, and the indices renumbered: those terms first, then the new ones."""
    inside = indices < size
    used, position = np.unique(indices[inside], return_inverse=True)
    renumbered = indices - size + len(used)
    renumbered[inside] = position
    return used, renumbered


def _renumbered(labels: Array) -> tuple[int, Array, Array]:
    """Labels numbered by first occurrence: (how many, labels, old label of each new one)."""
    count = int(labels.max()) + 1
    first = np.full(count, len(labels), np.int64)
    np.minimum.at(first, labels, np.arange(len(labels)))
    order = np.argsort(first, kind="stable")
    order = order[: int((first < len(labels)).sum())]
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(len(order))
    return len(order), rank[labels], order


def _one_by_one(grammar: Vocabulary, space: Space, equivalence: str, progress: Progress) -> Found:
    """Spaces that cannot be numbered by slots: every expression is asked of an index."""
    index = FunctionIndex(grammar, equivalence)
    total = space.count()
    labels, sizes, written = [], [], []
    for number, expression in enumerate(space):
        labels.append(index.add(expression))
        sizes.append((_effective_size(expression), len(expression.parameters), number))
        written.append(str(expression))
        if number % 256 == 0:
            progress(number, total)
    found = np.array(labels)
    best: dict[int, tuple[int, int, int]] = {}
    for label, size in zip(labels, sizes, strict=True):
        best[label] = min(best.get(label, size), size)
    chosen = np.array([best[label][2] for label in range(len(index))])
    codes = np.array([DOMAINS.index(index.domain_of(number)) for number in range(len(index))], np.int8)
    progress(total, total)
    return Found(found, codes, index.evidence(), chosen, [pa.array(written)])


def _effective_size(expression: Expr) -> int:
    """Operators that do something."""
    nodes = (node for node in expression.walk() if node.arguments)
    return sum(not FunctionSymbol.of(node.operator).trivial for node in nodes)


def _table(grammar: Vocabulary, space: Space, equivalence: str, found: Found) -> pa.Table:
    count = len(found.labels)
    representative = np.zeros(count, bool)
    representative[found.chosen] = True
    columns = {
        "index": pa.array(np.arange(count)),
        "expression": pa.chunked_array(found.texts, pa.string()),
        "class_id": pa.array(found.labels),
        "representative": pa.array(representative),
        "domain": _coded(found.domains[found.labels], DOMAINS),
        "evidence": _coded(found.evidence[found.labels], EVIDENCE),
    }
    sha256 = getattr(grammar, "sha256", "")
    about = {
        "symact.grammar": grammar.name,
        "symact.grammar_sha256": sha256,
        "symact.grammar_text": grammar.text,
        "symact.space": space.name,
        "symact.equivalence": equivalence,
        "symact.interval": f"{grammar.interval[0]} {grammar.interval[1]}",
        "symact.versions": _versions(),
    }
    return pa.table(columns).replace_schema_metadata(about)


def _coded(codes: Array, names: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), pa.array(names))


def _versions() -> str:
    names = ("symact", "numpy", "scipy", "sympy", "python-flint", "pyarrow")
    return ", ".join(f"{name} {_version(name)}" for name in names)


@cache
def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def write_table(table: pa.Table, path: Path | str) -> None:
    """Write a table as Parquet, compressed where it is large; whole or not at all, even by a killed process.

    Raises:
        InputError: the folder does not exist or cannot be written.
    """
    # A small table is written sooner than it is compressed.
    how = {"compression": "zstd", "compression_level": 1} if len(table) > _SMALL else {"compression": "none"}
    how |= {"use_dictionary": ["domain", "evidence"], "row_group_size": 131_072}
    write_file(path, lambda temporary: parquet.write_table(table, temporary, **how), by_name=False)


def distinct(space: Space, equivalence: str = "exact") -> list[Expr]:
    """The representatives of a space that are defined everywhere and pass the screen, in enumeration order.

    Affine functions are among them where the space keeps them (`Space.affine`). Meant for spaces of up to some
    million expressions.
    """
    table = enumerate_classes(space.grammar, space, equivalence)
    everywhere = pc.equal(table["domain"].cast(pa.string()), "everywhere")
    wanted = set(pc.and_(table["representative"], everywhere).to_numpy().nonzero()[0].tolist())
    chosen = [expression for number, expression in enumerate(space) if number in wanted]
    good = screen(chosen, space.affine)
    return [expression for expression, usable in zip(chosen, good, strict=True) if usable]
