"""Formulas of mixtures: normalized sums, cells over a shape, and shares read back from learned weights."""

from __future__ import annotations

import numpy as np
import pytest

from symact.errors import InputError
from symact.expr.shape import parse_shape
from symact.optimize import mixture_formula
from symact.optimize.function_features import POINTS, outputs
from symact.program.loading import load_grammar, parse_grammar

GRAMMAR = load_grammar("aquasurf")
SMALL = parse_grammar(
    'name = "s"\n[unary]\nrelu = "max(x, 0)"\ntanh = "tanh(x)"\nsin = "sin(x)"\nlog = "log(x)"\n'
    '[binary]\nadd = "a + b"\nmul = "a*b"\npow = "a**b"\n[spaces]\nall = ["binary(unary(x), unary(x))"]\n'
).space()


def test_proportions_are_shares_of_a_slot_averaged_over_sites():
    sites = [{"w0_a": 1.0, "w0_b": 3.0, "w1_a": 2.0}, {"w0_a": [1.0, 1.0], "w0_b": 1.0, "w1_a": 7.0, "beta": 3.0}]
    assert mixture_formula.proportions(sites) == pytest.approx({"w0_a": 0.375, "w0_b": 0.625, "w1_a": 1.0})


def test_operators_that_are_not_finite_everywhere_stay_out_of_cells():
    assert mixture_formula.usable_operators(SMALL.grammar, "unary") == ("relu", "tanh", "sin")
    assert mixture_formula.usable_operators(SMALL.grammar, "binary") == ("add", "mul")


def test_operators_with_a_pole_stay_out_of_cells():
    assert not {"div", "pow"} & set(mixture_formula.usable_operators(GRAMMAR, "binary"))
    assert "reciprocal" not in mixture_formula.usable_operators(GRAMMAR, "unary")
    assert {"relu", "exp", "zero", "elu"} <= set(mixture_formula.usable_operators(GRAMMAR, "unary"))


@pytest.mark.parametrize("weights", [{}, {"w0_a": 2.0, "w0_b": 0.5, "w0_c": 1.5}])
def test_a_weighted_sum_is_normalized_by_its_weights(weights):
    terms = {"w0_a": "tanh(x)", "w0_b": "sin(x)", "w0_c": "x"}
    found = outputs([mixture_formula.weighted_sum(terms, SMALL.grammar, weights)])[0]
    a, b, c = (weights.get(name, 1.0) for name in terms)
    expected = (a * np.tanh(POINTS) + b * np.sin(POINTS) + c * POINTS) / (a + b + c)
    assert np.allclose(found, expected, atol=1e-5)


def test_one_function_is_no_mixture():
    expression = mixture_formula.weighted_sum({"w0_a": "tanh(x)"}, SMALL.grammar)
    assert expression.parameters == ()
    assert str(expression) == "tanh(x)"


def test_a_cell_with_one_choice_in_every_slot_is_that_expression():
    shape = parse_shape("binary(unary(x), unary(x))")
    expression = mixture_formula.cell(shape, (("add",), ("relu",), ("sin",)), SMALL.grammar, 2.0, {})
    assert str(expression) == "add(relu(x),sin(x))"
    assert expression in SMALL


def test_a_cell_has_one_positive_mixture_weight_per_choice_of_a_slot_that_has_several():
    shape = parse_shape("binary(unary(x), unary(x))")
    choices = (("add", "mul"), ("relu",), ("sin", "tanh"))
    expression = mixture_formula.cell(shape, choices, SMALL.grammar, 2.0, {"w0_add": 3.0})
    parameters = {p.name: p for p in expression.parameters}
    assert set(parameters) == {"w0_add", "w0_mul", "w2_sin", "w2_tanh"}
    assert all(p.mixture and p.positive for p in parameters.values())
    assert [parameters[name].init for name in ("w0_add", "w0_mul")] == [3.0, 1.0]
    assert mixture_formula.slot_of("w2_tanh") == "w2"


def test_a_cell_that_is_too_large_is_refused_with_a_remedy():
    shape = parse_shape("binary(binary(binary(unary(x), unary(x)), unary(x)), unary(x))")
    every = tuple(mixture_formula.usable_operators(GRAMMAR, kind.kind) for kind in shape.slots())
    with pytest.raises(InputError, match="smaller space or fewer operators"):
        mixture_formula.cell(shape, every, GRAMMAR, 2.0, {})


def test_weights_that_are_not_finite_and_positive_count_nothing():
    shares = mixture_formula.site_proportions({"w0_a": float("nan"), "w0_b": 2.0, "w0_c": -1.0, "w1_a": 0.0})
    assert shares == {"w0_a": 0.0, "w0_b": 1.0, "w0_c": 0.0, "w1_a": 0.0}
