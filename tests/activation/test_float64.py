"""Tensors of float64 get the care that float32 gets: 1e-12, by kernels and by plain operations."""

from __future__ import annotations

import math
import sys
from contextlib import nullcontext
from pathlib import Path

import mpmath
import pytest
import torch

from symact.activation.high_precision import evaluate
from symact.activation.module import CompiledFunction
from symact.backends.select import SELECTOR
from symact.expr.tree import parse, to_sympy
from symact.program.loading import parse_grammar

sys.path.insert(0, str(Path(__file__).parent))
from test_hard_cases import EXPRESSIONS, points

LARGEST = 1.7e308
# Every fourth of the file, so that this stays quick, and what people write for physics.
CASES = [
    *EXPRESSIONS[::4],
    "x*tanh(exp(x))",
    "x*erf(0.75*exp(0.75*x))",
    "x*log(2-exp(-exp(x)))",
    "log((1+exp(x))/(1+exp(x-1)))",
    "1/50*log((1+exp(50*x))/(1+exp(50*(x-1))))",
    "x*(1+x/sqrt(1+x**2))/2",
    "(x+sqrt(x**2+4))/2",
    "x*(atan(x)/pi+1/2)",
    "sqrt((exp(2*x) - 1)/(exp(x) - 1))",
    "(exp(x) - 1)/x",
    "log1p(tanh(x))",
    "log(0.5+0.5*erf(x))",
    "tanh(sinh(x))*x",
    "(1+1/cosh(x))*x",
    "acos(1-x)",
    "1.7e308*x - 1.7e308",
]
ALWAYS = (0.0, 1e-30, -1e-30, 1e-5, -1e-5, 1.0, -1.0, 20.0, -20.0, 100.0, -100.0, 1000.0, -1000.0)


def close(found: float, wanted: mpmath.mpf) -> bool:
    if mpmath.isnan(wanted):
        return True
    if abs(wanted) > LARGEST:
        return abs(found) > 1e299 and found * mpmath.sign(wanted) > 0
    return math.isfinite(found) and bool(abs(found - wanted) <= 1e-12 * max(1, abs(wanted)))


# Terms that grow and cancel; some published functions are written so.
FAR = (
    "sqrt(x**2 + 1) - 1 + x",
    "where(x >= 0, x, x + x**2/sqrt(1 + x**2))",
    "(x + x**2/sqrt(x**2 + 1e-6))/2",
    "(x - x**2/sqrt(x**2 + 0.25))/2",
    "(sqrt((x + 1)**2 + 1e-6) - sqrt((x - 1)**2 + 1e-6))/2",
    "(1 + sqrt(x**2 + 1e-6) - sqrt((x - 1)**2 + 1e-6))/2",
    "x*tanh((1 - exp(-x))/(1 + exp(-x))/2)",
    "log(cosh(x)) + x",
    "max(2*x + 1, 0) - max(2*x - 1, 0)",
    "max(x - 1, 0) - max(x + 1, 0)",
    "min(max(1 - x, 0), max(1 + x, 0))",
)
TAILS = [sign * size for size in (1e-30, 1e-5, 0.3, 2.7, 45.0, 1e4, 1e7, 1e12, 1e20, 1e30) for sign in (1.0, -1.0)]


@pytest.mark.parametrize("text", [*CASES, *FAR])
def test_values_and_slopes_have_twelve_digits(text: str) -> None:
    formula = to_sympy(parse(text))
    places = TAILS if text in FAR else points(text) if text in EXPRESSIONS else ALWAYS
    rows = [(x, found) for x in places if (found := evaluate(formula, x)) and not mpmath.isnan(found.value)]
    x = torch.tensor([row[0] for row in rows], dtype=torch.float64, requires_grad=True)
    for way in (nullcontext(), SELECTOR.only_plain()):
        with way:
            values = CompiledFunction(parse(text))(x)
            (slopes,) = torch.autograd.grad(values.sum(), x)
        for (at, wanted), y, g in zip(rows, values.tolist(), slopes.tolist(), strict=True):
            assert close(y, wanted.value), f"f({at:g}) = {y}, not {mpmath.nstr(wanted.value, 15)}"
            assert close(g, wanted.slope), f"f'({at:g}) = {g}, not {mpmath.nstr(wanted.slope, 15)}"


def test_a_parameter_may_be_negative_where_exponentials_overflow() -> None:
    grammar = parse_grammar('name = "g"\n[parameters]\np = { init = 1.0 }\n[unary]\nf = "p*x"\n')
    tail = "exp(-abs(x)/p)/((1 + exp(-abs(x)/p))*(1 + exp(-abs(x)/p)))"
    x = torch.tensor([3.0, 2e20, -7e23], dtype=torch.float64, requires_grad=True)
    values = CompiledFunction(parse(tail, grammar))(x, p=torch.tensor(-2.0, dtype=torch.float64))
    (slopes,) = torch.autograd.grad(values.sum(), x)
    grown = math.exp(-1.5)
    assert values.tolist() == pytest.approx([grown / (1 + grown) ** 2, 0.0, 0.0], rel=1e-12)
    assert slopes.isfinite().all()
