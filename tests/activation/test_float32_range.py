"""Where float32 is enough is decided as float64 decides it, at the price of a look at one kernel where that tells."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from symact.activation.float32_range import grid, reach, reach_alone
from symact.activation.module import CompiledFunction
from symact.activation.module import compile as compile_expression
from symact.activation.plan import plan
from symact.backends.cpu import kernel as cpu_kernel
from symact.backends.cpu import library as cpu_library
from symact.backends.cpu.kernel import NativeKernel
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse
from symact.program.compensation import compensated, has_angles
from symact.program.gradient import backward
from symact.program.loading import load_grammar
from symact.program.pipeline import lower
from symact.program.program import Program

pytestmark = pytest.mark.skipif(cpu_library.load() is None, reason="no C++ compiler here")

# Wrong in float32 near 0, far out, on both sides of a window, in the middle; undefined on one side, in part, at 0.
TEXTS = [
    *("x*sigmoid(x)", "x**2/(1 + x**2)", "(x - sin(x))/x**3", "(x + 1) - x", "expm1(x)/x", "exp(exp(x))*exp(-exp(x))"),
    *("sinh(sinh(-x**2))", "cosh(x)/i1e(expm1(x))", "log(x)", "sqrt(1 - x*x)", "tanh(x)**x", "log(-x) + log(x)"),
    *("1/x", "tanh(1/x) + elu(x)", "x/x", "x**3 - (x - 1)**3", "sin(30*x)", "1/(1/x)", "erfc(x)*exp(x*x)", "1e30*x*x"),
]


def kernel_of(program: Program) -> NativeKernel:
    found = cpu_kernel.kernel(compensated(program, False), compensated(backward(program), False))
    assert found is not None
    return found


def drawn() -> list[Program]:
    generator, space = np.random.default_rng(3), load_grammar("aquasurf").space("large")
    return [lower(space.sample(generator)) for _ in range(40)]


@pytest.mark.parametrize("program", [*[lower(parse(text)) for text in TEXTS], *drawn()])
def test_what_a_kernel_alone_says_is_right_is_right(program: Program) -> None:
    kernel = kernel_of(program)
    alone, full = reach_alone(kernel, has_angles(program)), reach(program, backward(program), kernel)
    if alone is None:
        return
    low, high, zero = alone.window
    inside = (grid() >= low) & (grid() <= high)
    inside[0] = zero
    assert not (full.bad & inside).any()


def test_mostly_it_is_enough() -> None:
    assert sum(reach_alone(kernel_of(program)) is not None for program in drawn()) >= 36


def test_of_several_ranges_that_counts_in_which_most_inputs_are() -> None:
    """Float32 overflows in between, from 2.04 to 2.44, and what is larger has one value again."""
    alone = reach_alone(kernel_of(lower(parse("sinh(sinh(-x**2))"))))
    assert alone is not None
    low, high, zero = alone.window
    assert zero
    assert low == 0.0
    assert 2.0 < high < 2.1


def test_what_computes_in_float64_is_made_when_an_element_needs_it() -> None:
    kernel = plan(lower(parse("x**2/(1 + x**2) + 0.0625"))).narrow
    assert isinstance(kernel, NativeKernel)
    ordinary = torch.linspace(-3.0, 3.0, 50_000)
    before = kernel.forward(ordinary), kernel.backward(ordinary, ordinary)[0]
    assert kernel.mended
    assert kernel._exact is None
    far = ordinary.clone()
    far[7], far[20_000] = 1e25, -math.inf
    assert kernel.forward(far)[7].item() == 1.0625
    assert kernel._exact is not None
    after = kernel.forward(ordinary), kernel.backward(ordinary, ordinary)[0]
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    untouched = far == ordinary
    assert torch.equal(kernel.forward(far)[untouched], before[0][untouched])


@pytest.mark.parametrize("size", [10, 50_000])
def test_threads_that_need_it_at_once_get_what_one_gets(size: int) -> None:
    x = torch.linspace(-3.0, 3.0, size)
    x[::7] *= 1e24
    wanted = compile_expression("x**2/(1 + x**2) + 0.125")(x)
    for shift in range(3):
        function = compile_expression(f"x**2/(1 + x**2) + {0.25 + shift}")
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _, f=function: f(x), range(8)))
        for result in found:
            assert torch.allclose(result, wanted - 0.125 + 0.25 + shift, rtol=1e-6, atol=1e-7)
            assert torch.equal(result, found[0])


@pytest.mark.parametrize(
    "text",
    ["sin(7*(abs(x) + 1)*x)", "sin(10*x*(1 + abs(x)))", "sin(x*x*x - 3*x)", "cos(x*x + x)", "x*cos(0.3*x**4 - x)"],
)
def test_angles_that_lose_their_digits_are_computed_in_float64(text: str) -> None:
    function, generator = compile_expression(text), np.random.default_rng(0)
    for low in (10.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8):
        x = torch.from_numpy((generator.uniform(low, 10 * low, 50_000)).astype(np.float32))
        exact = function(x.double())
        wrong = (function(x).double() - exact).abs() > 1e-6 * exact.abs().clamp(min=1.0)
        assert not wrong.any(), (low, x[wrong])


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("log1p(x) - x", (math.nan, -math.inf)),
        ("log(x*x + 1) - x*x", (-math.inf, -math.inf)),
        ("x**3*exp(-x)", (-math.inf, math.nan)),
        ("x**2/(1 + x**2)", (1.0, 1.0)),
        ("x**2*exp(-x**2)", (0.0, 0.0)),
        ("p*(log1p(x*x) - x*x)", (-math.inf, -math.inf)),
    ],
)
def test_what_is_computed_in_float64_has_its_limits_at_infinities(text: str, limits: tuple[float, float]) -> None:
    # Elements beside them need float64 too, and what is not a number stays so.
    x = torch.tensor([-math.inf, math.inf, math.nan, 1e25, -1e25, 1e-7])
    vocabulary = Vocabulary(parameters={"p": Parameter("p", 0.7)})
    values = CompiledFunction(parse(text, vocabulary))(x, **({"p": torch.tensor(0.7)} if "p*" in text else {}))
    torch.testing.assert_close(values[:3], torch.tensor([*limits, math.nan]), equal_nan=True, rtol=0, atol=0)


def test_slopes_have_their_limits_too() -> None:
    x = torch.tensor([-math.inf, math.inf, math.nan, 3.0], requires_grad=True)
    values = CompiledFunction(parse("log(x*x + 1) - x*x"))(x)
    (slopes,) = torch.autograd.grad(values, x, torch.full_like(x, 2.0))
    torch.testing.assert_close(slopes, torch.tensor([math.inf, -math.inf, math.nan, -10.8]), equal_nan=True)
