"""The table of derivatives against high precision, to second order; kinks as declared."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from mpmath import mp, mpf

from symact.activation.module import compile as compile_expression
from symact.backends import torch_source
from symact.expr.functions import FUNCTIONS
from symact.expr.tree import parse
from symact.program.builder import Builder
from symact.program.gradient import GRADIENTS, backward
from symact.program.instructions import INSTRUCTIONS, MACROS
from symact.program.mpmath_values import MEANING
from symact.program.pipeline import lower
from symact.program.program import Program

POINTS = (-40.3, -9.5, -3.2, -1.3, -0.6, -0.01, 0.02, 0.4, 1.1, 1.9, 4.7, 12.5, 60.2)


def single(name: str) -> Program:
    count = INSTRUCTIONS[name].arity
    builder = Builder(("a", "b", "c")[:count])
    return builder.build(builder.emit(name, *range(count)))


def slopes(name: str, arguments: tuple[float, ...]) -> list[float]:
    inputs = [torch.tensor([value], dtype=torch.float64) for value in arguments]
    found = torch_source.function(backward(single(name)))(*inputs, torch.ones(1, dtype=torch.float64))
    return [term.item() for term in (found if isinstance(found, tuple) else (found,))]


def test_there_is_one_row_per_operation() -> None:
    assert set(GRADIENTS) | {"const"} == set(INSTRUCTIONS)
    # A macro that no formula defines has a meaning of its own.
    undefined = {name for name in MACROS if name in FUNCTIONS and not FUNCTIONS[name].definition}
    assert set(MEANING) | {"const"} == set(INSTRUCTIONS) | undefined


@pytest.mark.parametrize("name", [name for name, row in INSTRUCTIONS.items() if row.arity == 1])
def test_derivative_of_a_function(name: str) -> None:
    for x in POINTS:
        if not mpmath.isfinite(MEANING[name](mpf(x))):
            continue
        with mp.workprec(400):
            exact = mpmath.diff(MEANING[name], mpf(x), h=mpf(10) ** -40)
        if abs(exact) > 1e200:
            continue
        assert slopes(name, (x,))[0] == pytest.approx(float(exact), rel=1e-8, abs=1e-14), x


@pytest.mark.parametrize("name", [name for name, row in INSTRUCTIONS.items() if row.arity == 2])
def test_derivative_in_two_arguments(name: str) -> None:
    for a, b in ((0.7, 1.9), (2.5, -1.3), (1.4, 0.2), (3.0, 3.5)):
        found = slopes(name, (a, b))
        with mp.workprec(300):
            exact = [
                mpmath.diff(lambda t, b=b: MEANING[name](t, mpf(b)), mpf(a), h=mpf(10) ** -30),
                mpmath.diff(lambda t, a=a: MEANING[name](mpf(a), t), mpf(b), h=mpf(10) ** -30),
            ]
        assert found == pytest.approx([float(e) for e in exact], rel=1e-10, abs=1e-14)


def test_where_passes_to_the_branch_that_is_taken() -> None:
    assert slopes("where", (1.0, 5.0, 7.0)) == [0.0, 1.0, 0.0]
    assert slopes("where", (0.0, 5.0, 7.0)) == [0.0, 0.0, 1.0]


# (expression, x, declared derivative): PyTorch's convention for the same function.
KINKS = (
    ("max(x,0)", 0.0, 0.0),
    ("relu(x)", 0.0, 0.0),
    ("min(max(x,0),6)", 6.0, 0.0),
    ("abs(x)", 0.0, 0.0),
    ("sign(x)", 0.0, 0.0),
    ("max(x,-x)", 0.0, 0.0),
    ("max(x,2*x)", 0.0, 1.5),
    ("elu(x)", 0.0, 1.0),
    ("where(x>0,x,0.01*x)", 0.0, 0.01),
    ("sqrt(abs(x))", 0.0, 0.0),
    ("abs(x)**1.5", 0.0, 0.0),
    ("abs(x)**0.3", 0.0, 0.0),
    ("sinc(x)", 0.0, 0.0),
    ("heaviside(x)", 0.0, 0.0),
)


@pytest.mark.parametrize(("text", "x", "slope"), KINKS)
def test_kinks_are_as_declared(text: str, x: float, slope: float) -> None:
    at = torch.tensor([x], requires_grad=True)
    (found,) = torch.autograd.grad(compile_expression(text)(at).sum(), at)
    assert found.item() == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("text", ["where(x>0,log(x),x)", "where(x<1,x,exp(x**3))", "elu(x)", "where(x>0,sqrt(x),0)"])
def test_the_branch_not_taken_leaves_no_nan(text: str) -> None:
    at = torch.tensor([-300.0, -1.0, 0.0], requires_grad=True)
    values = compile_expression(text)(at)
    (found,) = torch.autograd.grad(values.sum(), at)
    assert values.isfinite().all()
    assert found.isfinite().all()


SMOOTH = [
    "x*sigmoid(x)",
    "gelu(x)",
    "mish(x)",
    "logcosh(x)",
    "erfcx(x)",
    "log_ndtr(x)",
    "i0e(x)*x",
    "i1e(x)",
    "sinc(x)",
    "asinh(x)*tanh(x)",
    "x/sqrt(1+x**2)",
    "exp(-x**2)*erfc(x)",
    "softplus(x)**1.5",
    "x**3/(1+exp(-x))",
    "atan(x)*cosh(x/3)",
    "1/cosh(x)",
    "log(cosh(x))",
    "expm1(x)/x",
    "1/tanh(x)-1/x",
]


@pytest.mark.parametrize("text", SMOOTH)
def test_second_order_gradients(text: str) -> None:
    x = torch.tensor([-3.1, -0.8, -0.2, 0.3, 0.9, 2.7], dtype=torch.float64, requires_grad=True)
    function = compile_expression(text)
    assert torch.autograd.gradcheck(function, (x,), atol=1e-7)
    assert torch.autograd.gradgradcheck(function, (x,), atol=1e-6)


def test_a_program_of_several_outputs_has_one_gradient_per_output() -> None:
    first = backward(lower(parse("x**3")))
    second = backward(first)
    assert len(second.inputs) == 3
    x = torch.tensor([2.0], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    terms = torch_source.function(second)(x, one, one)
    assert terms[0].item() == pytest.approx(6.0 * 2.0)
    assert terms[1].item() == pytest.approx(3.0 * 4.0)
    assert math.isfinite(terms[0].item())
