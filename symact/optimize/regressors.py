"""Regressors over functions, by scikit-learn's conventions: `fit(rows, targets)`, `predict(rows)`.

Rows are a `Rows`: descriptions in the metric space, or UMAP coordinates. `predict` gives means and, where
the regressor knows them, standard deviations. Weighted nearest neighbours (k = 3), a random forest and
support vectors are those of AQuaSurF; the Gaussian process with an exponential kernel of the distances is
the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.spatial.distance import cdist
from sklearn.ensemble import RandomForestRegressor
from sklearn.svm import SVR

from symact.optimize.description import Description


@dataclass(frozen=True)
class Rows:
    """Functions as a regressor sees them.

    Attributes:
        description: their coordinates in all views.
        views: weight of each view in distances.
        embedding: ``(n, dimensions)`` that takes the place of the views, or None.
    """

    description: Description
    views: Mapping[str, float]
    embedding: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.description)

    def take(self, rows: np.ndarray) -> Rows:
        """Some of them."""
        at = np.asarray(rows, dtype=int)
        embedding = None if self.embedding is None else self.embedding[at]
        return Rows(self.description.take(at), self.views, embedding)

    def joined(self, other: Rows) -> Rows:
        """These and then those."""
        embedding = None
        if self.embedding is not None and other.embedding is not None:
            embedding = np.concatenate([self.embedding, other.embedding])
        return Rows(self.description.joined(other.description), self.views, embedding)

    def coordinates(self) -> np.ndarray:
        """``(n, columns)``."""
        return self.description.coordinates(self.views) if self.embedding is None else self.embedding

    def distances(self, other: Rows) -> np.ndarray:
        """``(n, m)``."""
        if self.embedding is None or other.embedding is None:
            return self.description.distances(other.description, self.views)
        return cdist(self.embedding, other.embedding)


class Regressor(Protocol):
    """What a surrogate needs of a regressor."""

    def fit(self, rows: Rows, targets: np.ndarray, noise: np.ndarray) -> Regressor:
        """Learn; `noise` is the variance of each target, in units of the targets' own variance."""

    def predict(self, rows: Rows) -> tuple[np.ndarray, np.ndarray | None]:
        """Means and standard deviations (or None), ``(n,)`` each."""


class NearestNeighbours:
    """Mean of the `neighbours` nearest, weighted by the inverse of their distance."""

    def __init__(self, neighbours: int = 3):
        self.neighbours = neighbours

    def fit(self, rows: Rows, targets: np.ndarray, noise: np.ndarray) -> NearestNeighbours:
        self._rows, self._targets = rows, targets
        self._trust = 1.0 / (1.0 + noise)
        return self

    def predict(self, rows: Rows) -> tuple[np.ndarray, None]:
        apart = rows.distances(self._rows)
        count = min(self.neighbours, apart.shape[1])
        nearest = np.argsort(apart, axis=1, kind="stable")[:, :count]
        weights = self._trust[nearest] / (np.take_along_axis(apart, nearest, axis=1) + 1e-6)
        return (weights * self._targets[nearest]).sum(1) / weights.sum(1), None


class Forest:
    """scikit-learn's random forest; the spread of its trees is its uncertainty."""

    def __init__(self, trees: int = 100, seed: int = 0):
        self._model = RandomForestRegressor(trees, random_state=seed % 2**32, n_jobs=1)

    def fit(self, rows: Rows, targets: np.ndarray, noise: np.ndarray) -> Forest:
        self._model.fit(rows.coordinates(), targets, sample_weight=1.0 / (1.0 + noise))
        return self

    def predict(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        coordinates = rows.coordinates()
        each = np.stack([tree.predict(coordinates) for tree in self._model.estimators_])
        return each.mean(0), each.std(0)


class SupportVectors:
    """scikit-learn's support vector regression with a kernel of the distances."""

    def __init__(self, length: float = 2.0, penalty: float = 10.0, tube: float = 0.05):
        self.length = length
        self._model = SVR(kernel="precomputed", C=penalty, epsilon=tube)

    def fit(self, rows: Rows, targets: np.ndarray, noise: np.ndarray) -> SupportVectors:
        self._rows = rows
        self._model.fit(np.exp(-rows.distances(rows) / self.length), targets, sample_weight=1.0 / (1.0 + noise))
        return self

    def predict(self, rows: Rows) -> tuple[np.ndarray, None]:
        return self._model.predict(np.exp(-rows.distances(self._rows) / self.length)), None


class GaussianProcess:
    """A Gaussian process with the kernel exp(-distance / length).

    Args:
        length: in medians of the distance between two functions.
        jitter: variance of the noise, in units of the targets' variance.
    """

    def __init__(self, length: float = 1.0, jitter: float = 0.01):
        self.length, self.jitter = length, jitter

    def fit(self, rows: Rows, targets: np.ndarray, noise: np.ndarray) -> GaussianProcess:
        self._rows = rows
        self._mean, self._spread = float(targets.mean()), float(targets.std()) or 1.0
        kernel = np.exp(-rows.distances(rows) / self.length)
        kernel[np.diag_indices_from(kernel)] += self.jitter + noise
        self._factor = cho_factor(kernel, lower=True)
        self._solved = cho_solve(self._factor, (targets - self._mean) / self._spread)
        return self

    def predict(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        cross = np.exp(-rows.distances(self._rows) / self.length)
        half = solve_triangular(self._factor[0], cross.T, lower=True, check_finite=False)
        variance = np.clip(1.0 + self.jitter - (half**2).sum(0), 1e-12, None)
        return self._mean + self._spread * (cross @ self._solved), self._spread * np.sqrt(variance)
