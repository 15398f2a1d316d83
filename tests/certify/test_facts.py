"""Facts of known functions: where they turn, zeros, range, steepest slope, limits."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from symact.certify.facts import EDGE_OF_RANGE, facts
from symact.certify.flat import flat_program
from symact.expr.tree import parse

# Formula, directions in order, turning points, zeros, infimum, steepest slope, limits.
KNOWN: list[tuple[str, str, list[float], list[float], float | None, float, Any, Any]] = [
    ("x*sigmoid(x)", "-+", [-1.27846454], [0.0], -0.27846454, 1.0998393, 0.0, "inf"),
    ("gelu(x)", "-+", [-0.75179153], [0.0], -0.16997121, 1.1289041, 0.0, "inf"),
    ("mish(x)", "-+", [-1.19243122], [0.0], -0.30884341, 1.0884990, 0.0, "inf"),
    ("tanh(x)", "+", [], [0.0], -1.0, 1.0, -1.0, 1.0),
    ("softsign(x)", "+", [], [0.0], -1.0, 1.0, -1.0, 1.0),
    ("elu(x)", "+", [], [0.0], -1.0, 1.0, -1.0, "inf"),
    ("selu(x)", "+", [], [0.0], -1.75809934, 1.75809934, -1.758099340847, "inf"),
    ("softplus(x)", "+", [], [], 0.0, 1.0, 0.0, "inf"),
    ("hardswish(x)", "0-+", [-1.5], [0.0], -0.375, 1.5, 0.0, "inf"),
    ("x**2*exp(-x**2)", "+-+-", [-1.0, 0.0, 1.0], [0.0], 0.0, 0.58722, 0.0, 0.0),
]
_WORDS = {"+": "increasing", "-": "decreasing", "0": "constant"}


@pytest.mark.parametrize(("text", "ways", "turns", "zeros", "lowest", "steepest", "left", "right"), KNOWN)
def test_facts_of_known_functions(
    text: str, ways: str, turns: list[float], zeros: list[float], lowest: float, steepest: float, left: Any, right: Any
) -> None:
    found = facts(flat_program(parse(text)))
    assert [piece["direction"] for piece in found["monotonicity"]] == [_WORDS[way] for way in ways]
    turned = [turn["x"] for turn in found["turning_points"] if turn["kind"] in ("minimum", "maximum")]
    assert turned == pytest.approx(turns, abs=1e-6)
    isolated = [zero["x"] for zero in found["zeros"] if zero["known"] == "exactly zero" and zero["x"] != -3.0]
    assert isolated == pytest.approx(zeros, abs=1e-6)
    low, high = found["infimum"]
    assert low - 1e-7 <= lowest <= high + 1e-7
    assert high - low < 1e-5
    low, high = found["lipschitz"]
    assert low - 1e-5 <= steepest <= high + 1e-5
    assert high - low < 1e-4
    assert found["limits"]["-inf"]["value"] == left
    assert found["limits"]["inf"]["value"] == right


def test_pieces_cover_the_range_without_gaps() -> None:
    for text in ("x*sigmoid(x)", "hardswish(x)", "sin(x)", "log(x)"):
        pieces = facts(flat_program(parse(text)))["monotonicity"]
        assert pieces[0]["from"] == -EDGE_OF_RANGE
        assert pieces[-1]["to"] == EDGE_OF_RANGE
        assert all(a["to"] == b["from"] for a, b in itertools.pairwise(pieces))


def test_what_bounds_leave_open_is_said_to_be_open() -> None:
    found = facts(flat_program(parse("sin(x)")))
    assert found["monotonicity"][0]["direction"] == "not decided"
    assert found["limits"]["inf"]["value"] is None
    assert facts(flat_program(parse("log(x)")))["limits"]["-inf"]["value"] == "undefined"
    assert facts(flat_program(parse("floor(x)")))["lipschitz"] is None


def test_a_change_of_sign_is_a_zero_although_no_number_is_exactly_one() -> None:
    found = facts(flat_program(parse("exp(x) - 3")))["zeros"]
    assert [zero["known"] for zero in found] == ["a change of sign"]
    low, high = found[0]["between"]
    assert low < 1.0986122886681098 < high < low + 1e-6


def test_a_condition_that_holds_in_the_middle_alone_is_not_decided_by_its_ends() -> None:
    found = facts(flat_program(parse("where(abs(x) <= 1/2, 0, x)")))
    assert [piece["direction"] for piece in found["monotonicity"]] == ["increasing", "constant", "increasing"]
    assert [turn["kind"] for turn in found["turning_points"]] == ["break", "break"]
    assert [turn["x"] for turn in found["turning_points"]] == [-0.5, 0.5]
