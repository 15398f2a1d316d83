"""Functions -> places on a map: those with like outputs stand close together.

The map is a UMAP embedding (McInnes et al. 2018, arXiv:1802.03426) of the outputs for normal inputs.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from symact.expr.tree import Expr
from symact.optimize.embedding import umap_union
from symact.optimize.function_features import COMPONENTS, Description, Raw

FEWEST = 16  # functions: one and its 15 neighbours; for fewer, the principal components are shown


def places(expressions: Sequence[Expr], seed: int = 0) -> np.ndarray:
    """Coordinates in [0, 1], ``(n, 2)``; NaN for functions that are not finite for normal inputs."""
    found = np.full((len(expressions), 2), np.nan)
    if not expressions:
        return found
    raw = Raw.of(expressions, None, max(len(expression.inputs) for expression in expressions))
    finite = np.flatnonzero(raw.finite)
    if len(finite) < 3:
        return found
    # The same function in other words stands in the same place, and counts once among its neighbours.
    _, first, back = np.unique(np.round(raw.outputs[finite], 5), axis=0, return_index=True, return_inverse=True)
    chosen = finite[first]
    components = _principal(raw.outputs[chosen].astype(np.float64))
    where = components[:, :2]
    if len(chosen) >= FEWEST:
        description = Description(components, None, components, np.ones(len(chosen), dtype=bool))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            where = umap_union(description, ("outputs",), 2, seed)
    spread = np.ptp(where, axis=0)
    scaled = (where - where.min(0)) / np.where(spread > 0, spread, 1.0)
    found[finite] = scaled[back.reshape(-1)]
    return found


def _principal(values: np.ndarray) -> np.ndarray:
    """Principal components, the largest first; from the covariance, which is small however many rows there are."""
    centred = values - values.mean(0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    found: np.ndarray = centred @ directions[:, : -COMPONENTS - 1 : -1] / np.sqrt(values.shape[1])
    return found
