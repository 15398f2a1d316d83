"""Functions -> values on common grids, for thousands of small curves and a few exact ones.

A small curve is 101 values on [-5, 5] as 16-bit steps in base64: 270 characters a function, so that a page about ten
thousand functions can still be mailed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symact.errors import SymactError
from symact.expr.tree import Candidate, Expr, sites
from symact.optimize.function_features import outputs
from symact.records import Status, Trial

LOW, HIGH, POINTS = -5.0, 5.0, 101
LARGEST = 20.0  # values beyond are no part of a small curve
FINE = 401


def first_site(candidate: Candidate) -> Expr:
    """The function of the first activation site."""
    return sites(candidate)[0]


def learned(trial: Trial, site: int = 0) -> dict[str, Any]:
    """The values that a site's parameters had at the end of the first training that tells."""
    found = next((o.constants for o in trial.outcomes if o.constants), ())
    return dict(found[min(site, len(found) - 1)]) if found else {}


def packed(values: np.ndarray) -> str:
    """Values as base64 of 16-bit numbers: 0 is none, 1 to 65535 are even steps from -20 to 20."""
    with np.errstate(all="ignore"):
        steps = np.rint((values + LARGEST) / (2 * LARGEST) * 65534) + 1
    known = np.isfinite(values) & (np.abs(values) <= LARGEST)
    return base64.b64encode(np.where(known, steps, 0).astype("<u2").tobytes()).decode()


def small_curves(expressions: Sequence[Expr]) -> list[str]:
    """The small curve of each function with its parameters at their initial values; `""` where it cannot be drawn."""
    points = np.linspace(LOW, HIGH, POINTS).astype(np.float32)
    try:
        return [packed(row.astype(float)) for row in outputs(expressions, points)]
    except (SymactError, ArithmeticError, ValueError, TypeError, KeyError):
        if len(expressions) == 1:
            return [""]
        return [curve for expression in expressions for curve in small_curves([expression])]


def small_samples(expr: Expr, constants: Mapping[str, Any]) -> tuple[str, str]:
    """The small curves of a function and of its derivative, with learned values, computed in float64."""
    try:
        _, y, slope = samples(expr, LOW, HIGH, constants, POINTS)
    except (SymactError, ArithmeticError, ValueError, TypeError, RuntimeError):
        return "", ""
    return packed(y), packed(slope)


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
    return stacked


def numbers(values: Sequence[float] | np.ndarray, digits: int = 5) -> list[float | None]:
    """Numbers for JSON, rounded to some digits; None for what is not finite."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in map(float, values)]


def training_curves(trial: Trial) -> list[list[float | None]]:
    """The validation score after each epoch, one list per seed; empty where the task keeps none."""
    kept = [o.metrics.get("curve") for o in trial.outcomes if o.status is Status.finished]
    return [numbers([_point(p) for p in curve]) for curve in kept if isinstance(curve, list) and curve]


def _point(point: Any) -> float:
    if isinstance(point, Mapping):
        point = next((point[key] for key in ("score", "validation_accuracy", "accuracy") if key in point), None)
    return float(point) if isinstance(point, int | float) else float("nan")
