"""Mixtures over several trainings: shares with their spread, mean curves, figures of `symact report --figures`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symact.expr.operators import Vocabulary
from symact.optimize.mixture_formula import mixed, weighted_sum
from symact.program.loading import load_grammar
from symact.records import Outcome, Status, Trial
from symact.report import mixtures
from symact.report.figures import write_figures
from symact.report.learned import panels
from symact.report.naming import shown
from symact.report.view import StudyView

EXPRESSION = weighted_sum({"w0_f0": "relu(x)", "w0_f1": "tanh(x)"}, load_grammar("aquasurf"))
# Two trainings of two layers: ReLU has 3/4 and 1/4 of the first layer, and all but nothing of the second.
LEARNED = [
    ({"w0_f0": 3.0, "w0_f1": 1.0}, {"w0_f0": 1e-9, "w0_f1": 1.0}),
    ({"w0_f0": 1.0, "w0_f1": 3.0}, {"w0_f0": 1e-9, "w0_f1": 1.0}),
]
TRIALS = [
    Trial(EXPRESSION, (Outcome.finished(0.9, constants=LEARNED[0]), Outcome.failed("diverged", "no")), "mixture", 0),
    Trial(EXPRESSION, (Outcome.finished(0.8, constants=LEARNED[1]),), "mixture", 0),
]


def test_failed_trainings_tell_nothing_and_fresh_seeds_count():
    learned = mixtures.trainings(*TRIALS)
    assert [tuple(training) for training in learned] == LEARNED
    assert mixtures.trainings(Trial(EXPRESSION, (Outcome.failed(Status.crashed, "no"),))) == []


def test_shares_are_means_over_trainings_with_their_deviation():
    layers = mixtures.shares(LEARNED)
    assert layers[0]["w0_f0"].tolist() == [0.75, 0.25]
    assert [list(layer) for layer in layers] == [["w0_f1", "w0_f0"]] * 2, "one order: the largest of all layers first"
    head, rows = mixtures.table(layers, {"w0_f0": "ReLU", "w0_f1": "tanh"}.__getitem__)
    assert head == ["layer", "n", "ReLU", "tanh"]
    assert rows[0] == ["1", "2", "0.500 (0.354)", "0.500 (0.354)"]
    assert mixtures.spread(np.array([0.25])) == "0.250"


def test_the_curve_of_a_layer_is_the_mean_of_those_of_its_trainings():
    x, layers = mixtures.mean_curves(EXPRESSION, LEARNED, 2.0)
    assert layers[0] == pytest.approx(0.5 * np.maximum(x, 0) + 0.5 * np.tanh(x))
    assert layers[1] == pytest.approx(np.tanh(x), abs=1e-6)


def test_page_and_figures_show_the_mixture_of_all_trainings(tmp_path):
    whole = Trial(EXPRESSION, TRIALS[0].outcomes[:1], "mixture", 0)
    view = StudyView("m", [whole], [TRIALS[1]], [], "mixture")
    (panel,) = panels(view, whole)
    assert panel.charts[0]["groups"][0]["parts"] == [["tanh(x)", 0.5], ["relu(x)", 0.5]]
    assert "Means of 2 trainings" in panel.text
    names = {path.stem for path in write_figures([view], tmp_path)}
    assert {"mixture-curves", "mixture-shares", "output-landscape"} <= names
    assert not {name for name in names if "shares" in name} - {"mixture-shares"}, "drawn once"


TERMS = st.lists(st.sampled_from(["relu(x)", "x*sigmoid(x)", "(sin(x))*(x + 1)", "max(x,-x)"]), min_size=2, max_size=12)


@given(TERMS)
def test_a_mixture_is_called_by_its_functions(functions):
    mixture = weighted_sum({f"w0_f{i}": text for i, text in enumerate(functions)}, Vocabulary())
    assert mixed(str(mixture)) == tuple(functions)
    said = shown(mixture)
    assert said.startswith(f"mixture of {', '.join(functions[:8])}")
    assert said.endswith(f" and {len(functions) - 8} more") == (len(functions) > 8)


@pytest.mark.parametrize("text", ["relu(x)", "", "(x)/(x)", "(w0_f0*(relu(x)) + w0_f1*(tanh(x)))/(w0_f0)"])
def test_other_formulas_are_no_mixture_of_functions(text):
    assert mixed(text) == ()
