"""Enumeration by numbers: the same terms, texts and counts as expression by expression."""

from __future__ import annotations

import numpy as np
import pytest

from symact.equivalence.engine.classes import ClassBuilder
from symact.equivalence.table.enumeration import GrammarTables, NewTerms, ShapeEnumerator
from symact.equivalence.table.expression_column import expression_texts
from symact.equivalence.table.float32_rule import hashes, normal_points
from symact.equivalence.table.representatives import expressions_of, simplicity
from symact.expr.shape import parse_shape
from symact.expr.space import Space
from symact.program.loading import parse_grammar

GRAMMAR = parse_grammar("""
name = "g"
[unary]
id = "x"
tanh = "tanh(x)"
zero = "0"
neg = "-x"
[binary]
add = "a + b"
sub = "a - b"
[nary]
sum_n = "add"
[limits]
forbid = ["tanh(tanh)", "add(zero)"]
[spaces]
all = ["unary(unary(x))", "binary(unary(x),unary(x))", "nary(unary(x),x,unary(x))", "unary(binary(x,unary(x)))"]
""")
SHAPES = GRAMMAR.space("all").shapes


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_texts_and_forbidden_nestings_are_those_of_the_space(shape):
    found = expressions_of(GRAMMAR, shape)
    texts = expression_texts(GRAMMAR, shape).to_pylist()
    kept = texts if found.kept is None else [text for text, good in zip(texts, found.kept, strict=True) if good]
    assert kept == [str(expression) for expression in Space(GRAMMAR, "one", [shape])]
    assert len(found.prefix) == len(kept)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("certify", [True, False])
def test_equal_functions_have_one_index(shape, certify):
    enumerator = ShapeEnumerator(GRAMMAR, ClassBuilder(GRAMMAR.interval, certify))
    with np.errstate(all="ignore"):
        new = NewTerms()
        found = expressions_of(GRAMMAR, shape)
        indices = enumerator.indices(shape, new).ravel()[found.prefix]
        values = dict(zip(map(str, Space(GRAMMAR, "one", [shape])), indices.tolist(), strict=True))
    size = enumerator.builder.graph.size
    assert indices.max() < size + new.count
    for text, index in values.items():
        if text.startswith("id("):
            assert index < size, "an alias is its argument"
        if text.startswith("zero("):
            assert index == next(n for other, n in values.items() if other.startswith("zero("))


def test_new_terms_are_numbered_once_each():
    new = NewTerms()
    first = new.add(3, np.array([[1, 2], [0, 5], [1, 2]]))
    second = new.add(3, np.array([[0, 5], [7, 7]]))
    other = new.add(4, np.array([[0, 5]]))
    assert first[0] == first[2] != first[1] == second[0]
    assert sorted({*first.tolist(), *second.tolist(), *other.tolist()}) == list(range(new.count)) == [0, 1, 2, 3]
    numbered = [(symbol, tuple(row)) for symbol, rows in new.parts for row in rows.tolist()]
    assert [numbered[n] for n in (*first, *second, *other)] == [
        (3, (1, 2)),
        (3, (0, 5)),
        (3, (1, 2)),
        (3, (0, 5)),
        (3, (7, 7)),
        (4, (0, 5)),
    ]


def test_operators_that_do_nothing_do_not_count_for_simplicity():
    shape = parse_shape("unary(unary(x))")
    enumerator = ShapeEnumerator(GRAMMAR, ClassBuilder(GRAMMAR.interval, certify=False))
    found = expressions_of(GRAMMAR, shape)
    sizes = simplicity(enumerator, found) // 128
    expected = [
        sum(node.operator.name in ("tanh", "neg") for node in expression.walk() if node.arguments)
        for expression in Space(GRAMMAR, "one", [shape])
    ]
    assert sizes.tolist() == expected


def test_what_is_remembered_of_a_grammar_is_not_changed_by_its_use():
    tables = GrammarTables(most=1)
    with np.errstate(all="ignore"):
        first = tables.enumerator(GRAMMAR, True, lambda count: None)
        size = first.builder.graph.size
        first.terms(SHAPES[1])
        assert first.builder.graph.size > size
        second = tables.enumerator(GRAMMAR, True, lambda count: None)
        assert second.builder.graph.size == size
        assert second is not first
        tables.enumerator(GRAMMAR, False, lambda count: None)
    assert len(tables._begun) == 1


def test_outputs_are_told_apart_by_their_bits_and_all_nan_are_one():
    outputs = np.zeros((4, 1000), np.float32)
    outputs[1, 7] = np.float32(1e-45)
    outputs[2, 3], outputs[3, 3] = np.float32(np.nan), -np.float32(np.nan)
    found = hashes(outputs)
    assert len(set(found.tolist())) == 3
    assert found[2] == found[3]


def test_the_published_points_are_clipped_normal_draws():
    x = normal_points()
    assert x.shape == (1000,)
    assert x.dtype == np.float32
    assert np.abs(x).max() <= 5
    assert abs(x.mean()) < 0.1
    assert (x == normal_points()).all()
    assert (x != normal_points(1)).any()
