"""What describes a function before training, and the distances between functions."""

from __future__ import annotations

import numpy as np
import pytest

from symact.expr.tree import parse
from symact.optimize.function_features import AXES, CLIP, POINTS, VIEWS, Frame, Raw, outputs
from symact.program.loading import parse_grammar
from tests.optimize.described import described, expressions


def test_outputs_are_the_values_of_the_functions():
    found = outputs(expressions("add(relu(x),tanh(x))", "mul(identity(x),sigmoid(x))", "x*sigmoid(x)"))
    assert np.allclose(found[0], np.maximum(POINTS, 0) + np.tanh(POINTS), atol=1e-6)
    assert np.allclose(found[1], found[2], atol=1e-6)


def test_the_distance_of_outputs_is_the_root_mean_square_in_medians():
    members = expressions("add(relu(x),zero(x))", "add(tanh(x),zero(x))", "add(erf(x),zero(x))", "add(elu(x),zero(x))")
    description, raw = described(members)
    apart = description.distances(description, {"outputs": 1.0})
    expected = np.sqrt(((raw.outputs[:, None] - raw.outputs[None]) ** 2).mean(-1))
    assert np.allclose(apart, expected / np.median(expected[expected > 0]), rtol=1e-3, atol=1e-4)


def test_the_distance_of_spectra_is_wasserstein_s_over_the_layer_s_weights():
    members = expressions("add(relu(x),zero(x))", "add(tanh(x),zero(x))", "add(erf(x),zero(x))")
    centres = np.arange(100)
    fisher = np.stack(
        [[(centres >= a).astype(float), (centres >= b).astype(float)] for a, b in ((10, 5), (13, 5), (10, 9))]
    )
    description, _ = described(members, fisher)
    apart = description.distances(description, {"fisher": 1.0})
    # Three bins of width 2 in a layer of two weights are 3 apart; four bins in a layer of one weight are 8 apart.
    assert apart[0, 1] / apart[0, 2] == pytest.approx(3 / 8)
    assert apart[1, 2] / apart[0, 2] == pytest.approx(11 / 8)


def test_what_is_not_finite_is_marked():
    fisher = np.ones((2, 2, 100))
    fisher[1] = np.nan
    description, _ = described(expressions("add(relu(x),zero(x))", "add(tanh(x),zero(x))"), fisher)
    assert description.finite.tolist() == [True, False]


def test_a_parameter_stands_at_its_initial_value_and_a_fold_goes_from_the_left():
    grammar = parse_grammar(
        'name = "g"\n[parameters]\nbeta = { init = 3.0 }\n[unary]\nscale = "beta*x"\n'
        '[binary]\nminus = "a - b"\n[nary]\nall = "minus"\n[spaces]\nmain = ["unary(x)"]'
    )
    found = outputs([parse("all(scale(x),x,x)", grammar)])[0]
    assert np.array_equal(found, 3 * POINTS - POINTS - POINTS)


def test_values_are_clipped_and_what_is_undefined_counts_as_zero_but_not_as_finite():
    raw = Raw.of(expressions("exp(exp(exp(x)))", "log(x)", "tanh(x)"), None)
    assert np.abs(raw.outputs).max() <= CLIP
    assert raw.finite.tolist() == [False, False, True]
    assert (raw.outputs[1][POINTS < 0] == 0).all()


def test_a_distance_is_a_weighted_mean_of_the_views_that_are_there():
    members = expressions("add(relu(x),zero(x))", "add(tanh(x),zero(x))", "add(erf(x),elu(x))", "add(abs(x),exp(x))")
    description, _ = described(members)
    single = {view: description.distances(description, {view: 1.0}) for view in ("outputs", "shape")}
    mixed = description.distances(description, {"outputs": 3.0, "fisher": 5.0, "shape": 1.0})
    assert np.allclose(mixed, 0.75 * single["outputs"] + 0.25 * single["shape"])
    assert np.allclose(mixed, mixed.T)
    for view in ("outputs", "shape"):
        assert np.median(single[view][single[view] > 0]) == pytest.approx(1.0)
    assert set(single) < set(VIEWS)


def test_functions_of_two_inputs_are_described_on_a_grid_of_both():
    members = [parse(text) for text in ("x*g", "g*x", "x*sigmoid(x)*g", "g*sigmoid(g)*x", "max(x, g)")]
    raw = Raw.of(members, None, inputs=2)
    x, g = (axis.ravel() for axis in np.meshgrid(*AXES[2], indexing="ij"))
    assert raw.outputs.shape == (5, len(POINTS))
    assert np.allclose(raw.outputs[2], np.clip(x / (1 + np.exp(-x)) * g, -CLIP, CLIP), atol=1e-5)
    apart = Frame(raw)(raw).distances(Frame(raw)(raw), {"outputs": 1.0, "shape": 1.0})
    assert apart[0, 1] == pytest.approx(0, abs=1e-6)
    assert apart[2, 3] > 0.1, "which input goes through the sigmoid is not told apart"
