"""A trained expression as one formula: it parses with no grammar and means the same function."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.errors import InputError
from symact.expr.formula_text import formula_text
from symact.expr.functions import X
from symact.expr.tree import parse, to_sympy
from symact.program.loading import parse_grammar
from tests.program.meanings import evaluated

GRAMMAR = parse_grammar(
    'name = "g"\n[parameters]\nbeta = { init = 1.0 }\ngamma = { init = 2.0 }\n[unary]\nscale = "beta*x"\n'
    'bend = "where(x > gamma, x, -(x - gamma)**2 + beta)"\ngate = "x*sigmoid(-beta*x)/(1 + gamma**2)"\n'
    '[binary]\nminus = "a - (b - 1)"'
)
TEXTS = ["scale(x)", "minus(gate(x),scale(x))", "bend(minus(x,gate(x)))", "x - beta*(x - gamma)", "-(-x)**2/beta"]
FINITE = st.floats(-50, 50).filter(lambda v: v == 0 or abs(v) > 1e-3)


@settings(max_examples=25, deadline=None)
@given(FINITE, FINITE, st.floats(-4, 4))
@pytest.mark.parametrize("text", TEXTS)
def test_the_text_has_the_values_of_the_expression_with_its_constants(text, beta, gamma, x):
    expression = parse(text, GRAMMAR)
    constants = {p.name: {"beta": beta, "gamma": gamma}[p.name] for p in expression.parameters}
    symbols = {p.symbol: constants[p.name] for p in expression.parameters}
    expected = evaluated(to_sympy(expression), {X: x, **symbols})
    found = evaluated(to_sympy(parse(formula_text(expression, constants))), {X: x})
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12) or (math.isnan(found) and math.isnan(expected))


def test_a_formula_without_constants_stays_as_it_is_written():
    assert formula_text(parse("2*(x - tanh(x))", GRAMMAR), {}) == "2*(x - tanh(x))"


def test_operators_of_a_grammar_become_mathematics_that_needs_no_grammar():
    assert formula_text(parse("minus(x,tanh(x))", GRAMMAR), {}) == "x - (tanh(x) - 1)"


def test_one_value_per_channel_is_no_formula():
    with pytest.raises(InputError, match=r"beta has 2 values, one per channel.*constants\(\)"):
        formula_text(parse("scale(x)", GRAMMAR), {"beta": [1.0, 2.0]})
