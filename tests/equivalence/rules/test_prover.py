"""What the rules prove is true: expressions of one normal form are of one class, and domains are kept."""

from __future__ import annotations

import pytest

from symact.equivalence import enumerate_classes
from symact.equivalence.rules.prover import Prover
from symact.equivalence.terms import TermGraph, numbered_slots
from symact.expr.tree import parse
from symact.program.loading import load_grammar


def form_of(prover, expression):
    return prover.form(prover.graph.term_of(expression, numbered_slots(expression.parameters)))


@pytest.mark.parametrize(
    ("grammar", "space", "share"), [("aquasurf", "bench", 0.8), ("ramachandran", "unit", 0.9), ("first", "small", 0.9)]
)
def test_expressions_of_one_form_are_of_one_class_and_most_merges_are_proved(grammar, space, share):
    loaded, prover = load_grammar(grammar), Prover(TermGraph())
    table = enumerate_classes(loaded, space)
    labels = table["class_id"].to_pylist()
    forms = [form_of(prover, expression) for expression in loaded.space(space)]
    first: dict = {}
    for form, label in zip(forms, labels, strict=True):
        assert first.setdefault(form, label) == label
    merges = len(labels) - len(set(labels))
    assert len(labels) - len(first) > share * merges


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1/(1/relu(x))", "relu(x)"),
        ("relu(x)/relu(x)", "1"),
        ("log(x) - log(x)", "0"),
        ("0*sqrt(x)", "0"),
        ("exp(log(x))", "x"),
        ("sqrt(x)**2", "x"),
        ("log(x**2)", "2*log(x)"),
        ("sqrt(x*(x - 1))", "sqrt(x)*sqrt(x - 1)"),
        ("x**x", "exp(x*log(relu(x) + 1))"),
        ("abs(x)/x", "1"),
        ("where(x > 0, log(x), 0*log(x))", "log(x)"),
    ],
)
def test_different_domains_or_values_have_different_forms(first, second):
    prover = Prover(TermGraph())
    assert form_of(prover, parse(first)) is not form_of(prover, parse(second))
