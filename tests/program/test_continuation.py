"""Derivatives are those of the function, whatever branches, absolute values and signs it is written with."""

from __future__ import annotations

import itertools

import mpmath
import pytest
import torch
from mpmath import mp, mpf

from symact.activation.high_precision import DualEvaluator
from symact.activation.module import compile as compile_expression
from symact.expr.tree import parse, to_sympy
from symact.program.loading import parse_grammar

# A line through its root, and the root.
LINES = {"x": 0.0, "(2*x/3)": 0.0, "(-x)": 0.0, "(x - 1)": 1.0, "(0.5 - x)": 0.5}
WRAPPED = ("{}", "exp(-x)*({})", "tanh(x + {})")

# Smooth functions written with kinks, and up to which order they are smooth.
SMOOTH = {
    "abs({u})**2": 3,
    "abs({u})*abs({u})": 3,
    "exp(-abs({u})**2)": 3,
    "(abs({u})**0.5)**4": 3,
    "(abs({u})**0.4)**5": 3,
    "abs({u})**0.3*(3*abs({u})**1.7)": 3,
    "sqrt(abs({u}))*abs({u})**1.5": 3,
    "cbrt({u})**3 + (abs({u})**0.5)**6*sign({u})": 3,
    "(sign({u})*sqrt(abs({u})))**4": 3,
    "sign({u})*abs({u})": 3,
    "sign({u})*log(1 + abs({u}))": 1,
    "sign({u})*(exp(abs({u})) - 1)": 1,
    "sign({u})*sinh(abs({u}))": 3,
    "sign({u})*(1 - 1/(1 + abs({u}) + {u}**2 + 1.41645*{u}**4))": 1,
    "{u}/(1 + abs({u}))": 1,
    "cosh(abs({u}))": 3,
    "abs({u})*tanh({u})*sign({u})": 3,
    "log(1 + exp(-abs({u}))) + max({u}, 0)": 3,
    "max({u}, 0) - log(sigmoid(abs({u})))": 3,
    "softplus(abs({u})) - max(-{u}, 0)": 3,
    "(max({u}, 0) + min({u}, 0))**2": 3,
    "where({u} > 0, tanh({u}), -tanh(-{u}))": 3,
    "where({u} == 0, 1, sin({u})/({u}))": 3,
    "where({u} != 0, sinh({u})/({u}), 1)": 3,
    "where({u} == 0, 1, expm1({u})/({u}))": 3,
    "where({u} == 0, 1, log1p({u})/({u}))": 3,
    "where({u} == 0, 1, tanh({u})/({u}))": 3,
    "where({u} == 0, 1/2, (1 - cos({u}))/({u})**2)": 3,
}
CASES = [
    (outer.format(inner.format(u=line)), root, order)
    for i, ((inner, order), (line, root)) in enumerate(itertools.product(SMOOTH.items(), LINES.items()))
    for outer in (WRAPPED if line in ("x", "(x - 1)") else WRAPPED[:1])
]


def exact(text: str, x: float, order: int) -> list[float]:
    """The derivatives up to an order, where the function is smooth: the same from either side."""
    formula = to_sympy(parse(text))

    def value(t: mpf) -> mpf:
        return DualEvaluator({"x": t})(formula).value

    with mp.workprec(1500):
        right, left = (
            [*mpmath.diffs(value, mpf(x) + side * mpf(10) ** -60, order, direction=side, h=mpf(10) ** -70)][1:]
            for side in (1, -1)
        )
        for number, (a, b) in enumerate(zip(right, left, strict=True), 1):
            assert abs(a - b) < mpf(10) ** -40, f"{text} is not smooth to order {number}"
    return [float(found) for found in right]


def derivatives(text: str, x: float, dtype: torch.dtype, order: int) -> list[float]:
    at = torch.tensor([x], dtype=dtype, requires_grad=True)
    value, found = compile_expression(text)(at), []
    for _ in range(order):
        (value,) = torch.autograd.grad(value.sum(), at, create_graph=True)
        found.append(value.item())
    return found


