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


REGRESSORS = {"knn": NearestNeighbours, "forest": lambda: Forest(20), "svr": SupportVectors, "gp": GaussianProcess}


@pytest.fixture(scope="module")
def sampled():
    """Usable functions of the space, and a target that varies with them."""
    description, raw = described([SPACE.sample(np.random.default_rng(n)) for n in range(120)])
    keep = np.flatnonzero(description.finite)
    return Rows(description.take(keep), VIEWS), raw.outputs[keep].mean(1)


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor_predicts_functions_that_it_has_not_seen_better_than_their_mean_does(sampled, name):
    rows, targets = sampled
    known, new = np.arange(0, len(rows), 2), np.arange(1, len(rows), 2)
    mean, spread = (
        REGRESSORS[name]().fit(rows.take(known), targets[known], np.zeros(len(known))).predict(rows.take(new))
    )
    assert ((mean - targets[new]) ** 2).mean() < ((targets[known].mean() - targets[new]) ** 2).mean()
    assert (spread is None) == (name in ("knn", "svr"))
    assert spread is None or (spread >= 0).all()


def test_a_gaussian_process_without_noise_goes_through_its_targets_and_is_sure_of_them(sampled):
    rows, targets = sampled
    mean, spread = GaussianProcess(jitter=1e-8).fit(rows, targets, np.zeros(len(rows))).predict(rows)
    # Equal functions have equal rows, and equal targets.
    assert np.allclose(mean, targets, atol=1e-3 * targets.std())
    assert spread.max() < 1e-3 * targets.std()


def test_the_nearest_neighbour_at_no_distance_is_the_prediction(sampled):
    rows, targets = sampled
    mean, _ = NearestNeighbours(1).fit(rows, targets, np.zeros(len(rows))).predict(rows)
    assert np.allclose(mean, targets, rtol=1e-4, atol=1e-4)


def test_noise_makes_a_gaussian_process_doubt():
    description, _ = described(expressions("add(relu(x),zero(x))", "add(tanh(x),zero(x))", "add(erf(x),elu(x))"))
    rows, targets = Rows(description, VIEWS), np.array([0.0, 1.0, 2.0])
    doubts = [np.array([0.0, 0.0, variance]) for variance in (0.0, 1.0, 9.0)]
    means, spreads = zip(*(GaussianProcess().fit(rows, targets, doubt).predict(rows) for doubt in doubts), strict=True)
    errors = [abs(mean[2] - 2.0) for mean in means]
    assert errors == sorted(errors)
    assert len(set(errors)) == 3
    assert spreads[0][2] < spreads[1][2] < spreads[2][2]


def likeness(expression, target):
    return -float(np.sqrt(((outputs([expression]).clip(-5, 5) - target) ** 2).mean()))


@pytest.mark.parametrize("regressor", ["gp", "knn", "svr"])
def test_a_hidden_function_is_found_within_a_tenth_of_the_space(regressor):
    """Each of four; random search finds all four within that with a probability of 1 in 10,000."""
    members = Functions.of(SPACE).members
    for hidden in np.random.default_rng(0).choice(len(members), 4, replace=False):
        target = outputs([members[hidden]]).clip(-5, 5)
        optimizer, tried = Surrogate(SPACE, 1, regressor=regressor), []
        while members[hidden] not in tried:
            asked = optimizer.ask(8)
            tried += asked
            assert len(tried) <= len(members) / 10, f"{members[hidden]} was not found"
            optimizer.tell([Trial(e, (Outcome.finished(likeness(e, target)),)) for e in asked])


def test_a_batch_is_spread_wider_than_the_best_predictions():
    target = outputs(expressions("add(tanh(x),bessel_i1e(x))")).clip(-5, 5)
    optimizer = Surrogate(SPACE, 1)
    optimizer.tell([Trial(e, (Outcome.finished(likeness(e, target)),)) for e in optimizer.ask(12)])
    model, used = optimizer._fitted()
    candidates, rows = optimizer._candidates(used)
    best = np.argsort(-model.predict(rows)[0], kind="stable")[:8]

    def nearest(chosen):
        """The mean distance of a candidate to the nearest other one of the batch."""
        found = outputs(chosen)
        apart = np.sqrt(((found[:, None] - found[None]) ** 2).mean(-1))
        return (apart + np.diag(np.full(len(found), np.inf))).min(1).mean()

    asked = optimizer.ask(8)
    assert asked[0] == candidates[best[0]]
    assert nearest(asked) > nearest([candidates[i] for i in best])


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


def test_a_warm_start_without_noise_proposes_first_what_the_same_trials_would_make_it_propose():
    target = outputs(expressions("add(tanh(x),bessel_i1e(x))")).clip(-5, 5)
    members = [SPACE.sample(np.random.default_rng(n)) for n in range(60)]
    scores = {e: likeness(e, target) for e in members if np.isfinite(outputs([e])).all()}
    warm = Surrogate(SPACE, 0, warm_start=[(str(e), score) for e, score in scores.items()], warm_noise=0.0)
    told = Surrogate(SPACE, 0)
    told.tell([Trial(e, (Outcome.finished(score),)) for e, score in scores.items()])
    known = {told.key(e) for e in scores}
    assert next(e for e in warm.ask(60) if warm.key(e) not in known) == told.ask(1)[0]


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
