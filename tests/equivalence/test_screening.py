"""The screen on functions chosen to escape it, each judged by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.equivalence import distinct, is_affine, screen
from symact.expr.tree import parse
from symact.program.loading import load_grammar

USABLE = [
    "1e-6*tanh(x)",
    "x*x/(1 + x*x)",
    "x/(1 + abs(x))",
    "log(1 + x*x)",
    "sqrt(1 + x*x) - 1",
    "1/(1 + exp(-3*x))",
    "x/(0.01 + x*x)",
    "1/(1.01 + sin(x))",
    "log(2 + sin(x))",
    "where(x > 0, log(1 + x), x)",
    "(1 + x*x)**(1/3)",
    "x**3",
    "erfc(x)",
    "exp(-x*x)",
    "2**x",
    "sinc(x)",
    "max(-1, min(1, x))",
    "gelu(x)",
    "x*tanh(log(1 + exp(x)))",
    "expm1(x)/x",
    "asinh(sinh(x*x))",  # compiled as x*x, where sinh would overflow
]
UNUSABLE = [
    "x/x",
    "sin(x)**2 + cos(x)**2",
    "cosh(x)**2 - sinh(x)**2 - 1 + 0*x",
    "1/(x - 3.3333)",
    "1/abs(x - 3.3333)",
    "x/(x*x - 2.25)",
    "1/(x - 3.3333)**2",
    "log(abs(x + 7.7777))",
    "log(x)",
    "sqrt(x)",
    "sqrt((x - 1.23)**2 - 1e-6)",
    "log((x - 1.23)**2 - 1e-5)",
    "1/(tanh(x) - tanh(0.4321))",
    "sqrt(abs(x - 3.3333))",
    "abs(x)**0.5",
    "abs(x)**0.9",
    "abs(x)**sigmoid(x)",
    "min(0, 1/x)",
    "(x*x)**0.3",
    "1/sinh(x)",
    "1/x",
    "exp(x*x)",
    "exp(exp(x))",
    "x**x",
    "x**-2",
    "sqrt(9.99 - x)",
    "(x - 9.97)**(1/3)",
    "tan(x)/(x - 0.123)",
    "1 + 1e-9*tanh(x)",
    "log(sigmoid(20*x) - sigmoid(20*x))",
]


@pytest.mark.parametrize("text", USABLE)
def test_a_usable_function_passes(text):
    assert screen([parse(text)]).tolist() == [True]


@pytest.mark.parametrize("text", UNUSABLE)
def test_what_is_constant_or_ends_somewhere_does_not(text):
    assert screen([parse(text)]).tolist() == [False]


def test_learnable_parameters_stand_at_their_initial_values():
    grammar = load_grammar("ramachandran")
    # The last is x/(sin(x) + eps), which has a pole at -eps.
    texts = ["abs(scale(x))", "mul(beta(x),beta(x))", "rbf(identity(x),sin(x))", "div(identity(x),sin(x))"]
    assert screen([parse(text, grammar) for text in texts]).tolist() == [True, False, True, False]


RAMACHANDRAN = load_grammar("ramachandran")
NUMBERS = st.sampled_from(["2", "0.1", "-3", "pi", "7/3"])
STRAIGHT = st.recursive(
    st.just("x"),
    lambda inner: st.one_of(
        st.builds("({}*({}) + {})".format, NUMBERS, inner, NUMBERS),
        st.builds("-({})".format, inner),
        st.builds("log(exp(tanh(0)*x + ({})/10))".format, inner),
        st.builds("(relu({0}) - relu(-({0})))".format, inner),
        st.builds("max({0}, {0})".format, inner),
        st.builds("(softplus({0}) - softplus(-({0})))".format, inner),
        st.builds("sign({0})*abs({0})".format, inner),
    ),
    max_leaves=3,
)


@settings(max_examples=150, deadline=None)
@given(STRAIGHT)
def test_affine_functions_are_screened_out_however_they_are_written(text):
    expression = parse(text)
    assert is_affine(expression)
    assert screen([expression]).tolist() == [False]


@settings(max_examples=100, deadline=None)
@given(NUMBERS, NUMBERS, st.sampled_from(["relu(x)", "abs(x)", "tanh(x/3)", "0.01*x**2", "min(x, 9.9)", "sin(x)"]))
def test_whatever_bends_is_not_affine(scale, shift, bend):
    expression = parse(f"({scale})*({bend}) + ({shift})")
    assert not is_affine(expression)
    assert screen([expression]).tolist() == screen([expression], affine=True).tolist() == [True]


@pytest.mark.parametrize("text", ["x", "-x", "x + 1", "2*x", "x**2/x", "asinh(sinh(x))", "(x + 1)**2 - x**2"])
def test_they_can_be_kept(text):
    assert screen([parse(text)], affine=True).tolist() == [True]


@pytest.mark.parametrize(
    ("text", "affine"),
    [
        ("beta*x", True),
        ("x + beta", True),
        ("beta*x + (1 - beta)*x", True),
        ("max(x, beta*x)", False),
        ("where(x > 0, x, beta*x)", False),
        ("x*sigmoid(beta*x)", False),
    ],
)
def test_a_parameter_may_bend_a_function_that_is_straight_at_first(text, affine):
    assert is_affine(parse(text, RAMACHANDRAN)) is affine


def test_a_space_lists_affine_functions_where_it_keeps_them():
    space = load_grammar("aquasurf").space("bench")
    usual, all_of_them = distinct(space), distinct(space.keeping_affine())
    assert not any(map(is_affine, usual))
    left_out = [expression for expression in all_of_them if expression not in set(usual)]
    assert left_out
    assert all(map(is_affine, left_out))
    assert space.keeping_affine().keeping_affine(False).affine is space.affine is False


@pytest.mark.parametrize(
    "text", ["x*g", "x*sigmoid(x)*g", "max(x, g)", "x/(1 + abs(g))", "tanh(x) + sin(g)", "exp(-(x - g)**2)"]
)
def test_a_usable_gate_passes(text):
    assert screen([parse(text)]).tolist() == [True]


@pytest.mark.parametrize(
    "text",
    [
        "x/g",
        "x*log(g)",
        "sqrt(abs(x))*g",
        "x/(x - g + 0.1)",
        "1/(x + g - 0.3333)",
        "exp(x*g)",
        "x/x + g - g",
        "x + 2*g + 1",
    ],
)
def test_a_gate_that_ends_somewhere_or_is_affine_does_not(text):
    assert screen([parse(text)]).tolist() == [False]
