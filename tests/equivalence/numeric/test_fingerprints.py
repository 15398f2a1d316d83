"""Fingerprints: equal values have equal projections, others do not, and what is not reliable is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symact.equivalence.engine.grouping import ALL, CLOSE, SAME
from symact.equivalence.numeric.fingerprints import Fingerprints, fingerprint, project_block
from symact.equivalence.numeric.float64 import Saturation
from symact.equivalence.numeric.samples import BLOCKS, PER_BLOCK, POINTS, sample_points

BOUNDS = Saturation(POINTS)
X = sample_points(-5.0, 5.0)


def of(values: np.ndarray, second: np.ndarray | None = None) -> Fingerprints:
    return fingerprint(np.concatenate([values, values if second is None else second])[None], BOUNDS)


@given(st.integers(0, 2**32 - 1), st.integers(-280, 280), st.floats(0, 0.2))
def test_rounding_stays_below_the_distance_of_what_is_the_same(seed, exponent, holes):
    generator = np.random.default_rng(seed)
    values = generator.standard_normal(POINTS) * 2.0**exponent
    values[generator.random(POINTS) < holes] = np.nan
    rounded = values * (1 + generator.integers(-1, 2, POINTS) * 2.0**-52)
    first, second = of(values), of(rounded)
    assert abs(first.projections.sum() - second.projections.sum()) < SAME


@given(st.integers(0, 2**32 - 1), st.integers(0, POINTS - 1), st.sampled_from([1e-6, 1e-3, -2.0]))
def test_a_difference_at_one_point_shows_in_its_block_alone(seed, point, relative):
    values = np.random.default_rng(seed).standard_normal(POINTS)
    other = values.copy()
    other[point] *= 1 + relative
    apart = np.abs(of(values).projections - of(other).projections)[0] > CLOSE
    assert np.flatnonzero(apart).tolist() == [point // PER_BLOCK]


@pytest.mark.parametrize("instead", [np.nan, 0.0, -1.0])
def test_undefined_zero_and_the_sign_are_told_apart(instead):
    values = np.exp(X)
    other = values.copy()
    other[20] = instead
    assert np.abs(of(values).projections - of(other).projections).max() > 1


def test_a_block_is_reliable_where_both_halves_agree():
    values = np.tanh(X)
    second = values.copy()
    second[3 * PER_BLOCK] *= 1 + 1e-11
    second[5 * PER_BLOCK + 1] = np.nan
    assert of(values).reliable.tolist() == [ALL]
    assert of(values, second).reliable.tolist() == [ALL - (1 << 3) - (1 << 5)]
    assert of(np.full(POINTS, np.nan)).reliable.tolist() == [ALL]


def test_many_are_fingerprinted_as_each_alone():
    rows = [np.tanh(X), np.exp(X), np.where(X > 0, np.sqrt(np.abs(X)), np.nan)]
    together = fingerprint(np.array([np.concatenate([row, row]) for row in rows]), BOUNDS)
    parts = Fingerprints.joined([of(row) for row in rows])
    assert np.array_equal(together.projections, parts.projections)
    assert np.array_equal(together.reliable, parts.reliable)
    assert np.array_equal(together[np.array([1])].projections, of(rows[1]).projections)


def test_one_block_is_projected_as_all_are():
    generator = np.random.default_rng(3)
    features = generator.standard_normal((BLOCKS, PER_BLOCK))
    values = 2.0 ** np.floor(features.ravel())
    exponents = np.floor(features)
    found = of(values).projections[0]
    for block in range(BLOCKS):
        assert project_block(exponents[block], block) == pytest.approx(found[block], abs=1e-9)
