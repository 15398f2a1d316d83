"""Random compositions: within 16 ulp times the condition of each step, and no NaN where every step is finite."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symact.activation.float32_range import wide
from symact.activation.module import CompiledFunction
from symact.activation.plan import plan
from symact.backends import torch_source
from symact.backends.select import SELECTOR
from symact.expr.tree import Expr, parse
from symact.program.gradient import backward
from symact.program.loading import load_grammar
from symact.program.pipeline import lower
from tests.backends.running_error import Bound, bounds

LARGEST = 3.4028235e38
SPACES = [load_grammar("aquasurf").space(name) for name in ("bench", "large")]
POINTS = (
    0.0,
    1e-30,
    -1e-8,
    1e-4,
    -1e-3,
    0.1,
    -0.2,
    0.5,
    0.6,
    -0.9,
    1.0,
    -1.0,
    1.7,
    -2.3,
    3.0,
    5.3,
    -9.7,
    12.5,
    -33.0,
    60.0,
)


@st.composite
def compositions(draw: st.DrawFn) -> tuple[Expr, list[float]]:
    """An expression of the shipped grammar and some points."""
    space = SPACES[draw(st.integers(0, len(SPACES) - 1))]
    expr = space.sample(np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    anywhere = st.floats(-30, 30, width=32)
    points = draw(st.lists(st.one_of(st.sampled_from(POINTS), anywhere), min_size=4, max_size=4))
    return expr, torch.tensor(points, dtype=torch.float32).tolist()


def wrong(found: float, bound: Bound) -> bool:
    """Whether a result is further from the truth than it may be."""
    if mpmath.isnan(bound.value):
        return False
    if bound.finite and math.isnan(found):
        return True
    if not bound.finite or not mpmath.isfinite(bound.error):
        return False
    if math.isinf(found):
        return abs(bound.value) + bound.error < LARGEST
    return bool(abs(mpmath.mpf(found) - bound.value) > bound.error)


def plainly(expr: Expr, points: list[float]) -> tuple[list[float], list[float]]:
    with SELECTOR.only_plain():
        return fused(expr, points)


def fused(expr: Expr, points: list[float]) -> tuple[list[float], list[float]]:
    x = torch.tensor(points, requires_grad=True)
    values = CompiledFunction(expr)(x)
    (slopes,) = torch.autograd.grad(values.sum(), x)
    return values.tolist(), slopes.tolist()


def on_a_gpu(expr: Expr, points: list[float]) -> tuple[list[float], list[float]]:
    """The kernel that CUDA tensors get, in Triton's interpreter."""
    pytest.importorskip("triton")
    from symact.backends.triton.kernel import TritonKernel

    program = lower(expr)
    short = plan(program, "cuda").bound < 0
    forms = (wide(program), wide(backward(program))) if short else plan(program).forms
    kernel = TritonKernel(*forms)
    x = torch.tensor(points, dtype=torch.float64 if short else torch.float32)
    with np.errstate(all="ignore"):
        values, (slopes,) = kernel.forward(x, ()), kernel.backward(torch.ones_like(x), x, ())
    return values.float().tolist(), slopes.float().tolist()


EXAMPLES = int(os.environ.get("SYMACT_COMPOSITIONS", "60"))


def failures(case: tuple[Expr, list[float]], *ways: Callable[..., tuple[list[float], list[float]]]) -> list[str]:
    """What is further from the truth than 16 ulp times the condition of each step."""
    expr, points = case
    program = lower(expr)
    slopes = backward(program)
    limits = [(bounds(program, [x])[0], bounds(slopes, [x, 1.0])[0]) for x in points]
    found = []
    for way in ways:
        for x, y, g, (value, slope) in zip(points, *way(expr, points), limits, strict=True):
            for label, result, bound in (("f", y, value), ("f'", g, slope)):
                if wrong(result, bound):
                    exact = f"{mpmath.nstr(bound.value, 9)} +- {float(bound.error):.2g}"
                    found.append(f"{way.__name__}: {label}({x!r}) = {result!r}, not {exact}")
    return found


def fuzzed(examples: int) -> Any:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=checks)


@fuzzed(EXAMPLES)
@given(compositions())
def test_values_and_gradients_are_within_16_ulp_times_the_condition_of_each_step(
    case: tuple[Expr, list[float]],
) -> None:
    assert not failures(case, plainly, fused), str(case[0])


@fuzzed(max(EXAMPLES // 3, 20))
@given(case=compositions())
def test_so_are_those_of_triton_kernels(monkeypatch: pytest.MonkeyPatch, case: tuple[Expr, list[float]]) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert not failures(case, on_a_gpu), str(case[0])


@pytest.mark.parametrize(("text", "x"), [("exp(x) - 1", 3.0), ("(exp(x) - 1)/x", 0.7), ("tanh(5*x)", -0.3)])
def test_a_bound_is_some_ulps_and_its_value_is_the_value(text: str, x: float) -> None:
    bound = bounds(lower(parse(text)), [x])[0]
    exact = float(torch_source.function(lower(parse(text)))(torch.tensor([x], dtype=torch.float64)))
    assert float(bound.value) == pytest.approx(exact, rel=1e-12)
    assert 16 * 2.0**-25 < float(bound.error) / abs(exact) < 16 * 2.0**-18


def test_a_bound_grows_with_the_condition_and_knows_jumps() -> None:
    near, far = (bounds(lower(parse("sin(exp(x))")), [x])[0] for x in (1.0, 12.0))
    assert far.error > 1000 * near.error
    assert mpmath.isinf(bounds(lower(parse("where(exp(x) > 1, x, 2)")), [0.0])[0].error)
    assert not bounds(lower(parse("exp(exp(x))")), [9.0])[0].finite
