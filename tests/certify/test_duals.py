"""Balls of values and derivatives hold what the formula is in high precision."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from flint import arb

from symact.activation.high_precision import evaluate as evaluate_formula
from symact.certify.duals import EDGE, evaluate
from symact.certify.flat import flat_program
from symact.certify.reference import Reference
from symact.equivalence.exact.balls import UNDEFINED, Marker, precision
from symact.expr.functions import FUNCTIONS
from symact.expr.tree import parse, to_sympy
from symact.program.loading import load_grammar

NAMES = sorted(name for name, row in FUNCTIONS.items() if row.arity == 1)
COMPOSED = [
    "x*sigmoid(x)",
    "max(x, sin(x))",
    "min(x**2, 1 + x)",
    "where(x > 1, 2 - 1/x, where(x < -1, -2 - 1/x, x))",
    "abs(x)**2.5",
    "(1 + x**2)**tanh(x)",
    "x**3/(1 + exp(-x))",
    "log(1 + exp(x - 1))",
    "where(x == 0, 1, sin(pi*x)/(pi*x))",
    "sign(x)*sqrt(abs(x))",
]
PLACES = (-1e38, -700.3, -20.5, -2.0, -0.7, -1e-3, -1e-30, 0.0, 1e-30, 0.013, 0.9, 1.0, 3.0, 17.7, 90.1, 1e5, 3e38)


@pytest.mark.parametrize("text", [f"{name}(x)" for name in NAMES] + COMPOSED)
def test_balls_hold_the_value_and_the_derivative(text: str) -> None:
    expr = parse(text)
    program, formula = flat_program(expr), to_sympy(expr)
    compared = 0
    for x in PLACES:
        if (text == "tan(x)" and abs(x) > 1e30) or (text == "lgamma(x)" and not 0.5 < x < 100):
            continue
        with precision(640):
            found = evaluate(program, arb(x))
        exact = evaluate_formula(formula, x)
        if exact is None:
            assert isinstance(found.value, Marker)
            continue
        with mpmath.workprec(200):
            for ball, true in zip(found, exact, strict=True):
                if isinstance(ball, Marker) or mpmath.isnan(true) or not mpmath.isfinite(true):
                    continue
                compared += 1
                middle = mpmath.mpf(int(ball.mid().man_exp()[0])) * mpmath.mpf(2) ** int(ball.mid().man_exp()[1])
                room = mpmath.mpf(float(ball.rad())) + mpmath.mpf(10) ** -300
                assert abs(middle - true) <= abs(true) * mpmath.mpf(10) ** -11 + room, (x, ball, true)
    assert compared > 5


@pytest.mark.parametrize(
    ("text", "at"), [("abs(x)", 0.0), ("relu(x - 2)", 2.0), ("where(x > 1, x, 2*x)", 1.0), ("floor(x)", 3.0)]
)
def test_where_branches_meet_the_derivative_is_an_edge(text: str, at: float) -> None:
    with precision(96):
        found = evaluate(flat_program(parse(text)), arb(at))
    assert not isinstance(found.value, Marker)
    assert found.slope is EDGE


def test_a_function_is_undefined_where_a_part_of_it_is() -> None:
    with precision(96):
        assert evaluate(flat_program(parse("relu(log(x))")), arb(-1)).value is UNDEFINED


@pytest.mark.parametrize(
    ("text", "at", "value", "slope"),
    [
        ("elu(x)", 0.0, 0.0, 1.0),
        ("where(x == 0, 1, sin(x)/x)", 0.0, 1.0, 0.0),
        ("sign(x)*log(1 + abs(x))", 0.0, 0.0, 1.0),
        ("relu(x)", 0.0, 0.0, np.nan),
        ("sqrt(x)", -1.0, np.nan, np.nan),
        ("x*exp(-x**2)", 1e30, 0.0, 0.0),
        ("exp(x)", 1e30, np.inf, np.inf),
    ],
)
def test_the_reference_looks_at_both_sides_of_an_edge(text: str, at: float, value: float, slope: float) -> None:
    found = Reference(parse(text)).point(at)
    assert np.array_equal(found[:2], (value, slope), equal_nan=True)


def test_a_parameter_stands_at_its_initial_value_in_float32() -> None:
    expr = parse("x*sigmoid(beta*x)", load_grammar("ramachandran"))
    reference = Reference(expr)
    (beta,) = (parameter.init for parameter in expr.parameters)
    assert reference.point(0.5)[0] == pytest.approx(0.5 / (1 + np.exp(-0.5 * beta)), rel=1e-12)
