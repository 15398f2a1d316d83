"""The screen on functions chosen to escape it, each judged by hand."""

from __future__ import annotations

import pytest

from symact.equivalence import screen
from symact.expr.grammar import load_grammar
from symact.expr.tree import parse

USABLE = [
    "x",
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
    "x**2/x",
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
    texts = ["scale(x)", "mul(beta(x),beta(x))", "rbf(identity(x),sin(x))", "div(identity(x),sin(x))"]
    assert screen([parse(text, grammar) for text in texts]).tolist() == [True, False, True, False]
