"""Generated torch source: golden files that also run, and every operation against its meaning."""

from __future__ import annotations

import math
from pathlib import Path

import mpmath
import pytest
import torch
from mpmath import mp, mpf

from symact.backends import torch_source
from symact.expr.tree import parse
from symact.program.builder import Builder
from symact.program.gradient import backward
from symact.program.instructions import INSTRUCTIONS
from symact.program.mpmath_values import MEANING
from symact.program.pipeline import lower
from symact.program.program import Program

GOLDEN = Path(__file__).parents[1] / "golden"
NAMED = {
    "relu": "relu(x)",
    "elu": "elu(x)",
    "selu": "selu(x)",
    "swish": "x*sigmoid(x)",
    "gelu": "gelu(x)",
    "mish": "mish(x)",
    "softplus": "softplus(x)",
    "softsign": "softsign(x)",
    "hardswish": "hardswish(x)",
    "logcosh": "logcosh(x)",
    "erfcx": "erfcx(x)",
    "leakyrelu": "where(x > 0, x, 0.01*x)",
    "bent": "(sqrt(x**2 + 1) - 1)/2 + x",
}


def text(name: str) -> str:
    forward = lower(parse(NAMED[name]))
    parts = ["import torch", *torch_source.helpers(forward, backward(forward)), torch_source.body(forward)]
    return "\n\n\n".join([*parts, torch_source.body(backward(forward), "backward")]) + "\n"


@pytest.mark.parametrize("name", NAMED)
def test_generated_source_is_the_golden_file_and_runs(name: str) -> None:
    """To accept a change: `python -m tests.backends.test_torch_source`, and read the difference."""
    golden = (GOLDEN / f"{name}.py").read_text()
    assert text(name) == golden
    module = torch_source.execute(golden)
    x = torch.tensor([-2.0, -0.3, 0.4, 2.9], dtype=torch.float64)
    slope = module["backward"](x, torch.ones_like(x))
    step = 1e-6
    difference = (module["forward"](x + step) - module["forward"](x - step)) / (2 * step)
    assert torch.allclose(slope, difference, atol=1e-8)


def single(name: str) -> Program:
    builder = Builder(("a", "b", "c")[: INSTRUCTIONS[name].arity])
    return builder.build(builder.emit(name, *range(INSTRUCTIONS[name].arity)))


POINTS = [
    0.0,
    1e-30,
    1e-10,
    1e-4,
    0.03,
    0.5,
    0.97,
    1.0,
    1.6,
    2.0,
    2.4,
    3.3,
    5.0,
    7.7,
    9.0,
    12.0,
    15.9,
    16.1,
    19.0,
    30.0,
    60.0,
    88.0,
    90.0,
    105.0,
    1e3,
    1e5,
    1e10,
    1e20,
    1e30,
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", [name for name, row in INSTRUCTIONS.items() if row.arity == 1])
def test_an_operation_is_what_it_means(name: str, dtype: torch.dtype) -> None:
    x = torch.tensor([s * p for p in POINTS for s in (1.0, -1.0)], dtype=dtype)
    found = torch_source.function(single(name))(x)
    assert found.dtype == dtype
    largest = torch.finfo(dtype).max
    tolerance = 4e-6 if dtype == torch.float32 else 1e-11
    for at, y in zip(x.tolist(), found.tolist(), strict=True):
        with mp.workprec(300):
            exact = MEANING[name](mpf(at))
        if mpmath.isnan(exact):
            assert math.isnan(y), at
        elif abs(exact) > largest:
            assert abs(y) >= largest * 0.99, at
            assert (y > 0) == (exact > 0), at
        else:
            assert abs(y - exact) <= max(tolerance * abs(exact), torch.finfo(dtype).tiny), (at, y, float(exact))


@pytest.mark.parametrize("name", [name for name, row in INSTRUCTIONS.items() if row.arity == 2])
def test_an_operation_of_two_arguments_is_what_it_means(name: str) -> None:
    for a, b in ((1.5, 0.5), (-2.0, 3.0), (2.0, 2.0), (0.0, 1.5), (-1.5, -1.5), (-2.0, 0.5)):
        found = torch_source.function(single(name))(torch.tensor([a]), torch.tensor([b])).item()
        exact = float(MEANING[name](mpf(a), mpf(b)))
        assert found == pytest.approx(exact, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("name", ["max", "min"])
def test_extremes_propagate_nan(name: str) -> None:
    function = torch_source.function(single(name))
    assert function(torch.tensor([math.nan]), torch.tensor([1.0])).isnan().all()
    assert function(torch.tensor([1.0]), torch.tensor([math.nan])).isnan().all()


def test_the_result_is_a_new_tensor_of_the_full_shape() -> None:
    x = torch.zeros(3)
    assert torch_source.function(lower(parse("x")))(x) is not x
    assert torch_source.function(lower(parse("2")))(x).tolist() == [2.0, 2.0, 2.0]


def test_names_of_parameters_never_clash_with_the_generated_text() -> None:
    assert torch_source.identifiers(("x", "torch", "t1", "lambda", "_sinc")) == [
        "x",
        "torch_value",
        "t1_value",
        "p",
        "_sinc_value",
    ]


if __name__ == "__main__":
    for _name in NAMED:
        (GOLDEN / f"{_name}.py").write_text(text(_name))


def test_constants_whose_quotient_is_not_finite_divide_as_tensors_do() -> None:
    builder = Builder(("x",))
    quotient = builder.emit("div", builder.const(1.0), builder.const(0.0))
    found = torch_source.function(builder.build(builder.emit("add", 0, quotient)))(torch.tensor([1.0]))
    assert found.tolist() == [math.inf]
