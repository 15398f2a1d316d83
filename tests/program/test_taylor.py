"""Series at 0 replace Programs where their quotients are 0/0, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symact.backends import torch_source
from symact.expr.tree import parse
from symact.program.derivatives import DIFFERENTIABLE
from symact.program.gradient import backward
from symact.program.instructions import INSTRUCTIONS
from symact.program.mpmath_values import MEANING
from symact.program.pipeline import lower
from symact.program.taylor import POLES, SERIES, TERMS, NoSeriesError, _padded, _Side, expanded


def value_of(series: np.ndarray, x: float) -> float:
    return float((series * x ** np.arange(len(series))).sum())


UNARY = [name for name, row in INSTRUCTIONS.items() if row.arity == 1]


@pytest.mark.parametrize("start", [0.0, 0.7])
@pytest.mark.parametrize("name", UNARY)
def test_every_series_sums_to_its_function(name: str, start: float) -> None:
    inner = np.append([start, 1.0, -0.5], np.zeros(TERMS - 3))
    for side, x in ((1.0, 0.05), (-1.0, -0.08)):
        try:
            series = _Side(side)(name, _padded(inner))
        except NoSeriesError:
            assert (name, start) in {("log", 0.0), ("sqrt", 0.0)} or (start and name.startswith(("i0e", "i1e")))
            return
        assert not series[:POLES].any()
        exact = float(MEANING[name](value_of(inner, x)))
        assert value_of(series[POLES:], x) == pytest.approx(exact, rel=1e-11)


def test_every_operation_has_a_series() -> None:
    assert {*_Side(1.0).rows, *SERIES, "const", "where"} | DIFFERENTIABLE == INSTRUCTIONS.keys()


@pytest.mark.parametrize(("start", "below", "above"), [(0.0, -1.0, 0.0), (2.0, 1.0, 2.0), (0.5, 0.0, 0.0)])
def test_a_jump_has_the_value_of_its_side(start: float, below: float, above: float) -> None:
    inner = _padded(np.append([start, 1.0], np.zeros(TERMS - 2)))
    for side, value in ((-1.0, below), (1.0, above)):
        series = _Side(side)("floor", inner)
        assert series[POLES] == value
        assert not np.delete(series, POLES).any()


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
