"""Formulas whose terms cancel, overflow or saturate: the same values in every precision and on every path."""

from __future__ import annotations

from contextlib import nullcontext

import mpmath
import pytest
import torch

from symact.activation.high_precision import evaluate
from symact.activation.module import compile as compile_expression
from symact.backends.select import SELECTOR
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse, to_sympy

SIZES = (1e-12, 1e-4, 0.03, 0.7, 1.0002041, 1.5, 6.0, 20.0, 30.0, 100.0, 1000.0, 1e6, 4e15)
EVERYWHERE = tuple(sign * size for size in SIZES for sign in (1.0, -1.0))
FORMULAS = [
    # logarithms
    "log1p(tanh(x))",
    "log(1 + erf(x))",
    "log(0.5 + 0.5*erf(x))",
    "log(0.5 - 0.5*tanh(3*x))",
    "log((1 + x)/(1 - x))",
    "log(1 - tanh(x)**2)",
    "(x + 1)*log(x + 1) - x*log(x) - 1",
    "log(x + 1) - log(x)",
    "log((1 + exp(x))/(1 + exp(x - 1)))",
    "log((1 + exp(50*x))/(1 + exp(50*(x - 1))))/50",
    "log((2 + exp(-x))*sigmoid(x))",
    "softplus(2*x) - softplus(2*x - 1)",
    "log(abs(x*sigmoid(x)))",
    "log(x + sqrt(x*x - 1))",
    "log(x)/(x - 1)",
    "(x + 3)*log(x + 3) - x*log(x)",
    "x*log(x) - (x + 1)*log(x + 1)",
    "x*log((x + 1)/x)",
    "log(x/(x - 3))",
    "log(x) - log(x + 5)",
    # roots and quotients
    "x*(1 + x/sqrt(1 + x**2))/2",
    "1 - x/sqrt(x**2 + 1)",
    "(x + sqrt(x**2 + 4))/2",
    "sqrt(x**2 + 0.25) - x",
    "sqrt(x + 2) - sqrt(x)",
    "sqrt(1 + x) - 1",
    "10/(1 - x*x)",
    "1/(x*x - 4)",
    "x - sqrt(x*x - 1)",
    "sqrt(x**2 - 9) + x",
    "cbrt(x + 1) - cbrt(x)",
    "x**0.25 - (x + 2)**0.25",
    "(1.7e308*x - 1.7e308)/1e308",
    # saturation
    "x*(atan(x)/pi + 1/2)",
    "1 - 2*atan(x)/pi",
    "x*(0.5 + 0.5*x/(1 + abs(x)))",
    "exp(x) - exp(x - 1)",
    "x*tanh(exp(x))",
    "x*erf(0.75*exp(0.75*x))",
    "x*log(2 - exp(-exp(x)))",
    "tanh(sinh(x))*x",
    "exp(-2*exp(x))*x",
    "sigmoid(-3*expm1(x))",
    "erfc(cosh(x))*exp(x)",
]


def wanted(text: str, x: float, **parameters: float) -> tuple[mpmath.mpf, mpmath.mpf] | None:
    found = evaluate(to_sympy(parse(text, LEARNED)), x, parameters)
    return None if found is None or mpmath.isnan(found.value) else (found.value, found.slope)


def close(found: float, exact: mpmath.mpf, relative: float, absolute: float) -> bool:
    return bool(mpmath.isnan(exact) or abs(exact) > 1e37 or abs(found - exact) <= max(absolute, relative * abs(exact)))


