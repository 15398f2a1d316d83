"""What is known of a function before it is trained, as numbers with a distance.

In: expressions, and the arrays that `features` gives of them. Out: a `Description` per set of rows.
Three views, each with a distance whose median over a reference set is 1:

| view | what it holds | distance |
|---|---|---|
| outputs | values at 1,000 fixed points of a normal, clipped to [-10, 10] | root mean square |
| fisher | CDF of the Fisher matrix's log-eigenvalues, per layer | Wasserstein, each layer divided by its weights |
| shape | moments of outputs and slopes, tails, mean and spread of log-eigenvalues | Euclidean, normal scores |

Outputs and Fisher CDFs with these distances are those of Bingham & Miikkulainen 2023
(arXiv:2301.05785), section 3; one-dimensional Wasserstein distance is the area between CDFs. The points of a
function of x and g are a grid of a two-dimensional normal, and moments are taken along both axes. Of a candidate with
functions of their own at groups of sites, outputs and moments of all of them stand side by side; the Fisher matrix is
that of the network with all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import ndtri

from symact.equivalence.numeric import float32
from symact.expr.operators import INPUTS
from symact.expr.tree import Candidate, Expr
from symact.optimize.site_groups import ONE, SiteGroups

VIEWS = ("outputs", "fisher", "shape")
CLIP = 10.0
COMPONENTS = 48  # principal components of the outputs that are kept; they carry the distance to about 1e-3
_BIN_WIDTH = 2.0  # of a log-eigenvalue histogram of 100 bins over [-100, 100]


def _normal_scores(count: int) -> np.ndarray:
    """N(0, 1) without sampling noise, in order: the normal scores of evenly spaced probabilities."""
    return np.asarray(ndtri((np.arange(count) + 0.5) / count), dtype=np.float32)


POINTS = _normal_scores(1000)
# Number of inputs -> the axes of their grid, 1,000 points in all; and which places of it are moments by themselves.
AXES = {1: (POINTS,), 2: (_normal_scores(40), _normal_scores(25))}
_PLACES: dict[int, list[tuple[int, ...]]] = {
    1: [(0,), (100,), (500,), (899,), (999,)],
    2: [(i, j) for i in (0, 4, 20, 35, 39) for j in (0, 2, 12, 22, 24)],
}


def outputs(expressions: Sequence[Expr], inputs: int = 1) -> np.ndarray:
    """Values in float32, ``(n, points)``, every parameter at its initial value.

    Args:
        expressions: functions of at most so many inputs.
        inputs: the points are a grid of a normal of so many dimensions, 1 or 2; `x` moves slowest.
    """
    grid = np.meshgrid(*AXES[inputs], indexing="ij")
    points: dict[str, np.ndarray] = {name: axis.reshape(1, -1) for name, axis in zip(INPUTS, grid, strict=False)}
    shape = points["x"].shape
    known: dict[Expr, np.ndarray] = {}

    def value(node: Expr) -> np.ndarray:
        if node.operator.is_variable:
            return points[node.operator.name]
        if node in known:
            return known[node]
        arguments = [value(argument) for argument in node.arguments]
        result = float32.applied(node.operator, arguments, float32.initial(node.operator, 2))
        result = np.broadcast_to(np.asarray(result, np.float32), shape)
        if node.size <= 2:
            known[node] = result
        return result

    with np.errstate(all="ignore"):
        rows = [value(expression)[0] for expression in expressions]
    return np.array(rows, dtype=np.float32).reshape(len(rows), shape[1])


@dataclass(frozen=True)
class Raw:
    """The arrays of some functions; rows align.

    Attributes:
        outputs: ``(n, groups * points)``, see `outputs`.
        fisher: ``(n, layers, bins)`` CDFs, or None.
        weights: ``(layers,)``, number of weights of each layer.
        finite: ``(n,)``, False where anything is not finite at initialization.
        inputs: of the functions.
        groups: of sites, with functions of their own.
    """

    outputs: np.ndarray
    fisher: np.ndarray | None
    weights: np.ndarray | None
    finite: np.ndarray
    inputs: int = 1
    groups: int = 1

    @classmethod
    def of(
        cls,
        candidates: Sequence[Candidate],
        features: Mapping[str, np.ndarray] | None,
        inputs: int = 1,
        groups: SiteGroups = ONE,
    ) -> Raw:
        """Outputs are computed here; the rest comes from `features`, if there is any."""
        found = features or {}
        functions = [function for candidate in candidates for function in groups.functions(candidate) or ()]
        distinct = {function: place for place, function in enumerate(dict.fromkeys(functions))}
        values = outputs(list(distinct), inputs)[[distinct[function] for function in functions]]
        values = values.reshape(len(candidates), len(groups) * values.shape[1])
        finite = np.isfinite(values).all(1)
        if "finite" in found:
            finite &= np.asarray(found["finite"], dtype=bool)
        fisher = weights = None
        if "fisher" in found:
            fisher = np.asarray(found["fisher"], dtype=np.float32)
            finite &= np.isfinite(fisher).all((1, 2))
            fisher = np.where(finite[:, None, None], fisher, 0.0)
            weights = np.asarray(found.get("fisher_weights", np.ones(fisher.shape[1])), dtype=float)
        values = np.clip(np.nan_to_num(values, posinf=CLIP, neginf=-CLIP), -CLIP, CLIP)
        return cls(values, fisher, weights, finite, inputs, len(groups))


@dataclass(frozen=True)
class Description:
    """Coordinates of functions in the three views; rows align.

    Attributes:
        outputs: ``(n, components)``, Euclidean.
        fisher: ``(n, columns)``, city block; None without Fisher features.
        shape: ``(n, moments)``, Euclidean.
        finite: ``(n,)``.
    """

    outputs: np.ndarray
    fisher: np.ndarray | None
    shape: np.ndarray
    finite: np.ndarray

    def __len__(self) -> int:
        return len(self.finite)

    def take(self, rows: Sequence[int] | np.ndarray) -> Description:
        """Some of the rows."""
        at = np.asarray(rows, dtype=int)
        fisher = None if self.fisher is None else self.fisher[at]
        return Description(self.outputs[at], fisher, self.shape[at], self.finite[at])

    def coordinates(self, views: Mapping[str, float]) -> np.ndarray:
        """All views side by side, ``(n, columns)``, for regressors that need coordinates."""
        parts = [getattr(self, view) * weight for view, weight in views.items() if weight and self._has(view)]
        return np.concatenate(parts, axis=1)

    def distances(self, other: Description, views: Mapping[str, float]) -> np.ndarray:
        """Weighted sum of the views' distances, ``(n, m)``; a view that is missing counts nothing."""
        total = np.zeros((len(self), len(other)))
        weight_sum = sum(weight for view, weight in views.items() if self._has(view))
        for view, weight in views.items():
            if weight and self._has(view):
                metric = "cityblock" if view == "fisher" else "euclidean"
                total += (weight / weight_sum) * cdist(getattr(self, view), getattr(other, view), metric)
        return total

    def _has(self, view: str) -> bool:
        return getattr(self, view) is not None


