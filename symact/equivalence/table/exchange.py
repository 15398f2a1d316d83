"""Classes up to an exchange of the inputs: `x*sigmoid(g)` and `g*sigmoid(x)` are one where a grammar says so.

In: the first term of every class of a space. Out: which classes are exchanges of one another.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from symact.arrays import Array
from symact.equivalence.engine.classes import ClassBuilder
from symact.equivalence.engine.term_columns import TermColumns


def exchanges(builder: ClassBuilder, firsts: TermColumns) -> tuple[Array, Array]:
    """Groups of classes that an exchange of the inputs makes.

    Args:
        builder: that described the classes.
        firsts: a term of each class.

    Returns:
        ``(classes,)`` the number of the group of each, in order of first classes, and ``(groups,)`` by what evidence it
        was made.
    """
    count = len(firsts)
    other = _exchanged_terms(builder)
    arguments = np.where(firsts.arguments >= 0, other[np.maximum(firsts.arguments, 0)], -1)
    symbols = np.where(firsts.symbols < 0, -3 - firsts.symbols, firsts.symbols)
    found = builder.classify(
        TermColumns.joined([firsts, _described(builder, symbols, arguments)]), distinct=count, prove=True
    )
    labels = found.labels
    edges = np.flatnonzero(labels[count:] < count)
    graph = coo_matrix((np.ones(len(edges), np.int8), (edges, labels[count:][edges])), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    first = np.unique(group, return_index=True)[1]
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    group = rank[group]
    evidence = np.zeros(len(first), np.int8)
    np.maximum.at(evidence, group, found.evidence[labels[:count]])
    return group, evidence


def _exchanged_terms(builder: ClassBuilder) -> Array:
    """For every term of the graph the one with the inputs exchanged; those that are not there yet are added."""
    graph = builder.graph
    other = np.empty(graph.size, np.int64)
    other[:2] = 1, 0
    for term in range(2, graph.size):
        symbol, arguments = graph.term(term)
        own = tuple(other[list(arguments)].tolist())
        other[term] = term if own == arguments or graph.symbols[symbol].total else builder.apply(symbol, own)
    return other


def _described(builder: ClassBuilder, symbols: Array, arguments: Array) -> TermColumns:
    """Terms that need not be in the graph, in their order."""
    parts, places = [], []
    for symbol in np.unique(symbols).tolist():
        where = np.flatnonzero(symbols == symbol)
        places.append(where)
        if symbol < 0:
            parts.append(builder.variables[np.full(len(where), -1 - symbol)])
        else:
            width = builder.graph.symbols[symbol].arity
            parts.append(builder.described([(symbol, np.ascontiguousarray(arguments[where, :width]))]))
    return TermColumns.joined(parts)[np.argsort(np.concatenate(places), kind="stable")]
