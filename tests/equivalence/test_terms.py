"""Terms: what is one and the same at sight has one number."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest

from symact.equivalence.terms import (
    ArgumentProduct,
    FunctionSymbol,
    ParameterSlot,
    TermGraph,
    numbered_slots,
    slots_of,
)
from symact.expr.tree import parse
from symact.program.loading import load_grammar, parse_grammar

AQUASURF = load_grammar("aquasurf")
TEXT = """
name = "g"
[parameters]
p = { init = 1.0 }
q = { init = 1.0 }
r = { init = 2.0 }
[unary]
id = "x"
tanh = "tanh(x)"
zero = "0"
beta = "p"
scale = "p*x + q"
[binary]
add = "a + b"
sum = "b + a"
sub = "a - b"
square = "(a - b)**2"
first = "a"
nil = "0"
[nary]
sum_n = "add"
[spaces]
all = ["binary(unary(x),unary(x))"]
"""
GRAMMAR = parse_grammar(TEXT)


def number(graph: TermGraph, text: str) -> int:
    expression = parse(text, GRAMMAR)
    return graph.term_of(expression, numbered_slots(expression.parameters))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("id(tanh(x))", "tanh(x)", True),
        ("first(tanh(x),zero(x))", "tanh(x)", True),
        ("zero(tanh(x))", "zero(x)", True),
        ("add(x,tanh(x))", "add(tanh(x),x)", True),
        ("sub(x,tanh(x))", "sub(tanh(x),x)", False),
        ("square(x,tanh(x))", "square(tanh(x),x)", True),
        ("sum_n(x,tanh(x),zero(x))", "sum_n(x,zero(x),tanh(x))", True),
        ("tanh(x)", "tanh(tanh(x))", False),
        ("beta(x)", "beta(tanh(x))", True),
        ("beta(x)", "zero(x)", False),
    ],
)
def test_what_is_the_same_at_sight_is_one_term(first, second, same):
    graph = TermGraph()
    assert (number(graph, first) == number(graph, second)) is same


def test_operators_that_compute_the_same_have_one_canonical_symbol():
    graph = TermGraph()
    add, other, sub = (graph.symbol(operator) for operator in GRAMMAR.of_kind("binary")[:3])
    assert graph.canonical_symbol(other) in (add, other)
    assert graph.canonical_symbol(graph.symbol(GRAMMAR.of_kind("nary")[0])) == add
    assert graph.canonical_symbol(sub) == sub


@pytest.mark.parametrize(
    ("name", "alias", "total", "trivial", "commutative"),
    [
        ("id", 0, False, True, False),
        ("first", 0, False, True, False),
        ("zero", None, True, True, False),
        ("beta", None, True, False, False),
        ("tanh", None, False, False, False),
        ("add", None, False, False, True),
        ("sub", None, False, False, False),
    ],
)
def test_a_symbol_says_what_it_does_with_its_arguments(name, alias, total, trivial, commutative):
    symbol = FunctionSymbol.of(GRAMMAR.operators[name])
    assert (symbol.alias, symbol.total, symbol.trivial, symbol.commutative) == (alias, total, trivial, commutative)


def test_parameters_count_by_what_they_are_and_not_by_name():
    slots = numbered_slots(list(GRAMMAR.parameters.values()))
    assert slots["p"].kind == slots["q"].kind != slots["r"].kind
    assert [slots[name].number for name in "pqr"] == [0, 1, 0]
    assert slots_of(GRAMMAR)["p"] == slots_of(GRAMMAR)["q"] == ParameterSlot(slots["p"].kind, 0)
    assert slots["p"].range == (-3.0, 3.0)


def test_a_term_is_read_as_it_was_named():
    graph = TermGraph()
    tanh, add = graph.symbol(GRAMMAR.operators["tanh"]), graph.symbol(GRAMMAR.operators["add"])
    inner = graph.apply(tanh, (0,))
    outer = graph.apply(add, (inner, 0))
    assert graph.term(0) == (-1, ())
    assert graph.term(inner) == (tanh, (0,))
    assert graph.term(outer) == (add, (0, inner))
    assert graph.size == 3


def test_a_graph_grows_as_it_must():
    graph = TermGraph()
    tanh, add = graph.symbol(GRAMMAR.operators["tanh"]), graph.symbol(GRAMMAR.operators["add"])
    term = 0
    for _ in range(500):
        term = graph.apply(tanh, (term,))
    first = graph.append(add, np.stack([np.arange(400), np.arange(400) + 1], axis=1))
    assert graph.term(500) == (tanh, (499,))
    assert [graph.term(first + n) for n in (0, 399)] == [(add, (0, 1)), (add, (399, 400))]


def test_batches_give_every_term_after_its_arguments():
    generator = np.random.default_rng(1)
    graph = TermGraph()
    symbols = [graph.symbol(GRAMMAR.operators[name]) for name in ("tanh", "sub", "add")]
    for _ in range(300):
        symbol = symbols[generator.integers(3)]
        graph.apply(symbol, tuple(generator.integers(graph.size, size=graph.symbols[symbol].arity).tolist()))
    for start in (1, 7, graph.size - 1):
        seen = start
        for symbol, arguments, first in graph.batches(start):
            assert first == seen
            assert (arguments < first).all()
            for offset, row in enumerate(arguments.tolist()):
                assert graph.term(first + offset) == (symbol, tuple(row))
            seen += len(arguments)
        assert seen == graph.size


def test_a_copy_goes_its_own_way():
    graph = TermGraph()
    number(graph, "add(x,tanh(x))")
    copied = deepcopy(graph)
    number(copied, "tanh(tanh(x))")
    assert copied.size == graph.size + 1
    assert number(graph, "sub(x,tanh(x))") == graph.size - 1


@pytest.mark.parametrize("name", ["add", "sub", "first", "nil", "square"])
def test_products_are_applied_as_single_terms_are(name):
    graph, one_by_one = TermGraph(), TermGraph()
    children = [np.array([[0, 1], [2, 0]]), np.array([2, 1, 0])]
    for each in (graph, one_by_one):
        tanh = each.symbol(GRAMMAR.operators["tanh"])
        each.apply(tanh, (each.apply(tanh, (0,)),))
    symbol = graph.symbol(GRAMMAR.operators[name])
    own = one_by_one.symbol(GRAMMAR.operators[name])

    def numbered(arguments):
        ordered = graph.symbols[symbol].ordered(arguments)
        return np.array([one_by_one.apply(own, tuple(row)) for row in ordered.tolist()])

    found = graph.apply_all(symbol, ArgumentProduct(children), numbered)
    assert found.shape == (2, 2, 3)
    for at in np.ndindex(2, 2, 3):
        arguments = int(children[0][at[:2]]), int(children[1][at[2]])
        assert found[at] == one_by_one.apply(own, arguments)
