"""Reliability and sensitivity: where float64 hides what a function was made of."""

from __future__ import annotations

import numpy as np
import pytest

from symact.equivalence.engine.classes import ClassBuilder
from symact.equivalence.engine.sensitivity import informative_points
from symact.equivalence.terms import FunctionSymbol
from symact.expr.operators import NO_GRAMMAR
from symact.expr.tree import parse
from tests.equivalence.engine.builders import described

X = np.array([-30.0, -2.0, -0.5, 0.3, 1.0, 5.0, 30.0])


def shown(text: str, values: np.ndarray = X) -> list[bool]:
    program = FunctionSymbol.of(parse(text, NO_GRAMMAR).operator).program
    with np.errstate(all="ignore"):
        return informative_points([(program, [values[None]])], 1).good[0].tolist()


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("2*x", [True] * 7),
        ("tanh(x)", [False, True, True, True, True, True, False]),
        ("sinh(x)", [False, True, True, True, True, True, False]),
        ("1e20 + x", [False] * 7),
        ("abs(x)", [True] * 7),
    ],
)
def test_a_point_is_informative_where_the_result_shows_its_argument(text, good):
    assert shown(text) == good


def test_the_branch_that_is_not_taken_does_not_matter():
    program = FunctionSymbol.of(parse("relu(x)", NO_GRAMMAR).operator).program
    found = informative_points([(program, [X[None]])], 1)
    assert found.good.all()
    assert found.matters[0][0].tolist() == [x > 0 for x in X]


@pytest.mark.parametrize(
    ("text", "piecewise"),
    [
        ("tanh(x)", False),
        ("abs(x)", True),
        ("exp(abs(x))", True),
        ("abs(exp(x))", False),
        ("1/x", True),
        ("log(x)", True),
    ],
)
def test_a_term_is_piecewise_where_something_on_the_way_has_a_breakpoint(text, piecewise):
    builder = ClassBuilder((-5.0, 5.0))
    terms = described(builder, [text])
    assert builder._analysis.reliability(terms, np.arange(1)).piecewise.tolist() == [piecewise]


def test_what_hides_an_argument_hides_it_in_all_that_is_made_of_it():
    builder = ClassBuilder((-5.0, 5.0))
    terms = described(builder, ["tanh(exp(exp(x)))", "exp(tanh(exp(exp(x))))", "sin(x)"])
    found = builder._analysis.reliability(terms, np.arange(3)).informative
    assert not found[0].all()
    assert (found[1] <= found[0]).all()
    assert found[2].all()
