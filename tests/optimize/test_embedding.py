"""The union of the fuzzy graphs of two views embeds every function."""

from __future__ import annotations

import numpy as np
import pytest

from symact.optimize.embedding import umap_union
from symact.optimize.function_features import outputs
from tests.optimize.described import SPACE, described


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
