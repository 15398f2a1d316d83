"""300 hard cases of gates, values and both gradients, against high precision, on every back end."""

from __future__ import annotations

import itertools
import math
from functools import cache

import mpmath
import pytest
import sympy
import torch

from symact import load_grammar
from symact.activation.float32_range import ORDINARY, form
from symact.activation.high_precision import Dual, evaluate
from symact.expr.functions import G, X
from symact.expr.tree import parse, to_sympy
from symact.program.gradient import backward
from symact.program.pipeline import lower
from tests.backends.gate_kernels import BACKENDS

GATES = load_grammar("gates")

# In turn, four of each kind to a gate.
TAILS = [
    (30.0, 2.0),
    (-30.0, 2.0),
    (-88.5, 3.0),
    (-104.0, 1e4),
    (100.0, -1.0),
    (1e30, 1e-30),
    (-1e30, 2.0),
    (2.0, 1e30),
]
TAILS += [
    (-13.0, -1e20),
    (89.0, 0.5),
    (-5.5, 1e30),
    (1e15, -1e15),
    (17.0, -50.0),
    (-1e4, -1e4),
    (3e38, 1.0),
    (1.0, -3e38),
]
KINKS = [(0.0, 1.0), (7.0, 1.0), (1.0, 7.0), (1.0, -7.0), (0.0, 0.0), (7.0, 7.0), (-3.0, 2.0), (3.0, -7.0), (-7.0, 7.0)]
KINKS += [(-0.0, -2.0), (1.0, 1.0), (math.nextafter(7.0, 8.0), 2.0), (6.9999995, -6.9999995)]
SMALL = [(1e-40, 1.0), (1.0, 1e-40), (1e-45, -1.0), (1e-40, 1e30), (-1e30, 1e-45), (1e-30, 1e-10), (-1e-20, 1e-25)]
SMALL += [(1e-3, 1e-4), (1e-8, -1e-3), (1e-38, 3.0), (-87.0, 1e-3), (-95.0, 1.0), (1e-4, 1e30)]

PUBLISHED = [str(expr) for expr in GATES.space("published")]
MORE = [
    "radial(tanh(x),sin(g))",
    "div(gauss(x),softplus(g))",
    "max(relu2(x),clip(g))",
    "mul(softsign(x),mish(g))",
    "sub(leakyrelu(x),elu(g))",
    "gate(cap(x),hardswish(g))",
    "min(quick_gelu(x),abs(g))",
    "mul(hardsigmoid(x),gelu(g))",
]
EXPRESSIONS = [*dict.fromkeys([*PUBLISHED, *MORE])]


def cases() -> list[tuple[str, float, float]]:
    found = []
    kinds = [itertools.cycle(kind) for kind in (TAILS, KINKS, SMALL)]
    for text in EXPRESSIONS:
        for kind in kinds:
            found += [(text, *torch.tensor(next(kind), dtype=torch.float32).tolist()) for _ in range(4)]
    return found


CASES = cases()


def test_there_are_300() -> None:
    assert len(set(CASES)) >= 300


def formulas(text: str) -> tuple[sympy.Expr, sympy.Expr]:
    """The formula, and the same with its inputs exchanged."""
    formula = to_sympy(parse(text, GATES))
    return formula, formula.xreplace({X: G, G: X})


@cache
def exact(text: str, x: float, g: float) -> tuple[Dual | None, Dual | None]:
    """Value and derivative in `x`, and in `g`."""
    formula, exchanged = formulas(text)
    return evaluate(formula, x, {"g": g}), evaluate(exchanged, g, {"g": x})


def close(found: float, wanted: mpmath.mpf) -> bool:
    """Within 1e-5 of the truth, and 1e-6 near 0; infinite where float32 cannot hold it. NaN says nothing is asked."""
    if mpmath.isnan(wanted):
        return True
    if abs(wanted) > mpmath.mpf("3.4028e38"):
        return abs(found) > 3.4e38 and (found > 0) == (wanted > 0)
    return math.isfinite(found) and abs(mpmath.mpf(found) - wanted) <= max(1e-6, 1e-5 * abs(wanted))


