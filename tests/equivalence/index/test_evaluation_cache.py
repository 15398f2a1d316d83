"""The cache of evaluations: what is remembered is what is computed, one by one or all at once."""

from __future__ import annotations

import numpy as np
import pytest

from symact.equivalence.index import evaluation_cache
from symact.equivalence.index.evaluation_cache import EvaluationCache
from symact.equivalence.numeric.samples import POINTS
from symact.expr.tree import parse
from symact.program.loading import load_grammar, parse_grammar

AQUASURF = load_grammar("aquasurf")
TEXTS = ("tanh(x)", "add(tanh(x),exp(x))", "max(add(tanh(x),exp(x)),x)", "sub(x,tanh(exp(x)))", "x", "zero(tanh(x))")


def expressions():
    return [parse(text, AQUASURF) for text in TEXTS]


@np.errstate(all="ignore")
def fingerprints(cache: EvaluationCache):
    return {text: cache.fingerprint(cache.term(expr)) for text, expr in zip(TEXTS, expressions(), strict=True)}


def test_fingerprints_of_many_at_once_are_those_of_each():
    cache, other = EvaluationCache((-5.0, 5.0)), EvaluationCache((-5.0, 5.0))
    one_by_one = fingerprints(cache)
    found = {}
    with np.errstate(all="ignore"):
        for numbers, prints in other.warm(expressions()):
            for row, number in enumerate(numbers.tolist()):
                found[TEXTS[number]] = prints[row : row + 1]
    assert set(found) == set(TEXTS)
    for text, own in one_by_one.items():
        assert np.allclose(found[text].projections, own.projections, rtol=0, atol=1e-11), text
        assert found[text].reliable.tolist() == own.reliable.tolist()


def test_a_sub_expression_is_one_term_wherever_it_stands():
    cache = EvaluationCache((-5.0, 5.0))
    numbers = [cache.term(expr) for expr in expressions()]
    size = cache.graph.size
    assert cache.graph.term(numbers[1])[1][0] == numbers[0]
    assert numbers[4] == 0
    assert [cache.term(expr) for expr in expressions()] == numbers
    assert cache.graph.size == size


def test_values_that_were_let_go_are_computed_again(monkeypatch):
    expected = fingerprints(EvaluationCache((-5.0, 5.0)))
    monkeypatch.setattr(evaluation_cache, "_MOST_VALUES", 2)
    cache = EvaluationCache((-5.0, 5.0))
    for _ in range(2):
        for text, own in fingerprints(cache).items():
            assert own.projections.tolist() == expected[text].projections.tolist()


def test_it_is_full_after_so_many_terms_and_empty_when_it_forgets(monkeypatch):
    monkeypatch.setattr(evaluation_cache, "_MOST_TERMS", 3)
    cache = EvaluationCache((-5.0, 5.0))
    assert not cache.full
    fingerprints(cache)
    assert cache.full
    cache.forget()
    assert not cache.full
    assert cache.graph.size == 1


@pytest.mark.parametrize(
    ("text", "names"), [("scale(x)", ["p"]), ("add(scale(x),shift(x))", ["p", "q"]), ("id(x)", [])]
)
def test_parameters_are_those_of_the_expression_and_one_of_each_kind_as_a_term(text, names):
    grammar = parse_grammar(
        'name = "g"\n[parameters]\np = { init = 1.0 }\nq = { init = 1.0 }\n'
        '[unary]\nid = "x"\nscale = "p*x"\nshift = "q*x"\n[binary]\nadd = "a + b"\n[spaces]\nall = ["unary(x)"]\n'
    )
    cache = EvaluationCache(grammar.interval)
    assert [parameter.name for parameter in cache.parameters(parse(text, grammar))] == names
    values = [cache.value(cache.term(parse(other, grammar)))[:, :POINTS] for other in ("scale(x)", "shift(x)")]
    assert (values[0] == values[1]).all()
