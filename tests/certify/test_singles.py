"""All numbers of float32: the truth is within its bound, every input counts, and a stop loses nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.certify import singles
from symact.certify.duals import evaluate
from symact.certify.flat import flat_program
from symact.certify.formats import FORMATS
from symact.certify.page import WIDTH, page
from symact.certify.pieces import BINADE, INFINITY, number, pieces
from symact.certify.reference import Reference
from symact.certify.series import coefficients, terms
from symact.certify.singles import UNITS, Singles
from symact.certify.tally import Errors, inverse_ulp
from symact.equivalence.exact.balls import UNDEFINED, Marker, precision
from symact.errors import InputError
from symact.expr.tree import parse

FORMULAS = [
    *(
        "x*sigmoid(x)",
        "gelu(x)",
        "mish(x)",
        "softsign(x)",
        "hardswish(x)",
        "selu(x)",
        "softplus(x)",
        "erf(x)",
        "tanh(x)",
    ),
    *("logcosh(x)", "log_ndtr(x)", "sinh(x)", "asinh(x)", "atan(x)", "sinc(x)", "sqrt(abs(x))", "log1p(x)", "x**2.5"),
    *("erfcx(x)", "expm1(x)", "where(x > 1, x**3, 1/(2 - x))", "max(sin(x), cos(x))", "floor(x) + tan(x)", "lgamma(x)"),
]


@pytest.mark.parametrize("text", FORMULAS)
def test_series_begin_with_value_and_derivative_and_hold_over_an_interval(text: str) -> None:
    program = flat_program(parse(text))
    for low, high in ((0.6, 0.61), (2.5, 2.51), (-0.51, -0.5)):
        with terms(256):
            point, wide = (coefficients(program, ball) for ball in (arb(low), arb(low).union(arb(high))))
        with precision(256):
            known = evaluate(program, arb(low))
        if isinstance(point, Marker):
            assert point is UNDEFINED or text in ("lgamma(x)",)
            continue
        assert not isinstance(wide, Marker)
        assert point[0].overlaps(known.value)
        assert point[1].overlaps(known.slope)
        # Lagrange: the value at the other end is the polynomial plus a term of the interval's coefficients.
        with precision(256):
            step, degree = arb(high) - arb(low), 5
            found = sum((point[k] * step**k for k in range(degree)), wide[degree] * step**degree)
            assert found.overlaps(evaluate(program, arb(high)).value)


@settings(max_examples=60, deadline=None)
@given(
    text=st.sampled_from(FORMULAS), sign=st.sampled_from((1, -1)), at=st.integers(1, INFINITY - 5000), data=st.data()
)
def test_polynomials_are_the_exact_function_within_their_bounds(text: str, sign: int, at: int, data: Any) -> None:
    expr = parse(text)
    reference = Reference(expr)
    last = min(at + 4096, (at // BINADE + 1) * BINADE)
    covered = at
    for piece in pieces(reference.program, sign, at, last):
        assert piece.first == covered
        covered = piece.last
        if piece.by_points:
            continue
        x = number(data.draw(st.integers(piece.first, piece.last - 1)), sign)
        value, slope, _ = reference.point(x)
        if piece.value is None or piece.slope is None:
            assert math.isnan(value)
            continue
        t = np.array([(x - piece.middle) / piece.scale])
        for polynomial, exact in ((piece.value, value), (piece.slope, slope)):
            found = float(polynomial.at(t, np.empty(1))[0])
            if abs(found) < 2.0**200:
                assert abs(found - exact) <= polynomial.bound + 2.0**-52 * abs(exact)
    assert covered == last


def test_the_parts_cover_every_finite_number_once() -> None:
    assert len(set(UNITS)) == len(UNITS) == 510
    assert 2 * INFINITY + 2 * BINADE == 2**32
    places = sorted(first for sign, first in UNITS if sign > 0)
    assert places == [k * BINADE for k in range(INFINITY // BINADE)]


@settings(deadline=None)
@given(st.floats(-3e38, 3e38, allow_subnormal=True))
def test_units_by_bits_are_those_of_the_type(exact: float) -> None:
    kind = FORMATS["float32"]
    assert float(inverse_ulp(kind, np.array([exact]))[0]) * float(kind.ulp(np.array([exact]))[0]) == 1.0


def _by_balls(expr: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth = Reference(expr).at(x.astype(float))
    return truth.values, truth.slopes


@pytest.mark.parametrize(("text", "low", "high"), [("gelu(x)", -0.75182, -0.75176), ("log(x)", -1e-42, 1e-42)])
def test_counts_are_those_of_balls_at_every_input(text: str, low: float, high: float) -> None:
    between = float(np.float32(low)), float(np.float32(high))
    expr = parse(text)
    found = Singles(expr, Reference(expr), between=between).run()
    zero, low32, high32 = np.float32(0), np.float32(between[0]), np.float32(between[1])
    parts = [(low32, high32)] if high32 < 0 else [(low32, zero), (zero, high32)]
    x = np.unique(np.concatenate([_every(*part) for part in parts]))
    values, slopes = _by_balls(expr, x)
    outputs = singles.backend(expr, "cpu")(torch.from_numpy(x))
    for name, exact, output in zip(("values", "slopes"), (values, slopes), outputs, strict=True):
        known = ~np.isnan(exact)
        errors = FORMATS["float32"].errors(output.double().numpy()[known], exact[known])
        # Zero is there twice, as two numbers of the type.
        twice = int((x[known] == 0).any())
        assert found[name]["counted"] == len(errors) + twice
        assert found[name]["worst"] == pytest.approx(errors.max())
        for step, count in found[name]["further_than_ulp"].items():
            assert abs(count - int((errors > float(step)).sum())) <= twice + int(
                (abs(errors - float(step)) < 0.01).sum()
            )
    assert found["undefined"] == int(np.isnan(values).sum()) + int(np.isnan(values[x == 0]).sum())


def _every(low: np.float32, high: np.float32) -> np.ndarray:
    """The numbers of float32 between two of one sign."""
    ends = sorted(int(abs(end).view(np.uint32)) for end in (low, high))
    sizes = np.arange(ends[0], ends[1] + 1, dtype=np.uint32).view(np.float32)
    return -sizes if low < 0 else sizes


def test_a_wrong_result_at_one_input_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = singles.backend

    def wrong(*arguments: Any) -> Any:
        run = right(*arguments)

        def spoiled(x: torch.Tensor) -> Any:
            values, slopes = run(x)
            return torch.where(x == 1.5, values + 1e-3, values), torch.where(x == 1.75, math.nan, slopes)

        return spoiled

    monkeypatch.setattr(singles, "backend", wrong)
    expr = parse("tanh(x)")
    found = Singles(expr, Reference(expr), between=(1.4999, 1.7501)).run()
    assert found["values"]["at"] == 1.5
    assert found["values"]["beyond_at"] == [1.5]
    assert found["slopes"]["worst"] == "inf"
    assert found["slopes"]["beyond_at"] == [1.75]
    assert not found["within"]
    assert found["order_kept"]["reversed"] == 1


class _Killed(BaseException):
    pass


def test_a_killed_measurement_goes_on_and_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expr, state = parse("x*sigmoid(x)"), tmp_path / "swish.state"
    between = float(np.float32(-1e-44)), float(np.float32(1e-44))
    whole = Singles(expr, Reference(expr), between=between).run()
    running = Singles(expr, Reference(expr), between=between)
    assert len(running._units) == 2
    measure, calls = running._measure, []

    def interrupted(piece: Any, tally: Any) -> None:
        calls.append(piece.sign)
        if len(set(calls)) == 2:
            raise _Killed
        measure(piece, tally)

    monkeypatch.setattr(running, "_measure", interrupted)
    with pytest.raises(_Killed):
        running.run(state)
    assert json.loads(state.read_text())["parts"] == 1
    assert sorted(tmp_path.iterdir()) == [state]
    again = Singles(expr, Reference(expr), between=between).run(state)
    assert {k: v for k, v in again.items() if k != "seconds"} == {k: v for k, v in whole.items() if k != "seconds"}
    other = parse("tanh(x)")
    with pytest.raises(InputError, match="of another expression"):
        Singles(other, Reference(other), between=between).run(state)
    state.write_text("{}")
    with pytest.raises(InputError, match="not the state"):
        Singles(expr, Reference(expr), between=between).run(state)


def test_a_page_of_float32_fits_eighty_columns() -> None:
    expr = parse("log(x)")
    found = Singles(expr, Reference(expr), between=(-1e-44, 1e-40)).run(None)
    text = page(
        {"expression": "log(x)", "parameters": {}, "verdict": "", "dtypes": {"float32": found}, "function": _FACTS}
    )
    assert max(map(len, text.splitlines())) <= WIDTH
    assert json.loads(json.dumps(found, allow_nan=False)) == found


_FACTS = {
    "monotonicity": [], "turning_points": [], "zeros": [], "infimum": None, "supremum": None, "lipschitz": None,
    "limits": {}, "known": "",
}  # fmt: skip


def test_errors_without_a_truth_count_nothing() -> None:
    errors = Errors()
    errors.add(FORMATS["float32"], np.empty(0), np.empty(0), np.empty(0))
    assert errors.counted == 0
