"""The shipped index of the table is that of its files."""

from __future__ import annotations

import numpy as np
import pytest

from symact.catalog.index import _read, digest, index, make
from symact.expr.published import published


def test_the_index_is_of_the_files_as_they_are():
    assert _read() is not None, "stale: run python tools/atlas.py"


def test_every_row_is_in_one_class():
    keys = [key for found in index().classes for key in found.keys]
    assert sorted(keys) == sorted(published())


def test_rediscoveries_are_known():
    known = index()
    for first, second in [("tanh_exp", "telu"), ("calu", "atlu"), ("expexpish", "golu"), ("sqreu", "hard_mish")]:
        assert known.class_of(first) == known.class_of(second)
    for first, second in [("gelu", "gelu_tanh"), ("gelu", "quick_gelu"), ("relu", "relu6"), ("silu", "mish")]:
        assert known.class_of(first) != known.class_of(second)
    assert known.classes[known.class_of("tanh")].base == known.classes[known.class_of("sigmoid")].base


@pytest.mark.slow
def test_the_index_is_what_the_comparison_of_all_rows_gives():
    made, stored = make(), index()
    assert [c.keys for c in made.classes] == [c.keys for c in stored.classes]
    assert [(c.base, c.map and c.map.constants) for c in made.classes] == [
        (c.base, c.map and c.map.constants) for c in stored.classes
    ]
    assert np.allclose(made.curves, stored.curves, rtol=1e-6, atol=1e-6, equal_nan=True)
    assert len(digest()) == 64
