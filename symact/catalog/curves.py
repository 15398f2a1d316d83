"""Functions as curves: float64 values, the distance of two of them, and a shape that no affine map changes.

The shape of f is where its slope changes, and how: the measure |f''|, of which a map a*f(b*x + c) + d*x + e moves and
stretches the argument and scales the size. Its quantiles, centred and scaled, stay (reversed for b < 0), and so do the
signs of f'' at them (all reversed for a < 0). Kinks are part of the measure. A function whose slope still changes at
the ends of the window, such as sin or exp, has no such shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from symact.arrays import Array
from symact.equivalence.numeric.samples import SampleGrid
from symact.equivalence.terms import TermGraph
from symact.expr.tree import Expr

# Points of a standard normal sample in the middle of equally likely parts: what a layer's input is like at first.
NORMAL: Array = np.array([NormalDist().inv_cdf((n + 0.5) / 129) for n in range(129)])
_REACH, _STEP = 60.0, 0.02
_WINDOW: Array = np.arange(-_REACH, _REACH + _STEP / 2, _STEP) + 0.0037
_PARTS = 16
# Halves, thirds and quarters of the bending, which kinks of equal size hold, are between them.
_LEVELS: Array = (np.arange(_PARTS) + 0.5) / _PARTS
_NEAR = 0.5 / _PARTS
_EDGE, _MUCH = 0.9, 0.02


@dataclass(frozen=True)
class Bending:
    """Where a function bends.

    Attributes:
        middle: half of the bending lies to the left.
        width: of the interval that holds the middle of the bending; 0 for a single kink.
        places: ``(16,)`` quantiles, centred and scaled.
        signs: ``(16,)`` mean sign of the bending around each.
        bounded: it bends little at the ends of the window; without it there is no shape.
    """

    middle: float
    width: float
    places: Array
    signs: Array
    bounded: bool


def curves(expressions: Sequence[Expr], x: Array) -> Array:
    """Float64 values ``(expressions, points)`` of expressions without parameters; NaN where undefined."""
    graph = TermGraph()
    numbers = [graph.term_of(expr, {}) for expr in expressions]
    grid = SampleGrid(graph, x, doubled=False)
    with np.errstate(all="ignore"):
        grid.extend()
    return grid.values[numbers]


def distances(values: Array, others: Array) -> Array:
    """Root mean square differences ``(others,)`` of curves at the points `NORMAL`; infinite where one is undefined."""
    with np.errstate(all="ignore"):
        found: Array = np.sqrt(np.mean((others - values) ** 2, axis=1))
    return np.where(np.isfinite(found), found, np.inf)


def bending(expr: Expr) -> Bending:
    """The shape of a function without parameters."""
    values = curves([expr], _WINDOW)[0]
    nothing = Bending(0.0, 0.0, np.zeros(_PARTS), np.zeros(_PARTS), False)
    if not np.isfinite(values).all() or np.abs(values).max() > 1e12:
        return nothing
    bends = np.diff(values, 2) / _STEP
    noise = 1e-12 * np.abs(values).max() / _STEP
    bends[np.abs(bends) < 4 * noise] = 0.0
    size = np.abs(bends)
    x = _WINDOW[1:-1]
    total = size.sum()
    if total == 0 or size[np.abs(x) > _EDGE * _REACH].sum() > _MUCH * total:
        return nothing
    risen = np.concatenate([[0.0], np.cumsum(size)]) / total
    net = np.concatenate([[0.0], np.cumsum(bends)]) / total
    places = x[np.searchsorted(risen[1:], _LEVELS).clip(max=len(x) - 1)]
    signs = (np.interp(_LEVELS + _NEAR, risen, net) - np.interp(_LEVELS - _NEAR, risen, net)) / (2 * _NEAR)
    half = _PARTS // 2
    middle = float(places[half - 1] + places[half]) / 2
    spans = (places[-5] - places[4], places[-1] - places[0])
    width = next((float(span) for span in spans if span >= 3 * _STEP), 0.0)
    scaled = (places - middle) / width if width else np.zeros(_PARTS)
    return Bending(middle, width, scaled, signs, True)


def alike(first: Bending, second: Bending, mirrored: bool) -> float:
    """How far two shapes are apart; about 0 where an affine map may make one function of the other."""
    if not (first.bounded and second.bounded) or (first.width == 0) != (second.width == 0):
        return np.inf
    places, signs = (-second.places[::-1], second.signs[::-1]) if mirrored else (second.places, second.signs)
    turned = min(np.abs(first.signs - signs).mean(), np.abs(first.signs + signs).mean())
    # The median of an even number; np.median takes twenty times as long for so few.
    median = np.sort(np.abs(first.places - places))[_PARTS // 2 - 1 : _PARTS // 2 + 1].mean()
    return float(median + turned)
