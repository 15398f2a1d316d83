"""The Python that the page offers makes the function that was found."""

from __future__ import annotations

import pytest
import torch

import symact
from symact.expr.tree import parse
from symact.optimize.mixture_formula import weighted_sum
from symact.program.loading import load_grammar, parse_grammar
from symact.report.snippet import snippet

OWN = parse_grammar('name = "own"\n[unary]\nbent = "x + 0.3*sin(2*x)"\nelu = "elu(x)*2"\n[binary]\nless = "a - b"')
X = torch.linspace(-3, 3, 31)


@pytest.mark.parametrize("text", ["less(bent(x),elu(x))", "elu(x)", "x*sigmoid(x)", "less(x,tanh(x))"])
def test_a_function_without_parameters_needs_no_grammar(text: str):
    names: dict = {}
    exec(snippet(parse(text, OWN), "own.toml"), names)
    torch.testing.assert_close(names["activation"](X), symact.Activation(parse(text, OWN))(X))
    assert "grammar" not in names


def test_a_function_with_parameters_keeps_them_learnable():
    grammar, names = load_grammar("ramachandran"), {}
    exec(
        snippet(parse("mul(x,sig(beta(x)))" if "sig" in grammar.operators else "beta(x)", grammar), "ramachandran"),
        names,
    )
    assert [name for name, _ in names["activation"].named_parameters()] == ["beta"]


def test_a_function_of_two_inputs_is_a_gate():
    grammar = parse_grammar('name = "two"\ninputs = ["x", "g"]\n[unary]\nbent = "x + 1"\n[binary]\nless = "a - b"')
    names: dict = {}
    exec(snippet(parse("less(bent(x),g)", grammar), "two.toml"), names)
    torch.testing.assert_close(names["activation"](X, X / 2), X / 2 + 1)


def test_several_sites_have_a_module_each():
    names: dict = {}
    exec(snippet((parse("bent(x)", OWN), parse("relu(x)")), "own.toml"), names)
    torch.testing.assert_close(names["activations"][0](X), symact.Activation("bent(x)", OWN)(X))
    torch.testing.assert_close(names["activations"][1](X), X.relu())


def test_a_mixture_is_exported():
    mixture = weighted_sum({"w0_f0": "relu(x)", "w0_f1": "tanh(x)"}, load_grammar("aquasurf"))
    assert "symact export" in snippet(mixture, "aquasurf")
