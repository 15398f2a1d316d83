"""Gates on CPU: one step each way with clips or without, the same bits as their parts, and bfloat16 as it lies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from symact.backends.cpu import kernel as cpu_kernel
from symact.backends.cpu import library as cpu_library
from symact.expr.tree import parse
from symact.program.gradient import backward
from symact.program.pipeline import lower

LIBRARY = cpu_library.load()
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="no C++ compiler here")

NAMES = ["swish", "gelu", "mish", "elu", "tanh", "sigmoid", "softplus", "logsigmoid", ""]
# Bounds of x, of g, and what is added to g behind its clip.
CLIPS = [(-math.inf, 7.0), (-2.0, math.inf), (-1.5, 2.0), (-math.inf, math.inf)]
OTHERS = [(-math.inf, math.inf, 0.0), (-7.0, 7.0, 1.0), (0.0, math.inf, 0.0), (-math.inf, 0.5, 0.0)]
CASES = [case for case in itertools.product(NAMES, CLIPS, OTHERS) if case[1:] != (CLIPS[3], OTHERS[0])]
SPECIAL = [
    math.inf,
    -math.inf,
    math.nan,
    0.0,
    -0.0,
    7.0,
    -7.0,
    6.9999995,
    7.0000005,
    -2.0,
    -1.5,
    2.0,
    0.5,
    1e-40,
    100.0,
]


@pytest.fixture(params=("portable", "avx2", "avx512"))
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this processor has, chosen for one test."""
    assert LIBRARY is not None
    if LIBRARY.symact_select(request.param.encode()) is None:
        pytest.skip(f"no {request.param} here")
    yield request.param
    LIBRARY.symact_select(b"")


def kernel_of(text: str) -> cpu_kernel.NativeKernel:
    program = lower(parse(text), 2)
    kernel = cpu_kernel.kernel(program, backward(program))
    assert kernel is not None
    return kernel


def text_of(name: str, of_x: tuple[float, float], of_g: tuple[float, float, float]) -> str:
    def clip(variable: str, low: float, high: float) -> str:
        inner = f"min({variable},{high:g})" if high < math.inf else variable
        return f"max({inner},{low:g})" if low > -math.inf else inner

    low, high, shift = of_g
    return f"{name}({clip('x', *of_x)})*({clip('g', low, high)}" + (f" + {shift:g})" if shift else ")")


def clip(t: Tensor, low: float, high: float) -> Tensor:
    t = torch.where(t < low, low, t)
    return torch.where(t > high, high, t)


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, g, grad = (torch.randn(1200, generator=generator) * 5 for _ in range(3))
    pairs = torch.tensor(list(itertools.product(SPECIAL, SPECIAL)))
    x[: len(pairs)], g[: len(pairs)] = pairs.unbind(1)
    return x, g, grad


def same(first: Tensor, second: Tensor) -> bool:
    """The same bits, but for those of a NaN."""
    return torch.equal(first.nan_to_num(3.0, math.inf, -math.inf), second.nan_to_num(3.0, math.inf, -math.inf)) and (
        torch.equal(torch.signbit(first) & ~first.isnan(), torch.signbit(second) & ~second.isnan())
    )


def test_a_gate_of_clipped_inputs_is_one_step_each_way_and_has_the_bits_of_its_parts(isa: str) -> None:
    x, g, grad = inputs()
    for name, of_x, (low, high, shift) in CASES:
        text = text_of(name, of_x, (low, high, shift))
        kernel, plain = kernel_of(text), kernel_of(f"{name}(x)*g")
        assert [len(steps.splitlines()) for steps in kernel.steps()] == [1, 1], text
        u, v = clip(x, *of_x), clip(g, low, high) + shift if shift else clip(g, low, high)
        assert same(kernel.forward(x, (g,)), plain.forward(u, (v,))), text
        inside_x, inside_g = (x > of_x[0]) & (x < of_x[1]), (g > low) & (g < high)
        # A bound that is not there lets infinities through.
        inside_x |= (x == of_x[0]) & (of_x[0] == -math.inf) | (x == of_x[1]) & (of_x[1] == math.inf)
        inside_g |= (g == low) & (low == -math.inf) | (g == high) & (high == math.inf)
        if of_x == CLIPS[3]:
            inside_x |= x.isnan()
        if (low, high) == (-math.inf, math.inf):
            inside_g |= g.isnan()
        wanted = plain.backward(grad, u, (v,))
        for own, slope, inside in zip(kernel.backward(grad, x, (g,)), wanted, (inside_x, inside_g), strict=True):
            assert same(own, torch.where(inside, slope, 0.0)), text


