"""Pictures show what they are given: gaps at jumps, failures apart, the tree as it is."""

from __future__ import annotations

import numpy as np

from symact.expr.tree import parse
from symact.program.loading import load_grammar
from symact.records import Outcome, Status, Trial
from symact.report import pictures


def test_the_progress_curve_never_falls_and_skips_failures():
    trials = [Trial(parse("x"), (Outcome.finished(s),), "random", i) for i, s in enumerate([0.2, 0.5, 0.4])]
    trials.insert(1, Trial(parse("1/x"), (Outcome.failed(Status.diverged, "nan"),), "random", 9))
    figure = pictures.progress({"": trials})
    steps = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_array_equal(steps, [0.2, 0.2, 0.5, 0.5])


def test_the_expression_graph_has_one_box_per_operator_and_leaf():
    grammar = load_grammar("first")
    figure = pictures.expression_graph(parse("mul(identity(x),sigmoid(x))", grammar))
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["identity", "mul", "sigmoid", "x", "x"]
    assert pictures.expression_graph(parse("x*sigmoid(x)")) is None


def test_training_curves_are_means_over_seeds_and_absent_without_curves():
    outcomes = (Outcome.finished(0.5, curve=[0.1, 0.5]), Outcome.finished(0.7, curve=[0.3, 0.7]))
    figure = pictures.training([Trial(parse("x"), outcomes, "random", 0)])
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [0.2, 0.6])
    assert pictures.training([Trial(parse("x"), (Outcome.finished(0.5),), "random", 0)]) is None


def test_long_labels_are_cut_in_the_middle():
    assert pictures.shortened("a" * 30 + "b" * 60).count("…") == 1
    assert len(pictures.shortened("a" * 90)) == pictures.LONGEST_LABEL
