"""Series at 0 replace Programs where their quotients are 0/0, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from symact.backends import torch_source
from symact.expr.tree import parse
from symact.program.gradient import backward
from symact.program.pipeline import lower
from symact.program.taylor import expanded


@pytest.mark.parametrize(
    ("text", "limit", "slope"),
    [
        ("(x - sin(x))/x**3", 1 / 6, 0.0),
        ("1/expm1(x) - 1/x", -0.5, 1 / 12),
        ("(1 - i0e(abs(x)))/abs(x) - x", 1.0, -1.75),
        ("log1p(x)/sin(x)", 1.0, -0.5),
        ("where(x > 0, expm1(x), sin(x))/x", 1.0, 0.5),
        ("(abs(x)**3 + x**2)/x**2", 1.0, 1.0),
    ],
)
def test_removable_singularities_have_their_limits(text: str, limit: float, slope: float) -> None:
    x = torch.tensor([1e-30, 1e-9, 1e-4], dtype=torch.float64)
    program = lower(parse(text))
    values = torch_source.function(expanded(program))(x)
    slopes = torch_source.function(expanded(backward(program)))(x, torch.ones_like(x))
    assert values.tolist() == pytest.approx([limit] * 3, abs=2e-4)
    assert slopes.tolist() == pytest.approx([slope] * 3, abs=2e-3)


@pytest.mark.parametrize("text", ["x*sigmoid(x)", "log(abs(x))/x", "1/x", "abs(x)**0.3/x", "sin(1/x)"])
def test_what_has_no_quotient_or_no_series_stays(text: str) -> None:
    program = lower(parse(text))
    assert expanded(program) == program
