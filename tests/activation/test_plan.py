"""A plan is settled before the first call, whatever goes on round it, and says which kernel is right where."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from symact.activation.float32_range import limit
from symact.activation.module import Activation
from symact.activation.plan import plain, plan
from symact.activation.runner import shared_runner
from symact.backends.cpu import library as cpu_library
from symact.backends.cpu.kernel import NativeKernel
from symact.backends.select import SELECTOR
from symact.catalog.rows import family_of
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse
from symact.program.gradient import backward
from symact.program.pipeline import lower
from symact.program.program import Program

# 0/0 for the half of all numbers, and what is next to it, which no form of one precision tells apart.
NEITHER = "x*sigmoid(x)/max(x, 0)"
LEARNED = Vocabulary(parameters={"beta": Parameter("beta", 0.7)})
EVERYWHERE, PARTLY, AT_ZERO, PARAMETRIC = (
    "x*sigmoid(x)",
    "x**2/(1 + x**2)",
    "(x - sin(x))/x**3",
    "x**2/(beta + x**2)",
)
native = pytest.mark.skipif(cpu_library.load() is None, reason="no C++ compiler here")


def program_of(text: str) -> Program:
    return lower(parse(text, LEARNED))


@native
def test_where_float32_is_enough_one_kernel_does_everything() -> None:
    found = plan(program_of(EVERYWHERE))
    assert isinstance(found.narrow, NativeKernel)
    assert found.small is found.narrow
    assert not found.narrow.mended
    assert found.bound == math.inf
    assert found.forms == (program_of(EVERYWHERE), backward(program_of(EVERYWHERE)))


@native
def test_where_it_is_not_the_kernel_looks_after_the_rest_itself() -> None:
    found = plan(program_of(PARTLY))
    assert isinstance(found.narrow, NativeKernel)
    assert found.narrow.mended
    assert found.small is found.narrow
    assert isinstance(found.narrow.exact, NativeKernel)
    assert found.bound == math.inf


@native
def test_a_function_with_a_hole_at_zero_runs_by_its_series_there() -> None:
    assert plan(program_of(AT_ZERO)).forms != (program_of(AT_ZERO), backward(program_of(AT_ZERO)))


@native
def test_so_it_does_with_parameters() -> None:
    found = plan(program_of(PARAMETRIC))
    assert isinstance(found.narrow, NativeKernel)
    assert found.narrow.mended
    assert found.small is None
    assert found.bound == math.inf


@native
@pytest.mark.parametrize("channels", [None, 3])
def test_what_an_element_gives_does_not_depend_on_its_neighbours(channels: int | None) -> None:
    activation = Activation("(x + beta)**5 - x**5 + beta*x**2/(beta + x**2)", LEARNED, channels=channels)
    x = torch.linspace(-6.0, 6.0, 3 * 40).reshape(2, 3, 20)
    lonely = torch.stack([activation(x[:, :, [i]]) for i in range(20)], 3).squeeze(2)
    extreme = x.clone()
    extreme[0, 1, 3], extreme[1, 2, 7] = 1e9, -3e25
    together = activation(extreme)
    same = extreme == x
    assert torch.equal(together[same], lonely[same])
    beta, t = activation.beta.detach().double().max(), x.double()
    wanted = (t + beta) ** 5 - t**5 + beta * t**2 / (beta + t**2)
    assert torch.allclose(lonely.double(), wanted, rtol=1e-6, atol=1e-6)


@native
@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (40, 3), (3,)])
def test_the_gradients_of_parameters_include_what_is_computed_in_float64(shape: tuple[int, ...]) -> None:
    activation = Activation(PARAMETRIC, LEARNED, channels=3)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    x.view(-1)[::3] *= 1e22
    x.requires_grad_()
    grad = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    activation(x).backward(grad)
    double = Activation(PARAMETRIC, LEARNED, channels=3).double()
    wide = x.detach().double().requires_grad_()
    double(wide).backward(grad.double())
    assert torch.allclose(x.grad.double(), wide.grad, rtol=1e-5, atol=1e-6)
    assert torch.allclose(activation.beta.grad.double(), double.beta.grad, rtol=1e-5, atol=1e-6)


@native
@pytest.mark.parametrize("text", [EVERYWHERE, PARTLY, PARAMETRIC])
def test_a_gpu_takes_one_precision_for_all(text: str) -> None:
    found = plan(program_of(text), "cuda")
    if found.narrow is not None:  # where Triton is installed
        assert found.bound in (math.inf, -1.0)


def test_without_a_back_end_plain_operations_run() -> None:
    for found in (plan(program_of(PARTLY), "meta"), plan(program_of(PARTLY), "mps")):
        assert found.narrow is found.wide is found.small is None
        assert found.bound == math.inf
    with SELECTOR.only_plain():
        assert plan(program_of(PARTLY)).narrow is None


def test_a_plan_cannot_be_changed() -> None:
    found = plan(program_of(PARTLY))
    for field in dataclasses.fields(found):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(found, field.name, None)


def same(text: str, within: Callable[[], object]) -> None:
    """A plan made within something is the plan that is made outside."""
    program = program_of(text)
    limit.cache_clear()
    inside = within()
    limit.cache_clear()
    outside = plan(program)
    assert isinstance(inside, type(outside))
    assert (inside.bound, inside.forms) == (outside.bound, outside.forms)
    assert (inside.small is None) == (outside.small is None)


@pytest.mark.parametrize("text", [EVERYWHERE, PARTLY, AT_ZERO, PARAMETRIC])
def test_who_traces_transforms_or_moves_operations_does_not_disturb_it(text: str) -> None:
    program, found = program_of(text), []

    def planned(x: torch.Tensor) -> torch.Tensor:
        found.append(plan(program))
        return x * 2

    def under(run: Callable[[], object]) -> Callable[[], object]:
        def within() -> object:
            run()
            return found.pop()

        return within

    x = torch.ones(3)
    same(text, under(lambda: torch.func.vmap(planned)(x)))
    same(text, under(lambda: torch.func.jvp(planned, (x,), (x,))))
    same(text, under(lambda: torch.func.grad(lambda t: planned(t).sum())(x)))
    same(text, under(lambda: torch.jit.trace(planned, (x,), check_trace=False)))
    with torch.device("meta"):
        same(text, under(lambda: planned(x)))
    with torch.inference_mode():
        same(text, under(lambda: planned(x)))


FORMED = (EVERYWHERE, PARTLY, AT_ZERO, PARAMETRIC, "x*tanh(exp(x))", "cosh(x)*sigmoid(-x)", "sqrt(1 + x*x) - 1 + x")


@pytest.mark.parametrize("text", FORMED)
def test_plain_operations_take_float64_for_nothing_that_has_a_form_in_float32(text: str) -> None:
    program = program_of(text)
    for each in (program, backward(program)):
        assert plain(each, False, True)[1] is torch.float32
        assert plain(each, True, True)[1] is torch.float64
        assert plain(each, False, False)[1] is torch.float32


def test_they_take_float64_where_there_is_none() -> None:
    program = program_of(NEITHER)
    for each in (program, backward(program)):
        assert plain(each, False, False)[1] is torch.float64
        assert plain(each, False, True)[1] is torch.float64


@pytest.mark.parametrize(
    "family",
    ["srs", "snake_cos", "aglu", "eis_1", "sara", "aria2", "erf_act", "tanhsoft_2", "acon_c", "elu_plus", "siren"],
)
def test_parameters_of_many_sizes_and_both_signs_per_channel(family: str) -> None:
    program, generator = lower(family_of(family)), np.random.default_rng(5)
    count, channels = len(program.parameters), 48
    sizes = np.exp(generator.uniform(np.log(1e-3), np.log(50.0), (count, channels)))
    values = torch.tensor(sizes * generator.choice([-1.0, 1.0], sizes.shape), dtype=torch.float32)
    x = torch.tensor(generator.normal(0.0, 3.0, (30, 1)), dtype=torch.float32).expand(-1, channels)
    found = []
    for dtype in (torch.float32, torch.float64):
        own = x.to(dtype).clone().requires_grad_()
        y = shared_runner(program)(own, tuple(values.to(dtype)), 1)
        found.append((y.detach().double(), torch.autograd.grad(y.sum(), own)[0].double()))
    scale = values.abs().amax(0).clamp(min=1.0).double()
    for single, double in zip(*found, strict=True):
        held = double.isfinite() & (double.abs() < 1e37)
        error = (single - double).abs()
        assert ((error <= 1e-6 * scale) | (error <= 1e-5 * double.abs()) | ~held).all()
