"""Sines of products and sums of the input are right in the precision of the tensor, up to angles of 1e5 and beyond."""

from __future__ import annotations

import itertools
import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from mpmath import mp, mpf

from symact.activation.high_precision import DualEvaluator
from symact.activation.module import compile as compile_expression
from symact.activation.plan import plain
from symact.backends.select import SELECTOR
from symact.expr.tree import parse, to_sympy
from symact.program.compensation import compensated, remainder
from symact.program.gradient import backward
from symact.program.pipeline import lower

# An angle, and the largest |x| up to which it is below 1e5.
ANGLES = {
    "30*x": 3300.0,
    "10*(abs(x) + 1)*x": 99.0,
    "pi*x": 3e4,
    "1.7*x": 5e4,
    "x/3": 3e5,
    "(x + 0.3)": 9e4,
    "(2.5*x - 7)": 4e4,
    "(x**2 - 3*x)": 300.0,
}
OUTER = ("sin({})", "cos({})", "x*sin({})**2", "sinc({})", "exp(-cos({}))")


def right(found: float, wanted: mpf, relative: float, absolute: float) -> bool:
    return bool(abs(found - wanted) <= max(absolute, relative * abs(wanted)))


@pytest.mark.parametrize(("angle", "outer"), list(itertools.product(ANGLES, OUTER)))
def test_values_and_slopes_keep_their_accuracy_at_high_frequency(angle: str, outer: str) -> None:
    text, largest = outer.format(angle), ANGLES[angle]
    generator = np.random.default_rng(len(text))
    sizes = np.concatenate([generator.uniform(-largest, largest, 12), generator.uniform(-3, 3, 8)])
    formula = to_sympy(parse(text))
    for dtype, relative, absolute in ((torch.float32, 1e-5, 1e-6), (torch.float64, 1e-12, 1e-12)):
        points = torch.tensor(sizes).to(dtype)
        for way in (nullcontext(), SELECTOR.only_plain()):
            x = points.clone().requires_grad_()
            with way:
                values = compile_expression(text)(x)
                (slopes,) = torch.autograd.grad(values.sum(), x)
            for at, value, slope in zip(points.tolist(), values.tolist(), slopes.tolist(), strict=True):
                with mp.workprec(300):
                    exact = DualEvaluator({"x": at})(formula)
                assert right(value, exact.value, relative, absolute), (at, dtype)
                # Factors of the angle's slope multiply what the sine is allowed.
                assert right(slope, exact.slope, relative, absolute * max(1.0, 30.0 + 2.0 * largest)), (at, dtype)


@pytest.mark.parametrize("text", ["sin(30*x)", "sin(10*(abs(x) + 1)*x)", "sin(pi*x)", "cos(1.7*x)", "sinc(10*x)"])
def test_no_float64_is_needed_for_ordinary_inputs(text: str) -> None:
    program = lower(parse(text))
    for each in (program, backward(program)):
        assert plain(each, False, True)[1] is torch.float32


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("sin(pi*x)", -1.1443366552561254e18),
        ("sin(pi*x)", 1e12),
        ("sin(1.7*x)", 1e11),
        ("log(tan(pi/4 + x/2))", -1739898355712.0),
        ("cos(pi*x/3)", 1e15),
        ("sin(30*x)", 1e20),
        ("x*sin(pi*x)", -1.1443366552561254e18),
        ("cos(3*pi*x/4 - 1)", 1e30),
        ("tan(pi/2*(x + 0.5))", 1e30),
        ("sinc(2*pi*x)", 123456.78),
        ("sin(sqrt(2)*x)", 1e15),
        ("sin(x*(3.14159265359/180))", 1e20),
        ("cos(sqrt(2*pi/3)*x)", 1e15),
    ],
)
def test_angles_beyond_the_precision_are_reduced_as_they_are_meant(text: str, x: float) -> None:
    with mp.workprec(300):
        exact = DualEvaluator({"x": x})(to_sympy(parse(text))).value
    for dtype in (torch.float32, torch.float64):
        at = torch.tensor([x], dtype=dtype)
        assert at.item() == pytest.approx(x, rel=1e-7)
        with mp.workprec(300):
            exact = DualEvaluator({"x": at.item()})(to_sympy(parse(text))).value
        assert right(compile_expression(text)(at).item(), exact, 1e-5, 1e-6), dtype


def test_second_derivatives_keep_it_too() -> None:
    x = torch.linspace(-1e3, 1e3, 41, requires_grad=True)
    (first,) = torch.autograd.grad(compile_expression("sin(30*x)")(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    wanted = -900.0 * torch.sin(30.0 * x.detach().double())
    assert torch.allclose(second.double(), wanted, rtol=1e-5, atol=1e-3)


def test_frequencies_may_be_learned() -> None:
    from symact.expr.operators import Parameter, Vocabulary

    function = compile_expression("sin(w*x)", Vocabulary(parameters={"w": Parameter("w", 30.0)}))
    x, w = torch.linspace(0.0, 3e3, 101, requires_grad=True), torch.tensor(29.7, requires_grad=True)
    slopes = torch.autograd.grad(function(x, w=w).sum(), [x, w])
    wide = [t.detach().double().requires_grad_() for t in (x, w)]
    wanted = torch.autograd.grad(torch.sin(wide[1] * wide[0]).sum(), wide)
    assert torch.allclose(function(x, w=w).double(), torch.sin(wide[1] * wide[0]), atol=1e-6, rtol=1e-5)
    assert torch.allclose(slopes[0].double(), wanted[0], atol=3e-5, rtol=1e-5)
    assert slopes[1].item() == pytest.approx(wanted[1].item(), rel=1e-5)


@pytest.mark.parametrize("text", ["sin(x)", "sin(exp(x))", "x*sigmoid(x)", "cos(-x)", "sin(2*x)", "sinc(tanh(3*x))"])
def test_what_has_no_rest_stays(text: str) -> None:
    program = lower(parse(text))
    assert compensated(program, False) == program
    assert compensated(program, True) is program


@pytest.mark.parametrize(
    ("value", "double", "wanted"),
    [
        (30.0, False, 0.0),
        (0.1, False, 0.1 - float(np.float32(0.1))),
        (math.pi, True, 1.2246467991473532e-16),
        (2 * math.pi / 3, True, 2.296728565598444e-16),
        (1.7, True, 4.440892098500626e-17),
        (1 / 3, True, 1.850371707708594e-17),
        (0.1234567890123456, True, 0.0),
        (math.inf, False, 0.0),
    ],
)
def test_a_constant_brings_what_the_precision_does_not_hold(value: float, double: bool, wanted: float) -> None:
    assert remainder(value, double) == pytest.approx(wanted, rel=1e-6, abs=1e-25)
