"""Functions -> values on common grids, for thousands of small curves and a few fine ones.

A small curve is 101 values on [-5, 5] in steps of 1/400, a third of a pixel where a row is opened. What is written are
its second differences, in as few characters as each needs, as in the polylines of maps: a smooth curve takes about 105
characters, and 28 bytes once the page is compressed, so that a page about ten thousand functions can still be mailed.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from symact.equivalence.numeric import float32
from symact.errors import SymactError
from symact.expr.tree import Candidate, Expr, sites
from symact.program.gradient import backward
from symact.program.pipeline import lower
from symact.records import Outcome, Status, Trial

LOW, HIGH, POINTS = -5.0, 5.0, 101
LARGEST = 20.0  # values beyond are no part of a small curve
STEPS = 400  # of a unit, in which the values of a small curve are written
FINE = 401
DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
MOST_EPOCHS = 100  # points of a training curve; a longer one is thinned


def first_site(candidate: Candidate) -> Expr:
    """The function of the first activation site."""
    return sites(candidate)[0]


def learned(trial: Trial, site: int = 0) -> dict[str, Any]:
    """The values that a site's parameters had at the end of the first training that tells."""
    found = next((o.constants for o in trial.outcomes if o.constants), ())
    return dict(found[min(site, len(found) - 1)]) if found else {}


def packed(values: np.ndarray) -> str:
    """Values as text, to be read back by `unpacked` in `curves.js`.

    A value is a step from -20 to 20, 1 to 16001, or 0 where there is none. Of the steps the second differences are
    written, whose signs alternate 0, -1, 1, -2, ... as 0, 1, 2, 3, ...: five bits a digit, the lowest first, and 32
    added to a digit where another follows.
    """
    with np.errstate(all="ignore"):
        known = np.isfinite(values) & (np.abs(values) <= LARGEST)
        steps = np.where(known, np.rint((values + LARGEST) * STEPS) + 1, 0).astype(np.int64)
    bends = np.diff(steps, n=2, prepend=[0, 0])
    text = []
    for number in np.where(bends < 0, -2 * bends - 1, 2 * bends).tolist():
        while number >= 32:
            text.append(DIGITS[32 + number % 32])
            number //= 32
        text.append(DIGITS[number])
    return "".join(text)


_GRID = np.linspace(LOW, HIGH, POINTS)


def small_curves(expr: Expr, constants: Mapping[str, Any]) -> tuple[str, str]:
    """The small curves of a function and of its derivative; `""` where they cannot be drawn.

    They are computed in float64 by NumPy, which takes a tenth of the time that a fused kernel takes to be planned.
    Of a function of two inputs they are those in x where g is 1.

    Args:
        expr: the function.
        constants: values of its parameters; others are at their initial values.
    """
    own = {name: float(value) for name, value in constants.items() if isinstance(value, int | float)}
    return _small_curves(expr, tuple(own.get(p.name, p.init) for p in expr.parameters))


@lru_cache(maxsize=1 << 15)
def _small_curves(expr: Expr, parameters: tuple[float, ...]) -> tuple[str, str]:
    others = [1.0] * (len(expr.inputs) - 1)
    inputs = [_GRID, *(np.full(1, value) for value in (*others, *parameters))]
    try:
        program = lower(expr)
        gradient = backward(program)
        with np.errstate(all="ignore"):
            value = float32.values(program, inputs)[program.output]
            slope = float32.values(gradient, [*inputs, np.ones(1)])[gradient.outputs[0]]
    except (SymactError, ArithmeticError, ValueError, TypeError, KeyError):
        return "", ""
    drawn, steep = (np.broadcast_to(found, _GRID.shape).astype(float) for found in (value, slope))
    return packed(drawn), packed(np.where(np.isfinite(drawn), steep, np.nan))


def samples(
    expr: Expr, low: float, high: float, constants: Mapping[str, Any] | None = None, points: int = 801
) -> np.ndarray:
    """A function and its derivative on a grid.

    Returns:
        ``(3, points)`` float64: x, f(x), f'(x); NaN where it is not finite.
    """
    import torch

    from symact.activation.module import compile as compile_function

    x = torch.linspace(low, high, points, dtype=torch.float64, requires_grad=True)
    own = {parameter.name for parameter in expr.parameters}
    scalars = {n: v for n, v in (constants or {}).items() if n in own and isinstance(v, int | float)}
    y = compile_function(expr)(x, **scalars)
    (slope,) = torch.autograd.grad(y.sum(), x) if y.requires_grad else (torch.zeros_like(x),)
    stacked = torch.stack([x, y, slope]).detach().numpy()
    stacked[~np.isfinite(stacked)] = np.nan
    stacked[2, np.isnan(stacked[1])] = np.nan
    return stacked


def numbers(values: Iterable[float], digits: int = 5) -> list[float | None]:
    """Numbers for JSON, rounded to some digits; None for what is not finite."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in map(float, values)]


def training_curves(trial: Trial) -> list[list[float | None]]:
    """The validation score after each epoch, one list per seed; empty where the task keeps none.

    Where the task returned no curve (and of a training that was stopped early) it is what was reported.
    """
    kept = [
        o.metrics.get("curve") or [pair[-1] for pair in reported(o)]
        for o in trial.outcomes
        if o.status in (Status.finished, Status.pruned)
    ]
    return [numbers(map(_point, curve), 4) for curve in kept if isinstance(curve, list) and curve]


def reported(outcome: Outcome) -> list[list[Any]]:
    """The pairs of a step and a score that a training has reported."""
    pairs = outcome.metrics.get("reported")
    return [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2] if isinstance(pairs, list) else []


def thinned(curves: Sequence[list[float | None]]) -> tuple[list[list[float | None]], int]:
    """Training curves of at most `MOST_EPOCHS` points, and how many the longest had.

    Of n epochs the ones at `i*(n-1) // (MOST_EPOCHS-1)`, counted from 0, are kept, so that the page can tell which.
    """
    longest = max(map(len, curves), default=0)
    if longest <= MOST_EPOCHS:
        return list(curves), longest
    kept = [i * (longest - 1) // (MOST_EPOCHS - 1) for i in range(MOST_EPOCHS)]
    return [[curve[at] for at in kept if at < len(curve)] for curve in curves], longest


def _point(point: Any) -> float:
    if isinstance(point, Mapping):
        point = next((point[key] for key in ("score", "validation_accuracy", "accuracy") if key in point), None)
    return float(point) if isinstance(point, int | float) else float("nan")
