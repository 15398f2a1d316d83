"""A normalized function has mean 0 and variance 1 for normal inputs, and says why where none can be made."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch

import symact
from symact.errors import InputError

GRAMMAR = symact.load_grammar("aquasurf")


def moments(function) -> tuple[float, float]:
    z = torch.from_numpy(np.random.default_rng(0).standard_normal(1_000_000))
    values = function(z)
    return values.mean().item(), values.std().item()


@pytest.mark.parametrize("text", ["relu(x)", "x*sigmoid(x)", "exp(-x*x)", "max(x - 0.3, 0)", "sign(x)*x**2", "cosh(x)"])
def test_mean_and_variance_are_those_of_a_standard_normal(text):
    mean, deviation = moments(symact.compile(symact.normalized(text)))
    assert mean == pytest.approx(0, abs=6e-3)
    assert deviation == pytest.approx(1, abs=2e-2)


def test_the_numbers_are_those_of_the_integrals():
    # max(z, 0) has mean 1/sqrt(2 pi) and second moment 1/2.
    x = torch.linspace(-3, 3, 101, dtype=torch.float64)
    mean = 1 / mpmath.sqrt(2 * mpmath.pi)
    deviation = mpmath.sqrt(mpmath.mpf(1) / 2 - mean**2)
    wanted = (x.clamp(min=0) - float(mean)) / float(deviation)
    assert torch.allclose(symact.compile(symact.normalized("relu(x)"))(x), wanted, rtol=1e-9, atol=1e-9)


def test_expressions_of_a_grammar_keep_their_words_and_parameters():
    ramachandran = symact.load_grammar("ramachandran")
    act = symact.Activation(symact.normalized("mul(identity(x),sigmoid(beta(x)))", ramachandran), ramachandran)
    assert [name.split(".")[-1] for name, _ in act.named_parameters()] != []
    found = symact.normalized("sum_n(abs(x),swish(x),sigmoid(x))", GRAMMAR)
    assert "sum_n(abs(x),swish(x),sigmoid(x))" in str(found)
    with torch.no_grad():
        assert moments(act)[1] == pytest.approx(1, abs=2e-2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0*x + 2", "constant"),
        ("1/x", "not finite"),
        ("exp(x*x)", "not finite"),
        ("log(x)", "not finite"),
        ("x*g", "x alone"),
    ],
)
def test_what_has_no_moments_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        symact.normalized(symact.Gate(text).expr if text == "x*g" else text)
