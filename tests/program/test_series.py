"""Every instruction has a series on either side of 0, and it sums to the function."""

from __future__ import annotations

import numpy as np
import pytest

from symact.program.derivatives import DIFFERENTIABLE
from symact.program.instructions import INSTRUCTIONS
from symact.program.mpmath_values import MEANING
from symact.program.series import _ROWS, POLES, SERIES, TERMS, NoSeriesError, Side, padded


def value_of(series: np.ndarray, x: float) -> float:
    return float((series * x ** np.arange(len(series))).sum())


UNARY = [name for name, row in INSTRUCTIONS.items() if row.arity == 1]


@pytest.mark.parametrize("start", [0.0, 0.7])
@pytest.mark.parametrize("name", UNARY)
def test_every_series_sums_to_its_function(name: str, start: float) -> None:
    inner = np.append([start, 1.0, -0.5], np.zeros(TERMS - 3))
    for side, x in ((1.0, 0.05), (-1.0, -0.08)):
        try:
            series = Side(side)(name, padded(inner))
        except NoSeriesError:
            assert (name, start) in {("log", 0.0), ("sqrt", 0.0)} or (start and name.startswith(("i0e", "i1e")))
            return
        assert not series[:POLES].any()
        exact = float(MEANING[name](value_of(inner, x)))
        assert value_of(series[POLES:], x) == pytest.approx(exact, rel=1e-11)


def test_every_operation_has_a_series() -> None:
    assert {*_ROWS, *SERIES, "const", "where"} | DIFFERENTIABLE == INSTRUCTIONS.keys()


@pytest.mark.parametrize(("start", "below", "above"), [(0.0, -1.0, 0.0), (2.0, 1.0, 2.0), (0.5, 0.0, 0.0)])
def test_a_jump_has_the_value_of_its_side(start: float, below: float, above: float) -> None:
    inner = padded(np.append([start, 1.0], np.zeros(TERMS - 2)))
    for side, value in ((-1.0, below), (1.0, above)):
        series = Side(side)("floor", inner)
        assert series[POLES] == value
        assert not np.delete(series, POLES).any()
