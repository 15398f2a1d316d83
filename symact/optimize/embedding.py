"""UMAP embeddings of functions: one fuzzy graph per feature, and their union (arXiv:2301.05785, section 3).

In: a `Description`. Out: coordinates ``(n, dimensions)``. `umap_a + umap_b` unites the two graphs. The
union fixes its own random state, so embeddings with different seeds are no replicates of each other.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from symact.optimize.function_features import Description

MANY, EPOCHS_OF_MANY = 4096, 200  # rows; UMAP itself takes 500 epochs up to 10,000 rows, and 200 beyond


def umap_union(description: Description, views: tuple[str, ...], dimensions: int = 2, seed: int = 0) -> np.ndarray:
    """Embed finite functions by the union of their views' fuzzy graphs.

    Args:
        description: of at least three functions, all finite.
        views: `outputs`, `fisher`, or both; one that is missing is left out.
        dimensions: of the embedding.
        seed: of each single graph's layout.
    """
    present = [view for view in views if getattr(description, view) is not None]
    graphs = [_fitted(description, view, dimensions, seed) for view in present]
    united = graphs[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for graph in graphs[1:]:
            united = united + graph
    return np.asarray(united.embedding_, dtype=float)


def _fitted(description: Description, view: str, dimensions: int, seed: int) -> Any:
    # Compiling umap takes seconds, so it is loaded when an embedding is wanted.
    import umap
    from sklearn.neighbors import NearestNeighbors

    metric = "manhattan" if view == "fisher" else "euclidean"
    data = np.ascontiguousarray(getattr(description, view), dtype=np.float32)
    neighbours = min(15, len(data) - 1)
    # Given the nearest neighbours, UMAP need not compile a search of its own: seconds of CPU, not most of a minute.
    distances, indices = (
        NearestNeighbors(n_neighbors=neighbours, algorithm="brute", metric=metric).fit(data).kneighbors(data)
    )
    nearest = indices.astype(np.int32), distances.astype(np.float32)
    epochs = None if len(data) < MANY else EPOCHS_OF_MANY
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return umap.UMAP(
            n_neighbors=neighbours,
            n_components=dimensions,
            metric=metric,
            precomputed_knn=nearest,
            n_epochs=epochs,
            random_state=seed,
            n_jobs=1,
        ).fit(data)
