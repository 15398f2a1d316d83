"""Exponentials out of the range of float64 cancel as they do in mathematics."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from mpmath import mpf

from symact.activation.extended_range import extended
from symact.activation.jets import jet
from symact.activation.module import compile as compile_expression
from symact.backends import torch_source
from symact.expr.tree import parse
from symact.program.builder import Builder
from symact.program.gradient import backward
from symact.program.instructions import INSTRUCTIONS
from symact.program.mpmath_values import MEANING
from symact.program.pipeline import lower


@pytest.mark.parametrize(
    ("text", "x", "value", "slope"),
    [
        ("log(asinh(exp(x)))", -1e6, -1e6, 1.0),
        ("cosh(x)*sigmoid(x)", -5e4, 0.5, 0.0),
        ("softplus(x)/sigmoid(x)", -1e5, 1.0, 0.0),
        ("log(1 + exp(x) + exp(2*x))", 1e5, 2e5, 2.0),
        ("gelu(x)/ndtr(x)", -1e3, -1e3, 1.0),
        ("erfc(x)*exp(x*x)*x", 1e4, 1 / math.sqrt(math.pi), 0.0),
        ("log(1 + 2**x)", 1e4, 1e4 * math.log(2), math.log(2)),
        ("exp(2*x)/(1 + exp(x))**2", 1e3, 1.0, 0.0),
        ("log(abs(sinh(x)))", -1e3, 1e3 - math.log(2), -1.0),
        ("max(exp(x), exp(2*x))/exp(2*x)", 2e3, 1.0, 0.0),
        ("tanh(exp(x))/exp(x)", -2e3, 1.0, 0.0),
    ],
)
def test_quotients_and_logarithms_of_exponentials(text: str, x: float, value: float, slope: float) -> None:
    program = lower(parse(text))
    at = torch.tensor([x], dtype=torch.float64)
    assert float(torch_source.function(extended(program))(at)) == pytest.approx(value, rel=1e-7)
    found = torch_source.function(extended(backward(program)))(at, torch.ones_like(at))
    assert float(found) == pytest.approx(slope, rel=1e-7, abs=1e-6)


@pytest.mark.parametrize("name", [name for name, row in INSTRUCTIONS.items() if row.arity == 1])
def test_every_operation_of_a_number_and_of_an_exponential_is_what_it_was(name: str) -> None:
    for inner in (None, "exp"):
        builder = Builder(("x",))
        argument = 0 if inner is None else builder.emit(inner, 0)
        program = builder.build(builder.emit(name, argument))
        points = [-9.5, -2.5, -0.3, 1e-3, 0.4, 1.5, 2.9]
        found = torch_source.function(extended(program))(torch.tensor(points, dtype=torch.float64))
        for point, value in zip(points, found.tolist(), strict=True):
            exact = MEANING[name](mpf(point) if inner is None else mpmath.exp(mpf(point)))
            if mpmath.isnan(exact):
                assert math.isnan(value)
            else:
                assert value == pytest.approx(float(exact), rel=1e-11, abs=1e-14), point


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "text",
    [
        "erfc(cosh(x))*exp(x)",
        "exp(-exp(x))*exp(x)",
        "(1 - tanh(exp(x)))*exp(x)",
        "softplus(-exp(x))*exp(x)",
        "exp(-cosh(x))*cosh(x)",
        "sigmoid(-3*exp(x))*exp(3*x)",
        "sinh(x)*exp(-exp(x))",
    ],
)
def test_what_falls_like_the_exponential_of_one_is_never_overtaken(text: str, dtype: torch.dtype) -> None:
    x = torch.tensor([30.0, 79.0, 88.0, 1e3, 4e8, 1e9, 6e16, 1e30], dtype=dtype, requires_grad=True)
    for found in jet(compile_expression(text), x, 3):
        assert torch.equal(found.abs() < 1e-6, torch.ones(len(x), dtype=torch.bool))