def promised(name: str, text: str, size: float) -> bool:
    """Whether a back end promises to be right for inputs of a size: GPUs to 1e4, where no form in float32 always is."""
    program = lower(parse(text, GATES), 2)
    return name != "triton" or size <= ORDINARY or None not in (form(program), form(backward(program)))


@pytest.mark.parametrize("name", BACKENDS)
def test_values_and_both_gradients_are_right(name: str) -> None:
    wrong = []
    for text, group in itertools.groupby(CASES, key=lambda case: case[0]):
        points = [case[1:] for case in group]
        x, g = (torch.tensor(column) for column in zip(*points, strict=True))
        outputs = BACKENDS[name](text, GATES, x, g, torch.ones_like(x))
        for i, (at_x, at_g) in enumerate(points):
            if not promised(name, text, max(abs(at_x), abs(at_g))):
                continue
            in_x, in_g = exact(text, at_x, at_g)
            assert in_x is not None
            assert in_g is not None
            for output, wanted in zip(outputs, (in_x.value, in_x.slope, in_g.slope), strict=True):
                if not close(output[i].item(), wanted):
                    wrong.append(f"{text} at {at_x:g}, {at_g:g}: {output[i].item()}, not {mpmath.nstr(wanted, 8)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_slope_at_a_kink_is_one_of_those_beside_it(name: str) -> None:
    wrong = []
    for text in EXPRESSIONS:
        x, g = (torch.tensor(column) for column in zip(*KINKS, strict=True))
        _, *slopes = BACKENDS[name](text, GATES, x, g, torch.ones_like(x))
        for i, (at_x, at_g) in enumerate(zip(x.tolist(), g.tolist(), strict=True)):
            for turn, slope in enumerate(slopes):
                here, other = (at_x, at_g) if turn == 0 else (at_g, at_x)
                found = exact(text, at_x, at_g)[turn]
                if found is None or not mpmath.isnan(found.slope):
                    continue
                sides = [evaluate(formulas(text)[turn], here + step, {"g": other}) for step in (-1e-9, 1e-9)]
                low, high = sorted(float(side.slope) for side in sides if side is not None)
                if not low - 1e-5 <= slope[i].item() <= high + 1e-5:
                    wrong.append(f"{text} at {at_x:g}, {at_g:g}: {slope[i].item()}, not between {low:g} and {high:g}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize(
    ("text", "x", "g", "wanted"),
    [
        ("clipped_swiglu(x,g)", math.inf, math.inf, (7 / (1 + math.exp(-7)) * 8, 0.0, 0.0)),
        ("clipped_swiglu(x,g)", math.inf, -math.inf, (7 / (1 + math.exp(-7)) * -6, 0.0, 0.0)),
        ("gtu(x,g)", math.inf, -math.inf, (-1.0, 0.0, 0.0)),
        ("gtu(x,g)", -math.inf, 3.0, (0.0, 0.0, 0.0)),
        ("glu(x,g)", math.inf, 2.0, (2.0, 0.0, 1.0)),
        ("glu(x,g)", 2.0, math.inf, (math.inf, math.inf, 1 / (1 + math.exp(-2)))),
        ("reglu(x,g)", -math.inf, 2.0, (0.0, 0.0, 0.0)),
        ("bilinear(x,g)", -math.inf, 2.0, (-math.inf, 2.0, -math.inf)),
        ("situ_glu(x,g)", math.inf, math.inf, (100.0, 0.0, 0.0)),
    ],
)
def test_infinities_give_their_limits(name: str, text: str, x: float, g: float, wanted: tuple[float, ...]) -> None:
    pair = torch.tensor([x]), torch.tensor([g])
    found = BACKENDS[name](text, GATES, *pair, torch.ones(1))
    for own, limit in zip(found, wanted, strict=True):
        torch.testing.assert_close(own, torch.tensor([limit]), rtol=1e-6, atol=1e-6)
