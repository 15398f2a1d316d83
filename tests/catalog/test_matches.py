"""`identify` names the published function: exactly, up to an affine map, or the nearest."""

from __future__ import annotations

import pytest

from symact.catalog.matches import identify, name_of
from symact.catalog.rows import VOCABULARY
from symact.commands.atlas import show_matches
from symact.equivalence.index.function_index import FunctionIndex
from symact.expr.tree import parse
from symact.program.loading import parse_grammar

BETA = parse_grammar('[parameters]\nbeta = { init = 1.702 }\n[unary]\nf = "x*sigmoid(beta*x)"\n')


def found(text, kind, grammar=None):
    return {match.row.key: match for match in identify(text, grammar) if match.kind == kind}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("x/(1 + exp(-x))", "silu"),
        ("x*erfc(-x/sqrt(2))/2", "gelu"),
        ("x*(exp(2*x) + 2*exp(x))/(exp(2*x) + 2*exp(x) + 2)", "mish"),
        ("log(1 + exp(x))", "softplus"),
        ("(x + abs(x))/2", "relu"),
        ("x*tanh(exp(x))", "telu"),
        ("x*exp(-exp(-x))", "golu"),
        ("where(x < -1, -1, where(x > 1, 1, x))", "hardtanh"),
    ],
)
def test_other_ways_to_write_a_function_are_that_function(text, key):
    assert key in found(text, "exact")
    assert identify(text)[0].kind == "exact"


def test_the_first_publication_comes_first():
    keys = [match.row.key for match in identify("x*tanh(exp(x))")]
    assert keys.index("tanh_exp") < keys.index("telu")


@pytest.mark.parametrize(
    ("text", "key", "form"),
    [
        ("x*sigmoid(2*x)", "silu", "1/2*atlas.silu(2*x)"),
        ("2*gelu(x) + 1", "gelu", "2*atlas.gelu(x) + 1"),
        ("sin(5*x)", "sine", "atlas.sine(5*x)"),
        ("max(0, min(x, 3))", "hardtanh", "3/2*atlas.hardtanh(2/3*x - 1) + 3/2"),
    ],
)
def test_an_affine_map_is_seen_and_decided_exactly(text, key, form):
    match = found(text, "affine")[key]
    assert (match.form, match.evidence) == (form, "exact")


@pytest.mark.parametrize("text", ["x*sigmoid(3*x) - x/4", "1 - 2*tanh(x/3 + 1)", "2*x*x + x", "where(x > 0, x, 0.2*x)"])
def test_a_form_is_a_formula_that_means_the_function(text):
    index = FunctionIndex(VOCABULARY)
    for match in identify(text):
        assert index.add(parse(match.form)) == index.add(parse(text)), match.form


def test_other_values_of_the_parameters_are_found():
    assert found("where(x > 0, x, 0.2*x)", "exact")["prelu"].settings == {"alpha": "1/5"}
    assert found("where(x > 0, x, 0.5*(exp(x) - 1))", "exact")["elu"].settings == {"alpha": "1/2"}


def test_parameters_of_a_grammar_count_at_their_initial_values():
    assert "quick_gelu" in found("x*sigmoid(beta*x)", "exact", BETA)


def test_of_an_unknown_function_the_nearest_are_named():
    matches = identify("tanh(x) + sin(x)/7")
    assert {match.kind for match in matches} == {"near"}
    assert [m.distance for m in matches] == sorted(m.distance for m in matches)
    assert 0 < matches[0].distance < 0.1


def test_almost_is_not_exact():
    assert not found("x*sigmoid(x) + 1e-7*x", "exact")
    assert not found("gelu(x) + 1e-9*sin(x)", "exact")


def test_name_of_is_the_row_published_first_and_nothing_for_others():
    row = name_of(parse("x*sigmoid(x)"))
    assert row is not None
    assert row.cited == "SiLU (Elfwing 2017)"
    assert name_of(parse("x*sigmoid(x) + 1")) is None
    assert name_of(parse("x*sigmoid(beta*x)", BETA)) is None


@pytest.mark.parametrize(
    ("text", "line"), [("x + x**2", True), ("x*sigmoid(3*x) - x/4", True), ("2*gelu(x) + 1", False)]
)
def test_a_line_that_is_added_is_said_in_words(text, line, capsys):
    show_matches(text, None, as_json=False)
    said = capsys.readouterr().out
    assert ("plus a line" in said) == line
    assert "a*f(b*x + c) + d*x + e" in said
    assert all(match.document()["line"] == line for match in identify(text) if match.kind == "affine")