@pytest.mark.parametrize(("text", "x", "order"), CASES)
def test_a_smooth_function_has_its_derivatives_at_what_looks_like_a_kink(text: str, x: float, order: int) -> None:
    wanted = exact(text, x, order)
    assert derivatives(text, x, torch.float64, order) == pytest.approx(wanted, rel=1e-11, abs=1e-11)
    assert derivatives(text, x, torch.float32, order) == pytest.approx(wanted, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    ["sign(x)*log(1 + abs(beta*x))", "log(1 + exp(-abs(beta*x))) + max(beta*x, 0)", "abs(x*beta)**2 + beta*x"],
)
def test_so_has_one_with_a_parameter(text: str) -> None:
    grammar = parse_grammar('name="g"\n[parameters]\nbeta={init=1.0}\n[unary]\nf="x"\n')
    function = compile_expression(text, grammar)
    x = torch.tensor([0.0, 0.5, -0.5, 0.0], requires_grad=True)
    beta = torch.tensor(1.25, requires_grad=True)
    slopes, of_beta = torch.autograd.grad(function(x, beta=beta).sum(), [x, beta])
    near = torch.full((1,), 1e-6, dtype=torch.float64, requires_grad=True)
    (wanted,) = torch.autograd.grad(function(near, beta=1.25).sum(), near)
    assert slopes[0].item() == slopes[3].item() == pytest.approx(wanted.item(), rel=1e-5)
    assert of_beta.isfinite()


@pytest.mark.parametrize(
    ("text", "x", "slope"),
    [
        ("sign(x)*(1 + abs(x))", 0.0, 0.0),
        ("where(x == 0, 5, x**2)", 0.0, 0.0),
        ("where(x == 0, 5, sin(x)/x)", 0.0, 0.0),
        ("abs(x) + max(x, 0)", 0.0, 0.0),
        ("heaviside(x)*x + abs(x)", 0.0, 0.0),
    ],
)
def test_kinks_and_jumps_stay(text: str, x: float, slope: float) -> None:
    assert derivatives(text, x, torch.float64, 1) == [slope]


BRANCHES = [
    ("where({p} > 0, {f}, where({p} < 0, {f}, {g}))", (0.0,)),
    ("where({p} > 0, {f}, where({p} < 0, -({f}), {g}))", (0.0,)),
    ("where({p} > 1, 2 - {f}, where({p} < -1, -2 - {f}, {g}))", (0.0, 0.5)),
    ("where({p} > 1, {f}, where({p} < -1, {f}*{f}, where({p} > 0.5, sin({f}), {g})))", (0.0, 0.25)),
    ("max({g}, where({p} == 0, {g}, {g} - ({f})**2))", (0.0,)),
]
SINGULAR = ("1/x", "exp(-1/x**2)", "log(abs(x))", "abs(x)**-0.5", "tan(pi/2 + x)/x", "x/sqrt(x**2)")


@pytest.mark.parametrize("singular", SINGULAR)
@pytest.mark.parametrize(("template", "points"), BRANCHES)
def test_what_two_branches_share_does_not_leak_where_neither_is_taken(
    template: str, points: tuple[float, ...], singular: str
) -> None:
    text = template.format(p="x", f=singular, g="(3*x + x**2)")
    for dtype, x in itertools.product((torch.float64, torch.float32), points):
        assert derivatives(text, x, dtype, 2) == pytest.approx([3.0 + 2.0 * x, 2.0], rel=1e-6)


def test_nor_into_the_gradient_of_a_parameter() -> None:
    grammar = parse_grammar('name="g"\n[parameters]\nbeta={init=1.0}\n[unary]\nf="x"\n')
    function = compile_expression("where(x > 0, beta*log(x), where(x < 0, beta/x, beta*x))", grammar)
    x, beta = torch.tensor([-2.0, 0.0, 1.0], requires_grad=True), torch.tensor(1.0, requires_grad=True)
    slopes, of_beta = torch.autograd.grad(function(x, beta=beta).sum(), [x, beta])
    assert slopes.tolist() == [-0.25, 1.0, 1.0]
    assert of_beta.item() == -0.5


@pytest.mark.parametrize("base", ["x", "abs(x)", "(2*x)", "sin(x)", "(x - 1)"])
@pytest.mark.parametrize("exponent", [1.5, 2.5, 3.5, 4.5, 1.7])
def test_powers_above_one_have_slope_0_where_their_base_is_0(base: str, exponent: float) -> None:
    x = 1.0 if "1" in base else 0.0
    for dtype in (torch.float64, torch.float32):
        assert derivatives(f"{base}**{exponent}", x, dtype, 1) == [0.0]
    if exponent > 2:
        assert derivatives(f"{base}**{exponent}", x, torch.float64, 2) == [0.0, 0.0]