@pytest.mark.parametrize("text", FORMULAS)
def test_values_and_slopes(text: str) -> None:
    for dtype, relative, absolute in ((torch.float32, 1e-5, 1e-6), (torch.float64, 1e-12, 1e-12)):
        points = torch.tensor(EVERYWHERE).to(dtype)
        rows = [(x, exact) for x in points.tolist() if (exact := wanted(text, x)) is not None]
        for way in (nullcontext(), SELECTOR.only_plain()):
            x = torch.tensor([row[0] for row in rows], dtype=dtype, requires_grad=True)
            with way:
                values = compile_expression(text)(x)
                (slopes,) = torch.autograd.grad(values.sum(), x)
            for (at, exact), value, slope in zip(rows, values.tolist(), slopes.tolist(), strict=True):
                assert close(value, exact[0], relative, absolute), f"f({at!r}) = {value!r} in {dtype}"
                assert close(slope, exact[1], relative, absolute), f"f'({at!r}) = {slope!r} in {dtype}"


LEARNED = Vocabulary(parameters={"p": Parameter("p", 1.0)})
WITH_PARAMETERS = [
    ("(x+p)**2 - x**2", -14529363.0, -8.096962460513168e-07),
    ("100*((1 + x/p)**p - 1)/(x/p)", 1.34e-22, 7572.68),
    ("x*log(1/(1 - 4*p))", 201.7, 1.2177e-7),
    ("p*log((1 + x)/(1 - x))", -3.66e-17, -2.1e10),
    ("x*p/(p + 1)", -1.3e28, 3.2e16),
    ("(x + p)**5 - x**5", -4.0, 1.3),
    ("(sqrt(1 + p*x*x) - 1)/p", 1.0, 1e-4),
    ("sqrt(x*x + p) - x", 1e4, 1e-2),
    ("(x + sqrt(x*x + p))/2", -1e3, 0.3),
    ("sin(p*x)", 1234.5, 17.3),
    ("x*tanh(exp(p*x))", 900.0, 1.7),
    ("log(1 + exp(p*x))/p", 2000.0, 3.0),
    # parameters of other sizes than float32 was examined for
    ("sqrt(x*x + p*p)", 1.88786, 2.72557e19),
    ("9*x**4 - p**4 + 2*(p*p)", -5.4e7, -9.4e8),
    ("(x*x - 4*p*p)/(x*x + 4*p*p)", -831225.0, 9.08549e20),
    ("x*p/(((x + p)*(x + p))*((x + p) + 1))", 9683220032.0, -5.81191e20),
    ("cbrt(x/(2*p))", 5.6e16, 1.7e-26),
]


@pytest.mark.parametrize(("text", "x", "p"), WITH_PARAMETERS)
def test_rewrites_do_not_stop_at_parameters(text: str, x: float, p: float) -> None:
    function = compile_expression(text, LEARNED)
    for dtype, relative, absolute in ((torch.float32, 1e-5, 1e-6), (torch.float64, 1e-12, 1e-12)):
        at, parameter = torch.tensor([x], dtype=dtype), torch.tensor(p, dtype=dtype)
        exact = wanted(text, at.item(), p=parameter.item())
        assert exact is not None
        assert close(function(at, p=parameter).item(), exact[0], relative, absolute), dtype
        beside = torch.tensor([x, 1e9, -3e20], dtype=dtype)
        assert function(beside, p=parameter)[0].item() == function(at, p=parameter).item()


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_erfcx_has_its_derivatives_to_any_order(order: int) -> None:
    for x in (0.5, 3.0, 7.9, 8.1, 20.0, 1e5, 1e10):
        at = torch.tensor([x], dtype=torch.float64, requires_grad=True)
        value = compile_expression("erfcx(x)")(at)
        for _ in range(order):
            (value,) = torch.autograd.grad(value.sum(), at, create_graph=True)
        if x < 1e3:
            with mpmath.workprec(4000 if x > 10 else 600):
                exact = mpmath.diff(lambda t: mpmath.exp(t * t) * mpmath.erfc(t), mpmath.mpf(x), order)
        else:
            exact = mpmath.fac(order) * (-1) ** order / (mpmath.sqrt(mpmath.pi) * mpmath.mpf(x) ** (order + 1))
        relative = 1e-9 if x < 1e3 else 1e-6
        assert abs(value.item() - exact) <= max(relative * abs(exact), 1e-40)
