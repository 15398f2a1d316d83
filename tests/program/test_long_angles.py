"""Sines of polynomials are right in float32 arithmetic up to angles of 7e13, where values cannot be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from mpmath import mp, mpf

from symact.activation.high_precision import DualEvaluator
from symact.activation.module import compile as compile_expression
from symact.activation.plan import plain
from symact.backends import torch_source
from symact.expr.tree import parse, to_sympy
from symact.program.gradient import backward
from symact.program.long_angles import THREE_WORDS, in_three_words
from symact.program.pipeline import lower

OUTER = (
    "sin({})",
    "cos({})",
    "tan({})",
    "sinc({})",
    "x*sin({})",
    "exp(-cos({}))",
    "sigmoid(x)*cos({})",
    "x + sin({})**2/3",
    "sin({})/(1 + x*x)",
)
Computed = Callable[[torch.Tensor], torch.Tensor]


def angle(generator: np.random.Generator) -> tuple[str, float]:
    """A random polynomial, and up to which |x| three words hold it."""
    degree = int(generator.integers(2, 5))
    factors = [round(float(c), int(generator.integers(0, 4))) for c in generator.normal(0, 3, degree + 1)]
    factors[-1] = factors[-1] or 1.0
    match generator.integers(4):
        case 0:
            text = " + ".join(f"({c!r})*x**{k}" if k else f"({c!r})" for k, c in enumerate(factors))
        case 1:
            text, degree = f"({factors[-1]!r})*(abs(x) + {abs(factors[0])!r})*x", 2
        case 2:
            text = "*".join(f"(x - ({c!r}))" for c in factors[:degree])
        case _:
            text, degree = f"x*relu(x) - ({factors[0]!r})*abs(x)**3", 3
    size = max(1.0, sum(abs(c) for c in factors))
    return f"({text})", float((THREE_WORDS / 8.0 / size) ** (1.0 / degree))


def variants(count: int, seed: int) -> Iterator[tuple[str, float]]:
    generator = np.random.default_rng(seed)
    for k in range(count):
        text, largest = angle(generator)
        yield OUTER[k % len(OUTER)].format(text), largest


def check(text: str, largest: float, value: Computed, slope: Computed) -> None:
    generator = np.random.default_rng(len(text))
    sizes = np.exp(generator.uniform(np.log(3.0), np.log(largest), 20)) * generator.choice([-1.0, 1.0], 20)
    x, formula = torch.tensor(sizes, dtype=torch.float32), to_sympy(parse(text))
    for at, found, found_slope in zip(x.tolist(), value(x).tolist(), slope(x).tolist(), strict=True):
        with mp.workprec(400):
            exact = DualEvaluator({"x": at})(formula)
        for own, wanted in ((found, exact.value), (found_slope, exact.slope)):
            assert abs(own - wanted) <= max(mpf("1e-6"), mpf("1e-5") * abs(wanted)), (at, own, wanted)


@pytest.mark.parametrize("gpu", [False, True], ids=["compiled", "gpu"])
@pytest.mark.parametrize(("text", "largest"), list(variants(18, 0)))
def test_values_and_slopes_of_sines_of_polynomials(text: str, largest: float, gpu: bool) -> None:
    if "relu" in text and not gpu:
        largest = 100.0  # Angles that choose have one word of float64.
    program = lower(parse(text))
    computed = []
    for each in (program, backward(program)):
        function, dtype = plain(each, False, gpu)
        assert dtype is torch.float32 or not gpu
        computed.append((function, dtype))
    (value, first), (slope, second) = computed
    check(text, largest, lambda x: value(x.to(first)), lambda x: slope(x.to(second), torch.ones_like(x).to(second)))


def test_under_torch_compile_too() -> None:
    text = "sin(x*x*x - 3*x)"
    compiled = torch.compile(compile_expression(text), backend="aot_eager", fullgraph=True)

    def slope(x: torch.Tensor) -> torch.Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(compiled(x).sum(), x)[0]

    check(text, 2e4, compiled, slope)


@pytest.mark.parametrize("text", ["sin(x)", "sin(30*x)", "cos(x + 2)", "x*sigmoid(x)", "sin(exp(x))", "sin(x*tanh(x))"])
def test_what_two_words_hold_or_is_no_polynomial_has_no_three(text: str) -> None:
    program = lower(parse(text))
    assert in_three_words(program) is None


def test_beyond_three_words_a_sine_stays_bounded() -> None:
    function, dtype = plain(lower(parse("sin(x*x*x - 3*x)")), False, True)
    assert dtype is torch.float32
    assert function(torch.logspace(5, 12, 200)).abs().max() <= 1.0 + 1e-6


def test_angles_of_ordinary_size_have_two_words() -> None:
    for text in ("sin(30*x)", "sin(2.5*x - 7)", "x + sin(1.7*x)**2"):
        function, _ = plain(lower(parse(text)), False, True)
        three = in_three_words(lower(parse(text)))
        assert three is None or function is not torch_source.function(three)
