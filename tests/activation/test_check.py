"""`check`, the high-precision reference, limits of float32, and random compositions."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch

from symact.activation.check import CheckReport, check, error
from symact.activation.float32_range import limit, wide
from symact.activation.high_precision import evaluate
from symact.activation.module import CompiledFunction
from symact.activation.module import compile as compile_expression
from symact.backends.select import SELECTOR
from symact.commands.compiled import stages
from symact.errors import InputError
from symact.expr.tree import parse, to_sympy
from symact.program.gradient import backward
from symact.program.loading import load_grammar
from symact.program.pipeline import lower


def test_check_finds_small_errors_where_there_are_small_errors() -> None:
    report = check("x*sigmoid(x)", points=(-30.0, -1.0, 0.0, 0.3, 5.0, 1e30))
    assert 0 < report.worst_value_error < 1e-6
    assert report.worst_gradient_error < 1e-6
    assert report.points == 6


def test_check_leaves_out_where_the_function_is_undefined() -> None:
    assert check("log(x)", points=(-1.0, 0.0, 2.0)).points == 1


def test_errors_are_relative_or_absolute_and_infinite_for_nan() -> None:
    assert error(1.00001, mpmath.mpf(1)) == pytest.approx(1e-5, rel=1e-3)
    assert error(1e-6, mpmath.mpf(0)) == pytest.approx(1e-5)
    assert error(math.inf, mpmath.mpf("1e60")) == 0.0
    assert error(-math.inf, mpmath.mpf("1e60")) == math.inf
    assert error(math.nan, mpmath.mpf(1)) == math.inf


@pytest.mark.parametrize("text", ["sin(exp(x))", "cos(cosh(x))", "tan(exp(x))"])
def test_angles_beyond_every_format_are_not_reduced(text: str) -> None:
    formula = to_sympy(parse(text))
    beyond, within = evaluate(formula, 1e30), evaluate(formula, 30.0)
    assert beyond is not None
    assert mpmath.isnan(beyond.value)
    assert within is not None
    angle = mpmath.cosh if "cosh" in text else mpmath.exp
    with mpmath.workprec(300):
        expected = getattr(mpmath, text[:3])(angle(mpmath.mpf(30)))
    assert mpmath.almosteq(within.value, expected, 1e-12)


@pytest.mark.parametrize(
    ("text", "at", "value"),
    [
        ("2**exp(x)", 1e30, mpmath.inf),
        ("2**(-exp(x))", 1e30, 0),
        ("abs(x)**exp(x)", 1e8, mpmath.inf),
        ("(1/(1+x**2))**exp(x**2)", 1e15, 0),
        ("(1+exp(-x))**exp(x)", 1e3, mpmath.e),
    ],
)
def test_powers_with_exponents_beyond_every_format(text: str, at: float, value: mpmath.mpf) -> None:
    found = evaluate(to_sympy(parse(text)), at)
    assert found is not None
    assert found.value == value or abs(found.value - value) < 1e-12


@pytest.mark.parametrize("stage", ["canonical", "program", "gradient", "torch", "triton", "latex"])
def test_every_stage_prints(stage: str) -> None:
    assert stages()[stage](parse("x*sigmoid(x)"))


def test_operators_of_a_composition_are_rewritten_together() -> None:
    grammar = load_grammar("aquasurf")
    assert str(lower(parse("log_sigmoid(x)", grammar))) == "%1 = logsigmoid(x)\nreturn %1"
    assert "expm1" in str(lower(parse("sinh(exp(atan(x)) - 1)")))


def test_the_limit_of_float32_is_where_it_overflows() -> None:
    assert limit(lower(parse("x*sigmoid(x)"))) == math.inf
    assert 1e18 < limit(lower(parse("x**2/(1 + x**2)"))) < 1e20


def test_wide_programs_have_no_nan_from_overflow() -> None:
    from symact.backends import torch_source

    x = torch.tensor([1e4, -1e4], dtype=torch.float64)
    slopes = torch_source.function(wide(backward(lower(parse("x*tanh(exp(x))")))))(x, torch.ones_like(x))
    assert slopes.tolist() == [1.0, 0.0]


def _finite_on_the_way(function: CompiledFunction, x: torch.Tensor) -> torch.Tensor:
    """Where every intermediate of the forward and the backward Program is finite in float32."""
    from symact.backends import torch_source
    from symact.program.builder import Builder

    finite = torch.ones(len(x), dtype=torch.bool)
    for program in (lower(function.expr), backward(lower(function.expr))):
        builder = Builder(program.inputs)
        numbers = builder.inline(program, tuple(range(len(program.inputs))))
        steps = builder.build(*{*range(len(program.inputs), len(program.inputs) + len(builder.operations)), *numbers})
        values = torch_source.function(steps)(*[x, torch.ones_like(x)][: len(program.inputs)])
        for value in values if isinstance(values, tuple) else (values,):
            finite &= value.isfinite()
    return finite


@pytest.mark.parametrize("seed", range(60))
def test_random_compositions(seed: int) -> None:
    """No NaN where every step is finite, and back ends agree with high precision up to conditioning."""
    space = load_grammar("aquasurf").space("bench" if seed % 2 else "large")
    expr = space.sample(np.random.default_rng(seed))
    points = torch.tensor([-9.7, -2.3, -0.9, -0.2, 0.1, 0.6, 1.7, 5.3, 33.0])
    formula = to_sympy(expr)
    function = compile_expression(expr)
    finite = _finite_on_the_way(function, points)
    for plain in (True, False):
        x = points.clone().requires_grad_()
        if plain:
            with SELECTOR.only_plain():
                values = function(x)
        else:
            values = function(x)
        (slopes,) = torch.autograd.grad(values.sum(), x)
        for at, y, slope, ordinary in zip(points.tolist(), values.tolist(), slopes.tolist(), finite, strict=True):
            exact = evaluate(formula, at)
            if exact is None or not ordinary:
                continue
            assert not math.isnan(y)
            if not mpmath.isnan(exact.slope):
                assert not math.isnan(slope)
            if mpmath.isfinite(exact.value) and abs(exact.value) < 1e30:
                # The total condition number, with room for the steps' own.
                condition = 1 + abs(at * exact.slope) / max(abs(exact.value), mpmath.mpf("1e-6"))
                allowed = 100 * 2.0**-23 * float(condition) * max(1e-3, abs(float(exact.value)))
                assert abs(y - float(exact.value)) <= allowed + 1e-6, (str(expr), at)


def test_a_report_has_a_verdict() -> None:
    assert CheckReport(1e-6, 9e-6, 1.0, 40).passed
    for report in (CheckReport(2e-5, 0.0, 1.0, 40), CheckReport(0.0, math.inf, 1.0, 40), CheckReport(0.0, 0.0, 0.0, 0)):
        assert not report.passed
    assert "gradient is wrong at x = 1: error inf" in CheckReport(0.0, math.inf, 1.0, 40).verdict
    assert "defined at none" in CheckReport(0.0, 0.0, 0.0, 0).verdict


def test_a_function_of_two_inputs_is_refused() -> None:
    with pytest.raises(InputError, match="is a function of x and g; the check takes functions of x alone"):
        check("x*sigmoid(x)*g", load_grammar("gates"))