@pytest.mark.parametrize(
    ("formula", "steps"),
    [
        ("x*sigmoid(1.702*x)*g", 3),
        ("x*sigmoid(x/4)*g", 3),
        ("min(x,7)*sigmoid(1.702*min(x,7))*(max(min(g,7),-7) + 1)", 6),
    ],
)
def test_the_slope_of_a_scaled_swish_is_one_function(formula: str, steps: int, isa: str) -> None:
    kernel = kernel_of(formula)
    assert len(kernel.steps()[1].splitlines()) == steps
    x, g, grad = (t[len(SPECIAL) ** 2 :] for t in inputs())
    exact = kernel.backward(grad.double(), x.double(), (g.double(),))
    for own, slope in zip(kernel.backward(grad, x, (g,)), exact, strict=True):
        torch.testing.assert_close(own.double(), slope, rtol=2e-6, atol=2e-5)


@pytest.mark.parametrize("size", [1, 16, 31, 32, 33, 700, 16401])
def test_bfloat16_gives_the_bits_of_float32_rounded_once(size: int, isa: str) -> None:
    for text in ("swish(x)*g", "gelu(x)*g", "x*g", "swish(min(x,7))*(max(min(g,7),-7) + 1)", "max(x,0)*g"):
        kernel = kernel_of(text)
        x, g, grad = (t.bfloat16()[-size:] if size <= 700 else t.bfloat16().repeat(14)[:size] for t in inputs())
        wanted = kernel.forward(x.float(), (g.float(),)).bfloat16()
        slopes = [t.bfloat16() for t in kernel.backward(grad.float(), x.float(), (g.float(),))]
        assert same(kernel.forward(x, (g,)), wanted), text
        assert all(itertools.starmap(same, zip(kernel.backward(grad, x, (g,)), slopes, strict=True))), text


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [3, 40, 1000, 9000])
def test_rows_of_any_length_and_steps_are_read_and_written_where_they_lie(width: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    h, slopes = torch.randn(5, 2 * width, generator=generator).to(dtype), torch.full((5, 2 * width), 7.0, dtype=dtype)
    grad = torch.randn(5, width, generator=generator).to(dtype)
    for text in ("swish(x)*g", "swish(min(x,7))*(max(min(g,7),-7) + 1)"):
        kernel = kernel_of(text)
        for x, g, *into in (
            (*h.chunk(2, -1), *slopes.chunk(2, -1)),
            (h[:, 0::2], h[:, 1::2], slopes[:, 0::2], slopes[:, 1::2]),
            (h[:, :width], h[:1, width:].expand(5, width)),
        ):
            dense, other = x.contiguous(), g.contiguous()
            assert torch.equal(kernel.forward(x, (g,)), kernel.forward(dense, (other,)))
            found = kernel.backward(grad, x, (g,), tuple(into))  # type: ignore[call-arg]
            wanted = kernel.backward(grad, dense, (other,))
            assert all(itertools.starmap(torch.equal, zip(found, wanted, strict=True)))


def test_a_result_in_bfloat16_touches_its_own_elements_only(isa: str) -> None:
    kernel = kernel_of("swish(x)*g")
    for size in (1, 15, 16, 17, 31, 48, 8193):
        room = torch.full((2, size + 64), 7.0, dtype=torch.bfloat16)
        x, g, grad = (torch.randn(size).bfloat16() for _ in range(3))
        kernel.backward(grad, x, (g,), tuple(room[:, 32 : 32 + size]))  # type: ignore[call-arg]
        assert bool((room[:, :32] == 7).all())
        assert bool((room[:, 32 + size :] == 7).all())
        assert torch.equal(room[0, 32 : 32 + size], kernel.backward(grad, x, (g,))[0])
