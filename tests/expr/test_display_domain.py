"""Where a displayed expression is defined: conditions that are dropped hold almost everywhere."""

from __future__ import annotations

import math

import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.expr.display_domain import conditions, negated, not_zero, of_power, sign_of
from symact.expr.functions import X
from symact.expr.tree import parse, to_sympy
from tests.program.meanings import evaluated

UNARY = ("exp", "tanh", "abs", "sqrt", "log", "sigmoid", "relu", "softplus", "erf", "sin")
TEXTS = st.recursive(
    st.sampled_from(["x", "2", "x + 1", "x**2"]),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(UNARY), inner).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]}){p[1]}({p[2]})"),
    ),
    max_leaves=4,
)
POINTS = (-3.1, -0.7, -0.013, 0.021, 0.9, 2.3)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_a_sign_that_is_claimed_is_the_sign_of_every_value(text):
    written = to_sympy(parse(text))
    sign = sign_of(written.doit())
    for x in POINTS:
        value = evaluated(written, {X: x})
        if math.isfinite(value) and sign:
            # A value that is positive may be too small for float64.
            assert value >= 0 if sign > 0 else value <= 0, (text, x, value)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_where_a_value_is_finite_the_conditions_hold(text):
    written = to_sympy(parse(text))
    found = conditions(written.doit())
    for x in POINTS:
        if math.isfinite(evaluated(written, {X: x})):
            assert all(evaluated(condition, {X: x}) for condition in found), (text, x, found)


def test_a_power_asks_for_what_does_not_hold_almost_everywhere():
    half = sympy.Rational(1, 2)
    assert of_power(X, sympy.Integer(2)) == []
    assert set(of_power(X**2 + 1, half)) <= {sympy.true}
    assert of_power(X, half) == [X > 0], "and at 0 itself, which is a single point"
    assert sympy.false not in of_power(X, sympy.Integer(-1))


def test_division_by_zero_is_nowhere_defined():
    assert sympy.false in not_zero(sympy.Integer(0))
    assert not_zero(sympy.Integer(3)) == []


def test_a_negated_condition_holds_where_the_condition_does_not():
    for condition in (X > 0, X >= 1, X < -2, sympy.And(X > 0, X < 1), sympy.Or(X < 0, X > 5)):
        other = negated(condition)
        for x in (-3, -1, sympy.Rational(1, 2), 3, 7):
            assert bool(condition.subs(X, x)) != bool(other.subs(X, x))
