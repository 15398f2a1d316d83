"""The grammars of the families of tasks hold the champions that they are named for, and are as large as they say."""

from __future__ import annotations

import math
import re

import pytest
import torch

from symact.activation.module import Activation
from symact.expr.tree import parse
from symact.program.loading import load_grammar, shipped

# Grammar, expression of its largest space, the function that it is before training.
CHAMPIONS = [
    ("inr", "sine(x)", "sin(4*x)"),
    ("inr", "sinc_wave(x)", "sin(4*x)/(4*x)"),
    ("inr", "gaussian(x)", "exp(-16*x**2)"),
    ("inr", "mul(cosine(x),gaussian(x))", "cos(4*x)*exp(-16*x**2)"),
    ("inr", "sine(stretch(x))", "sin(4*(abs(x) + 1)*x)"),
    ("inr", "sine(sinh(x))", "sin(4*(exp(x) - exp(-x))/2)"),
    ("pinn", "tanh(scale(x))", "tanh(x)"),
    ("pinn", "sine(x)", "sin(x)"),
    ("pinn", "mul(x,sigmoid(scale(x)))", "x/(1 + exp(-x))"),
    ("modern", "squared_relu(x)", "max(x, 0)**2"),
    ("modern", "gate(x,scale(x))", "x/(1 + exp(-x))"),
    ("modern", "xielu(x)", "where(x > 0, 0.8*x**2 + 0.5*x, 0.8*(exp(x) - 1 - x) + 0.5*x)"),
    ("modern", "symlog(x)", "where(x > 0, log(1 + x), -log(1 - x))"),
]


@pytest.mark.parametrize(("name", "text", "formula"), CHAMPIONS)
def test_a_champion_is_an_expression_of_its_grammar(name: str, text: str, formula: str) -> None:
    grammar = load_grammar(name)
    points = torch.linspace(-2, 2, 101, dtype=torch.float64) + 1e-3
    own = Activation(parse(text, grammar), grammar)
    own(points.float())
    torch.testing.assert_close(own(points), Activation(formula)(points), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["inr", "pinn"])
def test_frequency_and_slope_are_learned_and_stay_positive(name: str) -> None:
    parameters = load_grammar(name).parameters.values()
    assert parameters
    assert all(p.positive and p.per == "layer" and math.isfinite(p.init) for p in parameters)


@pytest.mark.parametrize("name", [name for name in shipped() if "expressions" in shipped()[name].read_text()])
def test_the_sizes_that_a_grammar_states_are_those_that_it_has(name: str) -> None:
    stated = re.findall(r"^(\w+) += \[.*# ([\d,]+) expressions", shipped()[name].read_text(), re.MULTILINE)
    spaces = load_grammar(name).spaces
    assert all(f"{spaces[space].count():,}" == count for space, count in stated)
