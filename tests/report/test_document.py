"""What the page is told: the winner with how sure it is, rows in order, curves that can be read back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symact.expr.tree import Expr, parse
from symact.program.loading import load_grammar
from symact.records import Outcome, Trial
from symact.report import curves
from symact.report.document import best_so_far, confidence, document
from symact.report.leaderboard import Difference, Row
from tests.report.studies import failure, finished, view


def unpacked(text: str) -> np.ndarray:
    """What the page makes of a small curve."""
    bends, number, weight = [], 0, 1
    for letter in text:
        digit = curves.DIGITS.index(letter)
        number, weight = number + digit % 32 * weight, 32 * weight
        if digit < 32:
            bends.append(-(number + 1) // 2 if number % 2 else number // 2)
            number, weight = 0, 1
    steps = np.cumsum(np.cumsum(bends)).astype(float)
    return np.where(steps > 0, (steps - 1) / curves.STEPS - curves.LARGEST, np.nan)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.floats(-20, 20), min_size=1, max_size=101))
def test_a_small_curve_is_read_back_whatever_its_values_are(values: list[float]):
    given, found = np.array(values), unpacked(curves.packed(np.array(values)))
    drawn = np.abs(given) <= curves.LARGEST
    np.testing.assert_allclose(found[drawn], given[drawn], atol=0.5 / curves.STEPS + 1e-9)
    assert np.isnan(found[~drawn]).all()


def test_a_document_is_json_without_any_number_that_is_none():
    shown = document([view()])
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown


def test_rows_stand_in_the_order_of_the_leaderboard_and_the_winner_is_the_first():
    study = document([view()])["studies"][0]
    assert [row["rank"] for row in study["rows"]] == list(range(1, len(study["rows"]) + 1))
    assert study["rows"][0]["expression"] == "mul(identity(x),sigmoid(x))"
    assert study["best"]["expression"] == study["rows"][0]["shown"]
    assert study["rows"][0]["versus_relu"]["difference"] == pytest.approx(0.1)
    assert study["rows"][0]["training"]["curves"] == [[0.45, 0.9], [0.455, 0.91], [0.46, 0.92]]
    assert (study["rows"][0]["training"]["unit"], study["rows"][0]["training"]["steps"]) == ("epoch", None)
    assert study["rows"][0]["latex"] == r"\frac{x}{1 + e^{- x}}"
    assert study["counts"] == {"finished": 6, "crashed": 1}


SMALL = ["tanh(x)", "x*sigmoid(x)", "1/x", "log(x)", "heaviside(x)", "exp(x)", "x*tanh(exp(exp(x)))", "0*x + 2"]


@pytest.mark.parametrize("text", SMALL)
def test_small_curves_hold_the_function_and_its_slope(text: str):
    expr = parse(text)
    small = curves.small_curves(expr, {})
    for row, packed in enumerate((small.curve, small.slope), 1):
        found = unpacked(packed)
        x, *_ = drawn = curves.samples(expr, curves.LOW, curves.HIGH, {}, len(found))
        on_jump = np.isin(x.round(6), [jump[0] for jump in small.jumps])
        found, values = found[~on_jump], drawn[row][~on_jump]
        known = np.isfinite(values) & (np.abs(values) <= curves.LARGEST - 0.01)
        assert np.isnan(found[np.isnan(values)]).all()
        assert np.isnan(found[np.abs(values) > curves.LARGEST + 0.01]).all()
        np.testing.assert_allclose(found[known], values[known], atol=0.5 / curves.STEPS + 1e-6)


def test_every_row_has_what_it_shows_when_it_is_opened():
    grammar = load_grammar("first")
    others = tuple(
        finished(text, 0.01, 0.02, 0.03, number=100 + place)
        for place, text in enumerate(f"tanh({factor}*x)" for factor in range(1, 400))
    )
    nowhere = lambda functions, seed: np.full((len(functions), 2), np.nan)
    rows = document([view(extra=others)], [nowhere])["studies"][0]["rows"]
    assert len(rows) > 400
    for row in rows:
        assert {"curve", "slope", "latex", "code"} <= set(row)
        assert ("training" in row) == (row["status"] == "finished")
    assert parse(rows[0]["expression"], grammar)


def test_long_training_curves_are_thinned_and_keep_their_steps():
    long, short = [float(i) for i in range(1, 1001)], [float(i) for i in range(1, 301)]
    found = curves.training_curves(Trial(parse("x"), tuple(Outcome.finished(1.0, curve=c) for c in (long, short))))
    kept = found.thinned()
    assert (len(found.steps), len(kept.steps), kept.steps[0], kept.steps[-1]) == (1000, curves.MOST_EPOCHS, 1, 1000)
    assert kept.curves[0] == kept.steps
    assert kept.curves[1] == [step for step in kept.steps if step <= 300]


PAIRS = [[step, step / 40] for step in range(4, 40, 5)]
COURSES = {
    "reported": ({"reported": PAIRS}, "step", [step for step, _ in PAIRS]),
    "curve of as many": ({"reported": PAIRS, "curve": [0.5] * len(PAIRS)}, "step", [step for step, _ in PAIRS]),
    "curve of steps": ({"curve": [{"step": n, "score": 0.1} for n in (60, 300)]}, "step", [60, 300]),
    "curve of epochs": ({"curve": [{"epoch": n, "accuracy": 0.1} for n in (2, 4)], "reported": PAIRS}, "epoch", [2, 4]),
    "plain curve": ({"curve": [0.1, 0.2, 0.3], "reported": PAIRS}, "epoch", [1, 2, 3]),
    "curve without scores": ({"curve": [{"step": 9, "train_loss": 0.1}]}, "step", []),
    "reported beside it": ({"curve": [{"step": 9, "train_loss": 0.1}], "reported": [[9, 0.5]]}, "step", [9]),
    "nothing": ({}, "step", []),
}


@pytest.mark.parametrize("name", COURSES)
def test_a_training_is_drawn_over_the_steps_of_its_task_and_they_are_epochs_where_it_says_so(name):
    metrics, unit, steps = COURSES[name]
    found = curves.training_curves(Trial(parse("x"), (Outcome.finished(0.5, **metrics),)))
    assert (found.unit if steps else "step", found.steps) == (unit, steps)
    assert [len(curve) for curve in found.curves] == [len(steps)] * bool(steps)


def test_learned_constants_enter_the_small_curve():
    beta = parse("beta(x)", load_grammar("ramachandran"))
    assert unpacked(curves.small_curves(beta, {"beta": 2.5}).curve)[50] == pytest.approx(2.5, abs=5e-4)
    assert unpacked(curves.small_curves(beta, {"beta": [1.0, 2.0]}).curve)[50] == pytest.approx(1.0, abs=5e-4)


def test_learned_constants_enter_the_curve():
    expr = parse("beta(x)", load_grammar("ramachandran"))
    trial = Trial(expr, (Outcome.finished(0.5, constants=({"beta": 2.5}, {"beta": 1.5})),))
    assert curves.samples(expr, -1, 1, curves.learned(trial))[1] == pytest.approx(2.5)
    assert curves.learned(trial, site=1) == {"beta": 1.5}


def test_a_candidate_with_one_function_per_site_is_shown_by_its_first():
    sites = (Expr(load_grammar("first").operators["tanh"], (parse("x"),)), parse("relu(x)"))
    study = document([view("two", (Trial(sites, tuple(map(Outcome.finished, (0.95, 0.96, 0.97))), "mixture", 99),))])[
        "studies"
    ][0]
    assert study["best"]["sites"] == 2
    assert study["best"]["y"][-1] == pytest.approx(np.tanh(curves.HIGH), abs=1e-4)


VERDICTS = {
    "beats ReLU and the best known function by more than chance explains (p below 0.05 after Holm's correction for "
    "10 differences tested)": (
        Difference(0.1, 0.05, 0.15, 5, True, 0.01, 10),
        Difference(0.1, 0.02, 0.2, 5, True, 0.03, 10),
    ),
    "cannot be told from ReLU and the best known": (Difference(0.1, -0.05, 0.15, 5), Difference(0.1, -0.02, 0.2, 5)),
    "cannot be told from ReLU (p is 0.05 or more after Holm's correction for 10 differences tested)": (
        Difference(0.1, 0.01, 0.19, 5, False, 0.3, 10),
        None,
    ),
    "is worse than ReLU": (Difference(-0.1, -0.15, -0.05, 5, False, 0.01, worse=True), None),
}


@pytest.mark.parametrize("words", VERDICTS)
def test_one_sentence_says_how_sure_the_winner_is(words: str):
    trial = finished("tanh(x)", 0.5, 0.6, 0.7)
    assert words in confidence(Row(trial, trial, *VERDICTS[words]))
    assert "never saw" in confidence(Row(trial, trial, *VERDICTS[words]))
    assert "flatter" in confidence(Row(trial, None, *VERDICTS[words]))


def test_what_was_trained_once_or_is_a_baseline_is_called_that():
    assert "nothing can be said about luck" in confidence(Row(finished("tanh(x)", 0.5), None, None))
    assert "known one" in confidence(Row(finished("tanh(x)", 0.5, origin="baseline"), None, None))


def test_best_so_far_never_falls_and_skips_failures():
    trials = [finished("tanh(x)", 0.2), failure("1/x", 1), finished("sin(x)", 0.5), finished("relu(x)", 0.4)]
    assert best_so_far(trials) == [0.2, 0.2, 0.5, 0.5]
    assert best_so_far(trials[1:2]) == [None]


def test_repeated_runs_are_one_line_with_a_band():
    views = [
        view(label, (finished("gelu(x)", score, number=50),), optimizer="random", task="t")
        for label, score in (("a", 0.95), ("b", 0.99))
    ]
    race = document(views)["race"]
    assert [(one["name"], one["runs"]) for one in race] == [("random (2 runs)", 2)]
    assert (race[0]["low"][-1], race[0]["middle"][-1], race[0]["high"][-1]) == pytest.approx((0.95, 0.97, 0.99))
