"""Sines of products and sums in the block interpreter: single steps, right at their roots and for large angles."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import pytest
import torch
from mpmath import mp, mpf

from symact.backends import torch_source
from symact.backends.cpu import kernel as cpu_kernel
from symact.backends.cpu import library as cpu_library
from symact.expr.tree import parse
from symact.program.compensation import compensated
from symact.program.gradient import backward
from symact.program.pipeline import lower

Function: TypeAlias = Callable[[mpf], mpf]

LIBRARY = cpu_library.load()
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="no C++ compiler here")


@pytest.fixture(params=["portable", "avx2", "avx512"])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    assert LIBRARY is not None
    if LIBRARY.symact_select(request.param.encode()) is None:
        pytest.skip(f"no {request.param} here")
    yield request.param
    LIBRARY.symact_select(b"")


def fused(text: str) -> cpu_kernel.NativeKernel:
    program = lower(parse(text))
    kernel = cpu_kernel.kernel(compensated(program, False), compensated(backward(program), False))
    assert kernel is not None
    return kernel


def names(steps: str) -> list[str]:
    return [line.split()[0] for line in steps.splitlines()]


@pytest.mark.parametrize(
    ("text", "forward", "slope"),
    [
        ("sin(30*x)", ["sin_product"], ["times_cos_product"]),
        ("-cos(5*x)", ["times_cos_product"], ["times_sin_product"]),
        ("sinc(10*x)", ["sinc_product"], ["times_sinc_grad_product"]),
        ("sin(10*(abs(x) + 1)*x)", ["finer"], ["times_finer_slope"]),
        ("sin(10*x*(1 + abs(x)))", ["finer"], ["times_finer_slope"]),
        ("sin((x + x*abs(x))*10)", ["finer"], ["times_finer_slope"]),
        ("sin(10*x + 10*x*abs(x))", ["finer"], ["times_finer_slope"]),
        ("cos(30*(1 + abs(x))*x)", ["abs", "sum_pair", "scaled_pair", "cos_scaled"], None),
        ("x*abs(x)", ["abs", "mul"], None),
    ],
)
def test_angles_and_their_slopes_take_few_steps(text: str, forward: list[str] | None, slope: list[str] | None) -> None:
    steps = [names(each) for each in fused(text).steps()]
    for found, wanted in zip(steps, (forward, slope), strict=True):
        assert wanted is None or found == wanted
        # Nothing is left of the sign that the slope of |x| has, nor of the choice at 0.
        assert not {"sign", "sinc", "sinc_grad", "product_rest", "sum_rest"} & set(found)


# The angle, its slope, and by how much its sine may be wrong beside 1e-6 of what it is.
ROOTS: dict[str, tuple[Function, Function, float]] = {
    "sin(x)": (lambda x: x, lambda x: mpf(1), 0.0),
    "sin(30*x)": (lambda x: 30 * x, lambda x: mpf(30), 0.0),
    "cos(30*x)": (lambda x: 30 * x, lambda x: mpf(30), 0.0),
    "sinc(30*x)": (lambda x: 30 * x, lambda x: mpf(30), 0.0),
    "tan(7*x)": (lambda x: 7 * x, lambda x: mpf(7), 0.0),
    "sin(10*(abs(x) + 1)*x)": (lambda x: 10 * (abs(x) + 1) * x, lambda x: 20 * abs(x) + 10, 1e-9),
    "sin(x*x - 3*x)": (lambda x: x * x - 3 * x, lambda x: 2 * x - 3, 1e-9),
}
VALUES: dict[str, tuple[Function, Function]] = {
    "sin": (mp.sin, mp.cos),
    "cos": (mp.cos, lambda u: -mp.sin(u)),
    "tan": (mp.tan, lambda u: 1 + mp.tan(u) ** 2),
    "sinc": (mp.sinc, lambda u: (mp.cos(u) - mp.sinc(u)) / u),
}


def near_roots(text: str) -> torch.Tensor:
    """Points whose angles are as near to multiples of pi/2 as float32 has them, up to 1e5, and some others."""
    quarters = np.unique(np.geomspace(1, 1e5 / math.pi * 2, 160).astype(int)) * (math.pi / 2)
    match text:
        case "sin(10*(abs(x) + 1)*x)":
            x = (np.sqrt(1 + 0.4 * quarters) - 1) / 2
        case "sin(x*x - 3*x)":
            x = (3 + np.sqrt(9 + 4 * quarters)) / 2
        case _:
            x = quarters / float(ROOTS[text][0](mpf(1)))
    x = np.concatenate([x, np.random.default_rng(0).uniform(0, x.max(), 60), [1e-30, 0.01, 3.0 * x.max()]])
    return torch.tensor(np.concatenate([x, -x]), dtype=torch.float32)


@pytest.mark.parametrize("text", ROOTS)
def test_values_and_slopes_are_right_at_roots_and_for_large_angles(text: str, isa: str) -> None:
    angle, slope_of_angle, absolute = ROOTS[text]
    kernel, x = fused(text), near_roots(text)
    values, slopes = kernel.forward(x), kernel.backward(torch.ones_like(x), x)[0]
    value, slope = VALUES[text.split("(")[0]]
    for at, found, found_slope in zip(x.tolist(), values.tolist(), slopes.tolist(), strict=True):
        with mp.workprec(200):
            u, inner = angle(mpf(at)), slope_of_angle(mpf(at))
            wanted, wanted_slope = value(u), slope(u) * inner
            assert abs(found - wanted) <= 1e-6 * abs(wanted) + absolute, (at, found, wanted)
            # The slope of sinc is a difference, and right as a part of what is subtracted.
            part = abs(inner / u) if text.startswith("sinc") else abs(wanted_slope)
            assert abs(found_slope - wanted_slope) <= 1e-6 * part + absolute * abs(inner), (at, found_slope)


@pytest.mark.parametrize(
    "text",
    [
        "x*sin(30*x)*sigmoid(x)",
        "sin(7*x)*cos(7*x)",
        "x*sinc(10*x) - sinc(x)",
        "sin(10*(abs(x) + 1)*x)*x",
        "sin(3*(abs(x) + 1)*x)**2 + tan(3*x)",
        "cos((abs(x) + 1)*x)",
        "sin(0.1*x*(x + 1))",
        "sin((x + 1)*(x + 2))",
        "x/(1 + abs(x)) + x*abs(x)*cos(5*x)",
        "abs(x)*abs(x - 1)*sin(2.5*x - 7)",
        "2*sin(4*x)*exp(-x**2)*x",
    ],
)
def test_fused_angles_agree_with_plain_torch_in_float64(text: str, isa: str) -> None:
    kernel, program = fused(text), lower(parse(text))
    generator = torch.Generator().manual_seed(1)
    x, g = torch.randn(1027, generator=generator) * 3, torch.randn(1027, generator=generator)
    x[:3] = torch.tensor([0.0, -0.0, 1e-30])
    value = torch_source.function(program)(x.double())
    slope = torch_source.function(backward(program))(x.double(), g.double())
    torch.testing.assert_close(kernel.forward(x).double(), value, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(kernel.backward(g, x)[0].double(), slope, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("text", ["sin(30*x)", "sinc(10*x)", "sin(10*(abs(x) + 1)*x)", "cos(3*x)"])
def test_what_has_no_sine_has_none(text: str, isa: str) -> None:
    kernel, x = fused(text), torch.tensor([math.inf, -math.inf, math.nan, 3e38, 0.5] * 7)
    values, slopes = kernel.forward(x), kernel.backward(torch.ones_like(x), x)[0]
    for found in (values, slopes):
        assert torch.equal(found.isnan(), torch.tensor([True, True, True, True, False] * 7))


@pytest.mark.parametrize("text", ["sin(30*x)", "sinc(10*x)", "sin(10*(abs(x) + 1)*x)", "x*cos(x)", "tan(x)", "x**2.5"])
def test_what_scalar_code_computes_changes_no_other_element(text: str, isa: str) -> None:
    """Angles that are too large, and bases of a power that are 0, stand among others, from the middle of a block on."""
    kernel, generator = fused(text), torch.Generator().manual_seed(0)
    x, grad = torch.rand(1500, generator=generator) + 0.1, torch.randn(1500, generator=generator)
    wanted = kernel.forward(x), *kernel.backward(grad, x)
    mixed, places = x.clone(), torch.tensor([333, 334, 700, 1499])
    mixed[places] = 0.0 if "**" in text else 3e7
    found = kernel.forward(mixed), *kernel.backward(grad, mixed)
    for own, other in zip(found, wanted, strict=True):
        assert own[places].isfinite().all()
        assert not torch.equal(own[places], other[places])
        own[places] = other[places]
        assert torch.equal(own, other)
