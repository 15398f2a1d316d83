"""Functions that formulas define are those that mathematics knows by the name: value and slope against mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import pytest
import torch
from mpmath import mpf

from symact.activation.jets import jet
from symact.activation.module import CompiledFunction
from symact.backends.select import SELECTOR
from symact.expr.tree import parse

Real = Callable[[Any], Any]

# Name -> the function and its derivative, in mpmath.
KNOWN: dict[str, tuple[Real, Real]] = {
    "asin": (mpmath.asin, lambda x: 1 / mpmath.sqrt(1 - x * x)),
    "acos": (mpmath.acos, lambda x: -1 / mpmath.sqrt(1 - x * x)),
    "acosh": (mpmath.acosh, lambda x: 1 / mpmath.sqrt(x * x - 1)),
    "atanh": (mpmath.atanh, lambda x: 1 / (1 - x * x)),
    "sech": (mpmath.sech, lambda x: -mpmath.sech(x) * mpmath.tanh(x)),
    "csch": (mpmath.csch, lambda x: -mpmath.csch(x) * mpmath.coth(x)),
    "coth": (mpmath.coth, lambda x: -(mpmath.csch(x) ** 2)),
    "exp2": (lambda x: mpf(2) ** x, lambda x: mpf(2) ** x * mpmath.log(2)),
    "log2": (lambda x: mpmath.log(x) / mpmath.log(2), lambda x: 1 / (x * mpmath.log(2))),
    "log10": (lambda x: mpmath.log(x) / mpmath.log(10), lambda x: 1 / (x * mpmath.log(10))),
    "cbrt": (lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), lambda x: 1 / (3 * mpmath.cbrt(abs(x)) ** 2)),
    "floor": (mpmath.floor, lambda x: mpf(0)),
    "round": (mpmath.nint, lambda x: mpf(0)),
    "frac": (lambda x: x - mpmath.sign(x) * mpmath.floor(abs(x)), lambda x: mpf(1)),
    "ceil": (mpmath.ceil, lambda x: mpf(0)),
    "trunc": (lambda x: mpmath.sign(x) * mpmath.floor(abs(x)), lambda x: mpf(0)),
    "lgamma": (lambda x: mpmath.re(mpmath.loggamma(x)), lambda x: mpmath.psi(0, x)),
    "gamma": (mpmath.gamma, lambda x: mpmath.gamma(x) * mpmath.psi(0, x)),
}

# Names -> where they are defined, open at the ends; beyond 1e4 the gamma function has no digit before its poles.
_INSIDE, _ABOVE_0, _ABOVE_1 = (-1.0, 1.0), (0.0, math.inf), (1.0, math.inf)
DOMAINS = {"asin": _INSIDE, "acos": _INSIDE, "atanh": _INSIDE, "acosh": _ABOVE_1, "log2": _ABOVE_0, "log10": _ABOVE_0}
_JUMPS = ("floor", "ceil", "trunc", "round", "frac", "lgamma", "gamma")


def points(name: str, dtype: torch.dtype) -> list[float]:
    """Near both ends, between them and far out, on both sides of 0; off the jumps and poles."""
    sizes = [10.0**k for k in range(-30, 31, 3)] + [
        0.013,
        0.3,
        0.5003,
        0.7,
        0.9,
        1.4,
        2.5001,
        3.3,
        7.9,
        8.1,
        31.7,
        89.3,
        700.3,
    ]
    beside = [
        sign * end * (1 + step * 10.0**-k)
        for end in (1.0, 2.0)
        for k in (1, 2, 4, 6)
        for step in (-1, 1)
        for sign in (-1, 1)
    ]
    low, high = DOMAINS.get(name, (-math.inf, math.inf))
    rounded = torch.tensor([*sizes, *(-size for size in sizes), *beside], dtype=dtype).tolist()
    inside = [x for x in rounded if low < x < high]
    return [x for x in inside if not (name in _JUMPS and (x == math.floor(x) or abs(x) > 1e4))]


def close(found: float, wanted: Any, dtype: torch.dtype) -> bool:
    """Relative 1e-5 or absolute 1e-6 in float32; 1e-12 in float64. What is beyond the format is infinite."""
    relative, absolute = (1e-5, 1e-6) if dtype == torch.float32 else (1e-12, 1e-12)
    if abs(wanted) > torch.finfo(dtype).max:
        return math.isinf(found) and (found > 0) == (wanted > 0)
    return math.isfinite(found) and abs(found - wanted) <= max(absolute, relative * abs(wanted))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("plain", [False, True], ids=["fused", "plain"])
@pytest.mark.parametrize("name", KNOWN)
def test_value_and_slope_are_right_everywhere(name: str, plain: bool, dtype: torch.dtype) -> None:
    x = torch.tensor(points(name, dtype), dtype=dtype, requires_grad=True)
    function = CompiledFunction(parse(f"{name}(x)"))
    if plain:
        with SELECTOR.only_plain():
            y = function(x)
            (slopes,) = torch.autograd.grad(y.sum(), x)
    else:
        y = function(x)
        (slopes,) = torch.autograd.grad(y.sum(), x)
    value, slope = KNOWN[name]
    with mpmath.workdps(60):
        for at, found, rise in zip(x.tolist(), y.tolist(), slopes.tolist(), strict=True):
            wanted, steep = value(mpf(at)), slope(mpf(at))
            assert close(found, wanted, dtype), f"{name}({at}) = {found}, not {mpmath.nstr(wanted, 12)}"
            assert close(rise, steep, dtype), f"{name}'({at}) = {rise}, not {mpmath.nstr(steep, 12)}"


SPECIAL = {
    "asin": ((1.0, math.pi / 2), (-1.0, -math.pi / 2), (0.0, 0.0), (1.5, math.nan)),
    "acos": ((1.0, 0.0), (-1.0, math.pi), (0.0, math.pi / 2), (-1.5, math.nan)),
    "acosh": ((1.0, 0.0), (0.5, math.nan)),
    "atanh": ((1.0, math.inf), (-1.0, -math.inf), (1.5, math.nan)),
    "sech": ((0.0, 1.0), (math.inf, 0.0), (-math.inf, 0.0)),
    "csch": ((math.inf, 0.0), (-math.inf, 0.0)),
    "coth": ((math.inf, 1.0), (-math.inf, -1.0)),
    "exp2": ((0.0, 1.0), (10.0, 1024.0), (-math.inf, 0.0)),
    "log2": ((0.0, -math.inf), (8.0, 3.0), (-1.0, math.nan)),
    "log10": ((0.0, -math.inf), (1000.0, 3.0), (-1.0, math.nan)),
    "cbrt": ((0.0, 0.0), (-8.0, -2.0), (27.0, 3.0)),
    "floor": ((2.0, 2.0), (-2.0, -2.0), (-0.5, -1.0), (8388609.0, 8388609.0), (-1e30, -1e30), (math.inf, math.inf)),
    "round": ((-2.5, -2.0), (-1.5, -2.0), (0.5, 0.0), (1.5, 2.0), (0.49999997, 0.0), (8388609.0, 8388609.0)),
    "frac": ((-1.5, -0.5), (1.5, 0.5), (2.0, 0.0)),
    "ceil": ((2.0, 2.0), (-0.5, 0.0), (1.0001, 2.0), (8388609.0, 8388609.0), (-math.inf, -math.inf)),
    "trunc": ((-1.5, -1.0), (1.5, 1.0), (-2.0, -2.0), (0.3, 0.0)),
    "gamma": (
        (1.0, 1.0),
        (5.0, 24.0),
        (0.5, math.sqrt(math.pi)),
        (-1.5, 4 / 3 * math.sqrt(math.pi)),
        (math.inf, math.inf),
    ),
    "lgamma": ((1.0, 0.0), (2.0, 0.0), (0.0, math.inf), (-3.0, math.inf), (-2457024.0, math.inf)),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_points(name: str) -> None:
    function = CompiledFunction(parse(f"{name}(x)"))
    for x, wanted in SPECIAL[name]:
        found = function(torch.tensor([x])).item()
        assert found == pytest.approx(wanted, rel=1e-6, abs=1e-6, nan_ok=True), f"{name}({x}) = {found}"


def test_identity_knows_them() -> None:
    """Inverse, reflected, shifted and reciprocal forms are one class each."""
    import symact

    pairs = {
        "asin(x)": "pi/2 - acos(x)",
        "acosh(x)": "log(x + sqrt(x**2 - 1))",
        "atanh(x)": "log((1 + x)/(1 - x))/2",
        "sech(x)": "2*exp(x)/(exp(2*x) + 1)",
        "coth(x)": "cosh(x)/sinh(x)",
        "exp2(x)": "exp(x*log(2))",
        "cbrt(x)**3": "x",
        "-floor(-x)": "floor(x) + where(x - floor(x) > 0, 1, 0)",
        "lgamma(x + 1)": "lgamma(x) + log(abs(x))",
    }
    index = symact.FunctionIndex(
        symact.parse_grammar('name = "m"\n[unary]\nidentity = "x"\n[identity]\ninterval = [-5, 5]\n')
    )
    for first, second in pairs.items():
        assert index.add(parse(first)) == index.add(parse(second)), f"{first} and {second}"
    assert len(index) == len(pairs)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mod(x, 2)", lambda x: torch.remainder(x, 2)),
        ("x % 2", lambda x: torch.remainder(x, 2)),
        ("remainder(x, -0.75)", lambda x: torch.remainder(x, -0.75)),
        ("fmod(x, 0.75)", lambda x: torch.fmod(x, 0.75)),
        ("x // 0.75", lambda x: torch.floor(x / 0.75)),
    ],
)
def test_remainders_are_those_of_pytorch(text: str, wanted: Real) -> None:
    x = torch.cat([torch.linspace(-9.1, 9.3, 101), torch.tensor([-1e4 - 0.1, 1e6 + 0.5])])
    assert torch.allclose(CompiledFunction(parse(text))(x), wanted(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_curvature_of_lgamma_is_right_between_its_poles(dtype: torch.dtype) -> None:
    x = torch.tensor([-8.5, -1.5, -0.5, -2.25, 0.5, 2.5, 7.5], dtype=dtype)
    (_, _, found) = jet(CompiledFunction(parse("lgamma(x)")), x, 2)
    wanted = torch.tensor([float(mpmath.psi(1, at)) for at in x.tolist()])
    assert torch.allclose(found.float(), wanted, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5)