class Frame:
    """The units of all coordinates, learnt from a reference set of functions.

    Args:
        reference: of at least one function; those that are not finite do not count.
    """

    def __init__(self, reference: Raw):
        rows = np.flatnonzero(reference.finite)
        rows = rows if len(rows) else np.arange(len(reference.finite))
        # Of several groups every so-manieth point: as many columns as one function has.
        self._points = slice(None, None, reference.groups)
        values = reference.outputs[rows, self._points].astype(np.float64)
        self._centre = values.mean(0)
        _, _, directions = np.linalg.svd(values - self._centre, full_matrices=False)
        self._directions = directions[:COMPONENTS].T / np.sqrt(values.shape[1])
        moments = _moments(reference)[rows]
        self._sorted = np.sort(moments, axis=0)
        self._columns: np.ndarray | None = None
        if reference.fisher is not None:
            flat = reference.fisher[rows].reshape(len(rows), -1)
            self._columns = np.flatnonzero(flat.max(0) > flat.min(0))
        self._scales = {"outputs": 1.0, "fisher": 1.0, "shape": 1.0}
        sample = self(reference).take(rows[:: max(1, len(rows) // 400)])
        for view in VIEWS:
            if sample._has(view):
                apart = sample.distances(sample, {view: 1.0})
                median = float(np.median(apart[apart > 0])) if (apart > 0).any() else 1.0
                self._scales[view] = 1.0 / max(median, 1e-12)

    def __call__(self, raw: Raw) -> Description:
        """The coordinates of functions in these units."""
        fisher = None
        if self._columns is not None and raw.fisher is not None:
            assert raw.weights is not None
            per_layer = raw.fisher * (_BIN_WIDTH / raw.weights)[None, :, None]
            fisher = per_layer.reshape(len(raw.finite), -1)[:, self._columns] * self._scales["fisher"]
        projected = (raw.outputs[:, self._points] - self._centre) @ self._directions
        return Description(
            projected * self._scales["outputs"], fisher, self._scores(_moments(raw)) * self._scales["shape"], raw.finite
        )

    def _scores(self, moments: np.ndarray) -> np.ndarray:
        """Normal scores of each moment among the reference's, so that no outlier stretches the space."""
        count = len(self._sorted)
        scores = np.empty_like(moments)
        for column in range(moments.shape[1]):
            low = np.searchsorted(self._sorted[:, column], moments[:, column], side="left")
            high = np.searchsorted(self._sorted[:, column], moments[:, column], side="right")
            scores[:, column] = ndtri(np.clip((low + high + 1) / (2 * count + 2), 1e-3, 1 - 1e-3))
        return scores


def _moments(raw: Raw) -> np.ndarray:
    """What mean-field theory looks at, ``(n, moments)``: size, slope, symmetry, tails, each layer's spectrum."""
    columns = [column for part in np.split(raw.outputs, raw.groups, axis=1) for column in _moments_of(part, raw.inputs)]
    if raw.fisher is not None:
        bins = raw.fisher.shape[2]
        centres = (np.arange(bins) + 0.5) * (200.0 / bins) - 100.0
        density = np.diff(raw.fisher.astype(np.float64), axis=2, prepend=0.0)
        means = (density * centres).sum(2)
        spreads = np.sqrt(np.clip((density * (centres - means[:, :, None]) ** 2).sum(2), 0, None))
        columns += [*means.T, *spreads.T]
    # Rounding must not tell apart what is equal, since normal scores see order alone.
    return np.round(np.stack(columns, axis=1), 6)


def _moments_of(outputs: np.ndarray, inputs: int) -> list[np.ndarray]:
    """The moments of one function each, ``(n,)``."""
    values, axes = outputs.astype(np.float64), AXES[inputs]
    grid = values.reshape(len(values), *map(len, axes))
    columns = [values.mean(1), values.std(1)]
    for at, axis in enumerate(axes, 1):
        steps = np.diff(axis.astype(np.float64)).reshape([-1 if place == at else 1 for place in range(grid.ndim)])
        slopes = np.clip(np.diff(grid, axis=at) / steps, -20, 20).reshape(len(values), -1)
        mirrored = np.flip(grid, at)
        odd, even = ((grid - mirrored) / 2).reshape(values.shape), ((grid + mirrored) / 2).reshape(values.shape)
        columns += [(slopes**2).mean(1), slopes.mean(1), np.abs(slopes).mean(1), slopes.std(1), odd.std(1), even.std(1)]
    places = (values[:, np.ravel_multi_index(place, grid.shape[1:])] for place in _PLACES[inputs])
    return [*columns, np.abs(values).max(1), *places]
