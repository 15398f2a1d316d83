"""Descriptions of the functions of a space: made once, and with their source they go."""

from __future__ import annotations

import gc
import weakref

import numpy as np

from symact.optimize.feature_space import Landscape
from symact.optimize.pool import Pool
from tests.optimize.described import SPACE, expressions


class Source:
    """A task's measurements: twice as much Fisher information for a longer name."""

    def measure(self, listed):
        level = np.array([len(str(e)) % 5 / 10 for e in listed])
        fisher = np.linspace(0, 1, 100)[None, None] * np.ones((len(listed), 2, 1)) + level[:, None, None]
        return {"fisher": fisher, "fisher_weights": np.ones(2), "finite": np.ones(len(listed), dtype=bool)}


def test_remembered_distances_are_the_distances():
    source, functions = Source(), Pool.of(SPACE)
    landscape = Landscape.of(functions, source.measure)
    views = {"outputs": 1.0, "fisher": 0.5}
    foreign = expressions("x*tanh(x) + x", "relu(x)**2 - x")
    one = landscape.rows([*functions.members[10:40], *foreign], source.measure, views)
    other = landscape.rows([foreign[1], *functions.members[25:60:3], foreign[0]], source.measure, views)
    expected = one.description.distances(other.description, views)
    for _ in range(2):
        assert np.allclose(one.distances(other), expected, rtol=1e-5, atol=1e-6)
    assert np.allclose(one.take([0, -1]).distances(other.take([2])), expected[[0, -1]][:, [2]], rtol=1e-5)


def test_a_landscape_is_made_once_and_goes_with_its_source():
    functions, source = Pool.of(SPACE), Source()
    landscape = Landscape.of(functions, source.measure)
    assert Landscape.of(functions, source.measure) is landscape
    assert Landscape.of(functions, Source().measure) is not landscape
    kept = [weakref.ref(source), weakref.ref(landscape)]
    del source, landscape
    gc.collect()
    assert [reference() for reference in kept] == [None, None]
