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

from symact.optimize.function_features import Description


@dataclass(frozen=True)
class Rows:
    """Functions as a regressor sees them.

    Attributes:
        description: their coordinates in all views.
        views: weight of each view in distances.
        embedding: ``(n, dimensions)`` that takes the place of the views, or None.
        places: ``(n,)``, positions among the members of a space, -1 for others; or None.
        columns: remembered distances between members, which `places` look up.
    """

    description: Description
    views: Mapping[str, float]
    embedding: np.ndarray | None = None
    places: np.ndarray | None = None
    columns: Columns | None = None

    def __len__(self) -> int:
        return len(self.description)

    def take(self, rows: np.ndarray) -> Rows:
        """Some of them."""
        at = np.asarray(rows, dtype=int)
        embedding, places = (None if part is None else part[at] for part in (self.embedding, self.places))
        return Rows(self.description.take(at), self.views, embedding, places, self.columns)

    def coordinates(self) -> np.ndarray:
        """``(n, columns)``."""
        return self.description.coordinates(self.views) if self.embedding is None else self.embedding

    def distances(self, other: Rows) -> np.ndarray:
        """``(n, m)``."""
        if self.embedding is not None and other.embedding is not None:
            return np.asarray(cdist(self.embedding, other.embedding))
        if self.columns is None or self.columns is not other.columns or self.places is None or other.places is None:
            return self.description.distances(other.description, self.views)
        found = np.empty((len(self), len(other)), dtype=np.float32)
        here, there = self.places >= 0, other.places >= 0
        found[np.ix_(here, there)] = self.columns(self.places[here], other.places[there])
        for mine, theirs in ((~here, slice(None)), (here, ~there)):
            if len(others := np.arange(len(other))[theirs]) and mine.any():
                new = self.description.take(np.flatnonzero(mine))
                found[np.ix_(mine, others)] = new.distances(other.description.take(others), self.views)
        return found


class Columns:
    """Distances between members of a space: a column for each member that was asked for, kept.

    A search asks for one new column per trial, so that a suggestion does not measure all known functions again.

    Args:
        members: all of them.
        largest: columns that are kept.
    """

    def __init__(self, members: Rows, largest: int = 2_048):
        self._members, self._largest = members, largest
        self._kept: dict[int, np.ndarray] = {}

    def __call__(self, places: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Distances of the members at `places` from those at `others`, ``(n, m)`` in float32."""
        wanted = others.tolist()
        new = [place for place in dict.fromkeys(wanted) if place not in self._kept]
        if new:
            found = self._members.distances(self._members.take(np.array(new))).astype(np.float32)
            self._kept.update(zip(new, np.ascontiguousarray(found.T), strict=True))
        columns = [self._kept[place][places] for place in wanted]
        while len(self._kept) > max(self._largest, len(new)):
            self._kept.pop(next(iter(self._kept)))
        return np.stack(columns, axis=1) if columns else np.zeros((len(places), 0), np.float32)


class Regressor(Protocol):
    """What a surrogate needs of a regressor."""

    def fit(self, rows: Rows, targets: np.ndarray, noise: np.ndarray) -> Regressor:
        """Learn; `noise` is the variance of each target, in units of the targets' own variance."""

    def predict(self, rows: Rows, spread: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
        """Means and standard deviations, ``(n,)`` each; None for the latter if they are not known or not wanted."""


class NearestNeighbours:
    """Mean of the `neighbours` nearest, weighted by the inverse of their distance."""

    def __init__(self, neighbours: int = 3):
        self.neighbours = neighbours

    def fit(self, rows: Rows, targets: np.ndarray, noise: np.ndarray) -> NearestNeighbours:
        """Remember the rows."""
        self._rows, self._targets = rows, targets
        self._trust = 1.0 / (1.0 + noise)
        return self

    def predict(self, rows: Rows, spread: bool = True) -> tuple[np.ndarray, None]:
        """Means over the nearest rows."""
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
        """Grow the trees on the coordinates."""
        self._model.fit(rows.coordinates(), targets, sample_weight=1.0 / (1.0 + noise))
        return self

    def predict(self, rows: Rows, spread: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean and standard deviation over the trees."""
        coordinates = rows.coordinates()
        each = np.stack([tree.predict(coordinates) for tree in self._model.estimators_])
        return each.mean(0), each.std(0)


class SupportVectors:
    """scikit-learn's support vector regression with a kernel of the distances."""

    def __init__(self, length: float = 2.0, penalty: float = 10.0, tube: float = 0.05):
        self.length = length
        self._model = SVR(kernel="precomputed", C=penalty, epsilon=tube)

    def fit(self, rows: Rows, targets: np.ndarray, noise: np.ndarray) -> SupportVectors:
        """Solve for the support vectors."""
        self._rows = rows
        self._model.fit(np.exp(-rows.distances(rows) / self.length), targets, sample_weight=1.0 / (1.0 + noise))
        return self

    def predict(self, rows: Rows, spread: bool = True) -> tuple[np.ndarray, None]:
        """Sums over the support vectors."""
        return self._model.predict(np.exp(-rows.distances(self._rows) / self.length)), None


class GaussianProcess:
    """A Gaussian process with the kernel exp(-distance / length).

    Args:
        length: in medians of the distance between two functions.
        jitter: variance of the noise, in units of the targets' variance.
    """

    def __init__(self, length: float = 1.0, jitter: float = 0.03):
        self.length, self.jitter = length, jitter

    def fit(self, rows: Rows, targets: np.ndarray, noise: np.ndarray) -> GaussianProcess:
        """Factorize the kernel matrix of the rows."""
        self._rows = rows
        self._mean, self._spread = float(targets.mean()), float(targets.std()) or 1.0
        kernel = np.exp(-rows.distances(rows).astype(float) / self.length)
        kernel[np.diag_indices_from(kernel)] += self.jitter + noise
        self._factor = cho_factor(kernel, lower=True)
        self._solved = cho_solve(self._factor, (targets - self._mean) / self._spread)
        return self

    def predict(self, rows: Rows, spread: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean and standard deviation of the posterior."""
        cross = np.exp(-rows.distances(self._rows) / self.length)
        mean = self._mean + self._spread * (cross @ self._solved)
        if not spread:
            return mean, None
        half = solve_triangular(self._factor[0], cross.T, lower=True, check_finite=False)
        variance = np.clip(1.0 + self.jitter - (half**2).sum(0), 1e-12, None)
        return mean, self._spread * np.sqrt(variance)
