"""Published gates, functions of `x` and `g`: the table, and which of them an expression is."""

from __future__ import annotations

import pytest

from symact.catalog.gates import VOCABULARY
from symact.catalog.matches import identify, name_of
from symact.equivalence.index.function_index import FunctionIndex
from symact.errors import FormulaError
from symact.expr.published import gates
from symact.expr.tree import parse
from symact.program.loading import load_grammar


def test_gates_of_the_grammar_are_rows_of_the_same_function():
    grammar = load_grammar("gates")
    named = [found.name for found in grammar.of_kind("binary") if found.name in gates()]
    assert len(named) == 13
    for name in named:
        index = FunctionIndex(VOCABULARY)
        assert index.add(parse(f"{name}(x,g)", grammar)) == index.add(parse(gates()[name].formula)), name


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("x*sigmoid(x)*g", "swiglu(x, g)"),
        ("g*x/(1 + exp(-g))", "swiglu(g, x)"),
        ("x*g*erfc(-x/sqrt(2))/2", "geglu(x, g)"),
        ("g*max(x, 0)", "reglu(x, g)"),
        ("max(x, 0)*g + min(0, x*g)*0", "reglu(x, g)"),
        ("tanh(g)/(1 + exp(-x))", "gtu(x, g)"),
    ],
)
def test_a_gate_is_known_however_it_is_written(text, form):
    for written in (text, form):
        (match,) = identify(written)
        assert (match.kind, match.form) == ("exact", form)


def test_a_nested_candidate_is_known_as_well():
    grammar = load_grammar("gates")
    for text, form in (("mul(swish(g),x)", "swiglu(g, x)"), ("mul(x,identity(g))", "bilinear(x, g)")):
        (match,) = identify(text, grammar)
        assert (match.kind, match.form) == ("exact", form)
    assert identify("mul(sin(x),sin(g))", grammar)[0].kind == "near"
    assert name_of(parse("mul(swish(x),g)", grammar)).cited == "SwiGLU (Shazeer 2020)"


@pytest.mark.parametrize("name", list(gates()))
def test_where_a_gate_is_named_without_its_grammar_its_formula_is_told(name):
    with pytest.raises(FormulaError, match="is the gate") as caught:
        parse(f"{name}(x, g)")
    assert gates()[name].formula in caught.value.reason


def test_of_an_unknown_gate_the_nearest_are_named():
    matches = identify("x*sigmoid(x)*g + x/100")
    assert matches[0].form == "swiglu(x, g)"
    assert {match.kind for match in matches} == {"near"}
    assert [m.distance for m in matches] == sorted(m.distance for m in matches)
    names = [match.name for match in identify("2*x*sigmoid(x)*(g + 1)")]
    assert len(names) == len(set(names))


def test_a_gate_has_a_name_and_others_have_none():
    assert name_of(parse("x*sigmoid(x)*g")).cited == "SwiGLU (Shazeer 2020)"
    assert name_of(parse("x*sigmoid(x)*g + 1")) is None
