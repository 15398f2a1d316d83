"""Regressors over functions: who predicts, who is sure, and which distances are kept."""

from __future__ import annotations

import numpy as np
import pytest

from symact.optimize.pool import Pool
from symact.optimize.regressors import Columns, Forest, GaussianProcess, NearestNeighbours, Rows, SupportVectors
from tests.optimize.described import SPACE, described, expressions

VIEWS = {"outputs": 1.0, "shape": 1.0}
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


def test_few_columns_are_kept_and_others_measured_again():
    members = Pool.of(SPACE).members[:30]
    description, _ = described(members)
    rows, columns = Rows(description, VIEWS), Columns(Rows(description, VIEWS), largest=4)
    everything = rows.distances(rows)
    for others in ([1, 2, 3], [3, 9, 9, 1], list(range(12)), [11, 0]):
        assert np.allclose(columns(np.arange(30), np.array(others)), everything[:, others], rtol=1e-5)
    assert len(columns._kept) <= 12
