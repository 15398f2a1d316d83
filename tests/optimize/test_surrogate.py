"""The surrogate: what describes a function, who predicts, and that prediction finds what sampling does not."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from symact.errors import InputError
from symact.expr.grammar import load_grammar
from symact.expr.tree import parse
from symact.optimize.embedding import umap_union
from symact.optimize.feature_space import Landscape
from symact.optimize.function_features import POINTS, Frame, Raw, outputs
from symact.optimize.pool import Functions
from symact.optimize.regressors import Columns, Forest, GaussianProcess, NearestNeighbours, Rows, SupportVectors
from symact.optimize.surrogate import Surrogate
from symact.records import Outcome, Trial

GRAMMAR = load_grammar("aquasurf")
SPACE = GRAMMAR.space("bench")
VIEWS = {"outputs": 1.0, "shape": 1.0}


def expressions(*texts):
    return [parse(text, GRAMMAR) for text in texts]


def described(members, fisher=None):
    features = None if fisher is None else {"fisher": fisher, "fisher_weights": np.array([2.0, 1.0])}
    raw = Raw.of(members, features)
    return Frame(raw)(raw), raw


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


@pytest.mark.parametrize("regressor", [NearestNeighbours(), Forest(20), SupportVectors(), GaussianProcess()])
def test_regressors_fit_and_predict(regressor):
    members = SPACE and [SPACE.sample(np.random.default_rng(n)) for n in range(80)]
    description, raw = described(members)
    keep = np.flatnonzero(description.finite)
    rows = Rows(description.take(keep), VIEWS)
    targets = raw.outputs[keep].mean(1)
    mean, spread = regressor.fit(rows, targets, np.zeros(len(keep))).predict(rows)
    assert np.corrcoef(mean, targets)[0, 1] > 0.9
    assert spread is None or (spread >= 0).all()


def test_noise_makes_a_gaussian_process_doubt():
    description, _ = described(expressions("add(relu(x),zero(x))", "add(tanh(x),zero(x))", "add(erf(x),elu(x))"))
    rows, targets = Rows(description, VIEWS), np.array([0.0, 1.0, 2.0])
    sure, _ = GaussianProcess().fit(rows, targets, np.zeros(3)).predict(rows)
    unsure, _ = GaussianProcess().fit(rows, targets, np.array([0.0, 0.0, 9.0])).predict(rows)
    assert abs(sure[2] - 2.0) < 0.1 < abs(unsure[2] - 2.0)


def likeness(expression, target):
    return -float(np.sqrt(((outputs([expression]).clip(-5, 5) - target) ** 2).mean()))


@pytest.mark.parametrize("settings", [{}, {"regressor": "knn", "explore": 0.0}, {"regressor": "svr"}])
def test_prediction_finds_a_hidden_function(settings):
    target = outputs(expressions("add(tanh(x),bessel_i1e(x))")).clip(-5, 5)
    optimizer = Surrogate(SPACE, 1, **settings)
    for _ in range(6):
        optimizer.tell([Trial(e, (Outcome.finished(likeness(e, target)),)) for e in optimizer.ask(5)])
    best = max(likeness(e, target) for e in optimizer._expressions)
    drawn = [likeness(e, target) for e in (SPACE.sample(np.random.default_rng(n)) for n in range(300))]
    assert best > max(d for d in drawn if np.isfinite(d)) - 0.02


def test_a_batch_is_not_a_heap_of_twins():
    target = outputs(expressions("add(tanh(x),bessel_i1e(x))")).clip(-5, 5)
    optimizer = Surrogate(SPACE, 1)
    optimizer.tell([Trial(e, (Outcome.finished(likeness(e, target)),)) for e in optimizer.ask(12)])
    asked = outputs(optimizer.ask(8))
    apart = np.sqrt(((asked[:, None] - asked[None]) ** 2).mean(-1))[np.triu_indices(8, 1)]
    assert np.median(apart) > 0.02


class Source:
    """A task's measurements: twice as much Fisher information for a longer name."""

    def measure(self, listed):
        level = np.array([len(str(e)) % 5 / 10 for e in listed])
        fisher = np.linspace(0, 1, 100)[None, None] * np.ones((len(listed), 2, 1)) + level[:, None, None]
        return {"fisher": fisher, "fisher_weights": np.ones(2), "finite": np.ones(len(listed), dtype=bool)}


def test_remembered_distances_are_the_distances():
    source, functions = Source(), Functions.of(SPACE)
    landscape = Landscape.of(functions, source.measure)
    views = {"outputs": 1.0, "fisher": 0.5}
    foreign = expressions("x*tanh(x) + x", "relu(x)**2 - x")
    one = landscape.rows([*functions.members[10:40], *foreign], source.measure, views)
    other = landscape.rows([foreign[1], *functions.members[25:60:3], foreign[0]], source.measure, views)
    expected = one.description.distances(other.description, views)
    for _ in range(2):
        assert np.allclose(one.distances(other), expected, rtol=1e-5, atol=1e-6)
    assert np.allclose(one.take([0, -1]).distances(other.take([2])), expected[[0, -1]][:, [2]], rtol=1e-5)


def test_few_columns_are_kept_and_others_measured_again():
    members = Functions.of(SPACE).members[:30]
    description, _ = described(members)
    rows, columns = Rows(description, VIEWS), Columns(Rows(description, VIEWS), largest=4)
    everything = rows.distances(rows)
    for others in ([1, 2, 3], [3, 9, 9, 1], list(range(12)), [11, 0]):
        assert np.allclose(columns(np.arange(30), np.array(others)), everything[:, others], rtol=1e-5)
    assert len(columns._kept) <= 12


def test_a_landscape_is_made_once_and_goes_with_its_source():
    functions, source = Functions.of(SPACE), Source()
    landscape = Landscape.of(functions, source.measure)
    assert Landscape.of(functions, source.measure) is landscape
    assert Landscape.of(functions, Source().measure) is not landscape
    kept = [weakref.ref(source), weakref.ref(landscape)]
    del source, landscape
    gc.collect()
    assert [reference() for reference in kept] == [None, None]


def test_a_warm_start_predicts_before_anything_is_told():
    target = outputs(expressions("add(tanh(x),bessel_i1e(x))")).clip(-5, 5)
    members = [SPACE.sample(np.random.default_rng(n)) for n in range(60)]
    known = [(str(e), likeness(e, target)) for e in members if np.isfinite(outputs([e])).all()]
    warm = Surrogate(SPACE, 0, warm_start=known).ask(3)
    cold = Surrogate(SPACE, 0).ask(3)
    assert min(likeness(e, target) for e in warm) > max(likeness(e, target) for e in cold)


@pytest.mark.slow
def test_the_union_of_two_graphs_embeds_all_rows():
    members = [
        e for e in (SPACE.sample(np.random.default_rng(n)) for n in range(60)) if np.isfinite(outputs([e])).all()
    ]
    fisher = np.random.default_rng(0).random((len(members), 2, 100)).cumsum(2) / 60
    description, _ = described(members, fisher)
    embedded = umap_union(description, ("outputs", "fisher"))
    assert embedded.shape == (len(members), 2)
    assert np.isfinite(embedded).all()


def test_umap_needs_a_space_that_can_be_listed():
    with pytest.raises(InputError, match="embedding='metric'"):
        Surrogate(GRAMMAR.space("large"), 0, embedding="umap")


def test_wrong_settings_are_named():
    with pytest.raises(InputError, match="colour"):
        Surrogate(SPACE, 0, views={"colour": 1.0})
    with pytest.raises(InputError, match="oracle"):
        Surrogate(SPACE, 0, regressor="oracle")
