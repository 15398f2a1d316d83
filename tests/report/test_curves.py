"""Curves are broken where the function or its derivative jumps, and nowhere else, on every way to a picture."""

from __future__ import annotations

import numpy as np
import pytest

from symact.expr.tree import parse
from symact.program.loading import load_grammar
from symact.report import curves
from symact.report.jumps import VALUE_LEFT, VALUE_RIGHT

# Function -> where it jumps, where its derivative jumps.
TABLE: dict[str, tuple[list[float], list[float]]] = {
    "cos(6*x)*exp(-(2*x)**2)": ([], []),
    "exp(-(6*x)**2)": ([], []),
    "tanh(12*x)": ([], []),
    "tanh(100*x)": ([], []),
    "sigmoid(40*(x - 1.013))": ([], []),
    "sin(10*x)": ([], []),
    "x**3": ([], []),
    "exp(x)": ([], []),
    "sin(3*x)/x": ([], []),
    "0*x + 1": ([], []),
    "elu(x)": ([], []),
    "relu(x)": ([], [0]),
    "abs(x - 0.013)": ([], [0.013]),
    "max(x, 1.5 - x)": ([], [0.75]),
    "min(0, softsign(x))": ([], [0]),
    "hardsigmoid(x)": ([], [-3, 3]),
    "exp(-abs(3*x))": ([], [0]),
    "abs(sin(x))": ([], [-np.pi, 0, np.pi]),
    "sign(x)": ([0], []),
    "sign(x)**2": ([], []),
    "x/abs(x)": ([0], []),
    "heaviside(x - 0.31)": ([0.31], []),
    "heaviside(x) + 0.01*x": ([0], []),
    "where(x > 0.7, x**2, tanh(20*x))": ([0.7], [0.7]),
    "1/(x - 0.31)": ([0.31], [0.31]),
    "sqrt(x - 0.31)": ([0.31], [0.31]),
}


def gaps(x: np.ndarray, values: np.ndarray) -> list[float]:
    """The places of the gaps inside a drawn line, and of its ends inside the interval."""
    known = np.isfinite(values)
    edges = np.flatnonzero(known[1:] != known[:-1])
    return sorted({round(float(x[edge + known[edge]]), 5) for edge in edges})


@pytest.mark.parametrize("text", TABLE)
def test_a_line_is_broken_at_jumps_and_nowhere_else(text: str):
    x, *drawn = curves.lines(parse(text), -5, 5, {}, 801)
    for values, places in zip(drawn, TABLE[text], strict=True):
        assert gaps(x, values) == pytest.approx(places, abs=1e-5)


@pytest.mark.parametrize("text", TABLE)
def test_small_curves_have_the_same_jumps(text: str):
    found = curves.small_curves(parse(text), {}).jumps
    for column, places in zip((VALUE_LEFT, VALUE_RIGHT + 1), TABLE[text], strict=True):
        apart = [jump[0] for jump in found if jump[column] != jump[column + 1] or jump[column] is None]
        assert apart == pytest.approx(places, abs=1e-5)


def test_a_line_reaches_both_ends_of_a_jump():
    x, y, slope = curves.lines(parse("heaviside(x - 0.013)*(2 + x) - relu(x - 1)"), -5, 5, {}, 101)
    (gap,) = np.flatnonzero(np.isnan(y))
    np.testing.assert_allclose(x[gap - 1 : gap + 2], 0.013, atol=1e-6)
    np.testing.assert_allclose(y[[gap - 1, gap + 1]], [0, 2.013], atol=1e-6)
    kink = np.flatnonzero(np.isnan(slope))[-1]
    np.testing.assert_allclose(slope[[kink - 1, kink + 1]], [1, 0], atol=1e-6)
    assert np.isfinite(y[kink])


def test_a_small_curve_has_more_points_where_few_would_miss_it():
    count = {
        text: len(curves.small_curves(parse(text), {}).curve) > 400 for text in ("tanh(x)", "relu(x)", "tanh(12*x)")
    }
    assert count == {"tanh(x)": False, "relu(x)": False, "tanh(12*x)": True}


def test_samples_are_values_and_slopes():
    x, y, slope = curves.samples(parse("x**3"), -2, 2)
    np.testing.assert_allclose(y, x**3, atol=1e-12)
    np.testing.assert_allclose(slope, 3 * x**2, atol=1e-12)


def test_undefined_values_are_left_out_and_constants_have_no_slope():
    x, y, _ = curves.samples(parse("log(x)"), -2, 2)
    assert np.isnan(y[x < 0]).all()
    assert (curves.samples(parse("1"), -2, 2)[2] == 0).all()


def test_learned_constants_enter_the_curve():
    expr = parse("beta(x)", load_grammar("ramachandran"))
    assert curves.samples(expr, -1, 1, {"beta": 2.5})[1] == pytest.approx(2.5)
