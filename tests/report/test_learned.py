"""What optimizers learned, from what a study holds; where there are no notes that is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from symact.expr.tree import parse
from symact.optimize.mixture_formula import weighted_sum
from symact.program.loading import load_grammar
from symact.records import Outcome, Trial
from symact.report.learned import NO_NOTES, panels
from symact.report.view import StudyView
from tests.report.studies import finished

TEXTS = ("relu(x)", "tanh(x)", "sin(x)", "mul(tanh(x),relu(x))", "add(tanh(x),relu(x))", "max(relu(x),tanh(x))")


def study(optimizer: str, notes: dict | None = None) -> StudyView:
    trials = [
        finished(text, 0.5 + 0.1 * number, number=number, origin=optimizer, batch=number // 2)
        for number, text in enumerate(TEXTS)
    ]
    return StudyView("s", trials, [], [], optimizer, notes=notes or {})


@pytest.mark.parametrize("optimizer", ["evolution", "rl", "surrogate"])
def test_a_study_without_notes_is_not_called_old_but_said_to_have_none(optimizer: str):
    view = study(optimizer)
    assert [panel.text for panel in panels(view, view.trials[-1])] == [NO_NOTES[optimizer]]


def test_the_family_tree_goes_back_to_those_without_parents_and_each_stands_there_once():
    notes = {
        5: {"parents": [3, 4], "operation": "crossover"},
        4: {"parents": [0], "operation": "change"},
        3: {"parents": [0]},
    }
    view = study("evolution", notes)
    (panel,) = panels(view, view.trials[5])
    nodes = panel.charts[0]["nodes"]
    assert [(node["number"], [nodes[p]["number"] for p in node["parents"]]) for node in nodes] == [
        (5, [3, 4]), (3, [0]), (0, []), (4, [0]),
    ]  # fmt: skip
    assert nodes[0]["how"] == "crossover"


@pytest.mark.parametrize("parents", [[5], [9], [99], "no list", [None], [2.5]])
def test_parents_that_cannot_be_are_left_out(parents):
    view = study("evolution", {5: {"parents": parents}})
    for panel in panels(view, view.trials[5]):
        assert all(len(chart["nodes"]) == 1 for chart in panel.charts)


def test_a_policy_shows_entropy_and_the_operators_it_prefers_over_time():
    notes = {n: {"entropy": 2.0 - 0.1 * n, "probability": -3.0} for n in range(6)}
    notes[0]["operators"], notes[4]["operators"] = {"tanh": 0.9, "relu": 0.1}, {"tanh": 0.2, "relu": 0.8}
    (panel,) = panels(study("rl", notes), None)
    reward, entropy, operators = panel.charts
    assert entropy["series"][0]["y"] == pytest.approx([1.95, 1.75, 1.55])
    assert reward["series"][1]["y"] == pytest.approx([0.6, 0.8, 1.0])
    assert {one["name"]: one["y"] for one in operators["series"]}["relu"] == [0.1, None, 0.8]


def test_predictions_are_compared_with_the_rank_among_what_was_trained_before():
    notes = {n: {"predicted": 0.1 * n, "targets": "rank"} for n in range(2, 6)}
    (panel,) = panels(study("surrogate", notes), None)
    assert panel.charts[0]["y"] == [1.0, 1.0, 1.0, 1.0]
    assert panel.charts[0]["numbers"] == [2, 3, 4, 5]


def test_a_mixture_shows_the_shares_of_each_layer_and_its_function_on_four_scales():
    expr = weighted_sum({"w0_f0": "relu(x)", "w0_f1": "tanh(x)"}, load_grammar("aquasurf"))
    constants = ({"w0_f0": 3.0, "w0_f1": 1.0}, {"w0_f0": 1.0, "w0_f1": 1.0})
    trial = Trial(expr, (Outcome.finished(0.9, constants=constants),), "mixture", 0)
    (panel,) = panels(StudyView("m", [trial], [], [], "mixture"), trial)
    assert [group["parts"] for group in panel.charts[0]["groups"]] == [
        [["relu(x)", 0.75], ["tanh(x)", 0.25]], [["relu(x)", 0.5], ["tanh(x)", 0.5]],
    ]  # fmt: skip
    assert [chart["x"][-1] for chart in panel.charts[2:]] == [3, 1, 10, 100]
    assert panel.charts[1]["head"] == ["layer", "n", "relu(x)", "tanh(x)"]
    assert panel.charts[1]["rows"] == [["1", "1", "0.750", "0.250"], ["2", "1", "0.500", "0.500"]]


def test_halving_tells_how_many_reached_each_rung():
    low = [replace(trial, budget=0.25) for trial in study("random").trials]
    high = [replace(trial, number=10 + trial.number) for trial in low[4:]]
    view = StudyView("h", [*low, *(replace(trial, budget=1.0) for trial in high)], [], [], "random")
    (panel,) = panels(view, None)
    assert [row[:3] for row in panel.charts[0]["rows"]] == [["0.25", "1", "6"], ["1", "1", "2"]]
    assert panel.charts[1]["series"][0]["y"] == [1.0, 1.0]
    assert panels(StudyView("empty", [Trial(parse("x"), (), "random", 0)], [], [], "random"), None) == []
