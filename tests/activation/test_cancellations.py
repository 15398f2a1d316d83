"""Points at which sums cancel are found for every function; where they are wrong in float32, it is not taken."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symact.activation.cancellations import cancellations
from symact.activation.norms import _whole
from symact.activation.plan import ordinary, plan
from symact.activation.runner import shared_runner
from symact.catalog.rows import family_of
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse
from symact.program.gradient import backward
from symact.program.loading import load_grammar
from symact.program.pipeline import lower
from symact.program.program import Program

LEARNED = Vocabulary(parameters={"beta": Parameter("beta", 0.7), "c": Parameter("c", 0.7)})


def program_of(text: str) -> Program:
    return lower(parse(text, LEARNED))


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("sqrt(x*x - beta)", lambda x, beta: x * x - beta),
        ("(x - beta)/(1 - beta)", lambda x, beta: 1 - beta),
        ("exp(x) - 3*beta*x", lambda x, beta: torch.exp(x) - 3 * beta * x),
    ],
)
def test_points_stand_beside_the_roots_of_sums(text, root):
    x, beta = cancellations(program_of(text), [[0.3], [2.0], [9.0]], (0.05, 25.0))
    assert len(x)
    left = root(x, beta).abs()
    assert (left < 1e-3 * (1 + beta * x.abs())).any()
    assert torch.equal(x, x.float().double())


def test_a_function_without_sums_has_none():
    assert not len(cancellations(program_of("tanh(beta*x)"), [[0.3]], (0.05, 25.0))[0])


def wrong(program: Program, x: torch.Tensor, values: list[torch.Tensor]) -> torch.Tensor:
    """Which values or slopes in x are off by more than 1e-5 of themselves and 1e-6 of the largest parameter."""
    found = []
    for dtype in (torch.float32, torch.float64):
        own = x.to(dtype).clone().requires_grad_()
        y = shared_runner(program)(own, tuple(v.to(dtype) for v in values), 1)
        found.append((y.detach().double(), torch.autograd.grad(y.sum(), own)[0].double()))
    scale = torch.stack([v.double().abs().expand(x.shape[1]) for v in values]).amax(0).clamp(min=1.0)
    result = torch.zeros(x.shape, dtype=torch.bool)
    for single, double in zip(*found, strict=True):
        held = double.isfinite() & (double.abs() < 1e37)
        error = (single - double).abs()
        result |= ~((error <= 1e-6 * scale) | (error <= 1e-5 * double.abs()) | ~held)
    return result


@pytest.mark.parametrize(
    "family",
    [
        "rsigelu",
        "pssilu",
        "squareplus",
        "mollified_abs",
        "hardtanh_plus",
        "tsaf_plus",
        "softplusplus",
        "uaf",
        "app_relu",
    ],
)
def test_families_are_right_where_their_sums_cancel(family):
    program = lower(family_of(family))
    count, generator = len(program.parameters), np.random.default_rng(11)
    sizes = np.exp(generator.uniform(np.log(1e-3), np.log(50.0), (12, count)))
    draws = (sizes * generator.choice([-1.0, 1.0], sizes.shape)).astype(np.float32).tolist()
    points = cancellations(backward(program), [[*row, 1.0] for row in draws], (1e-3, 50.0))
    # One channel for each point that float32 is taken for, since parameters are its own.
    found, (x, *values) = plan(program), [p[::7].float() for p in points[: count + 1]]
    taken = x.abs() < 12.0
    taken &= torch.tensor([found.allows(row) for row in torch.stack(values, 1)])
    own = [v[taken] for v in values]
    assert found.allows(own)
    assert not wrong(program, x[None, taken], own).any()


@pytest.mark.parametrize("name", [operator.name for operator in load_grammar("norms").of_kind("unary")])
def test_functions_in_the_place_of_a_normalization_train_in_float32(name):
    """With small scales and shifts of either sign, as training makes them."""
    program = lower(_whole(f"{name}(x)", True, load_grammar("norms")))
    found, count = plan(program), len(program.parameters)
    assert found.fits is ordinary
    generator = torch.Generator().manual_seed(3)
    values = [torch.randn(40, generator=generator) * scale for scale in (0.01, 1.0, 0.3, 1.0)[:count]]
    assert found.allows(values)
    assert not wrong(program, torch.randn(200, 40, generator=generator) * 3, values).any()
