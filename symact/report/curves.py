"""Functions -> values on common grids, for thousands of small curves and a few fine ones.

A small curve is 101 values on [-5, 5], 401 where straight lines between 101 would be seen to miss it, in steps of
1/400, a third of a pixel where a row is opened. What is written are its second differences, in as few characters as
each needs, as in the polylines of maps: a smooth curve takes about 105 characters, and 28 bytes once the page is
compressed, so that a page about ten thousand functions can still be mailed.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from symact.equivalence.numeric import float32
from symact.errors import SymactError
from symact.expr.tree import Candidate, Expr, sites
from symact.program.gradient import backward
from symact.program.pipeline import lower
from symact.records import Outcome, Status, Trial
from symact.report.jumps import Evaluate, height, joined, jumps, on_grid

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


_GRID = np.linspace(LOW, HIGH, FINE)
_THIN = (FINE - 1) // (POINTS - 1)


class SmallCurves(NamedTuple):
    """The small curves of a function.

    Attributes:
        curve: the function, `""` where it cannot be drawn.
        slope: its derivative.
        jumps: the place of each jump of one or the other, the values just before and just behind it, and the slopes;
            None for what is not finite or too large.
    """

    curve: str = ""
    slope: str = ""
    jumps: tuple[tuple[float | None, ...], ...] = ()


def small_curves(expr: Expr, constants: Mapping[str, Any]) -> SmallCurves:
    """The small curves of a function and of its derivative.

    They are computed in float64 by NumPy, which takes a tenth of the time that a fused kernel takes to be planned.
    Of a function of two inputs they are those in x where g is 1.

    Args:
        expr: the function.
        constants: values of its parameters; others are at their initial values.
    """
    own = {name: float(value) for name, value in constants.items() if isinstance(value, int | float)}
    return _small_curves(expr, tuple(own.get(p.name, p.init) for p in expr.parameters))


@lru_cache(maxsize=1 << 15)
def _small_curves(expr: Expr, parameters: tuple[float, ...]) -> SmallCurves:
    others = [np.full(1, value) for value in (*[1.0] * (len(expr.inputs) - 1), *parameters)]
    try:
        program = lower(expr)
        gradient = backward(program)

        def evaluate(x: np.ndarray) -> np.ndarray:
            with np.errstate(all="ignore"):
                value = float32.values(program, [x, *others])[program.output]
                slope = float32.values(gradient, [x, *others, np.ones(1)])[gradient.outputs[0]]
                return _finite(np.stack([np.broadcast_to(found, x.shape).astype(float) for found in (value, slope)]))

        drawn = evaluate(_GRID)
        found = jumps(evaluate, _GRID, drawn)
    except (SymactError, ArithmeticError, ValueError, TypeError, KeyError):
        return SmallCurves()
    thin = slice(None, None, _THIN if _is_smooth(drawn, found) else 1)
    shown = on_grid(_GRID, drawn, found)[:, thin]
    ends = np.where(np.abs(found) <= LARGEST, found, np.nan)
    ends[:, 0] = np.round(found[:, 0], 6)
    return SmallCurves(packed(shown[0]), packed(shown[1]), tuple(tuple(numbers(jump, 6)) for jump in ends))


def _finite(drawn: np.ndarray) -> np.ndarray:
    """Values and slopes with NaN for what is not finite; a slope needs a value."""
    drawn[~np.isfinite(drawn)] = np.nan
    drawn[1, np.isnan(drawn[0])] = np.nan
    return drawn


def _is_smooth(drawn: np.ndarray, found: np.ndarray) -> bool:
    """Whether straight lines between every fourth point, broken at the jumps, look like the curve."""
    thinned = joined(_GRID[::_THIN], drawn[:, ::_THIN], found)
    away = np.abs(_GRID[:, None] - found[:, 0]).min(axis=1, initial=np.inf) > 1e-6
    for values, kept in zip(drawn, thinned[1:], strict=True):
        missed = np.abs(np.interp(_GRID, thinned[0], kept) - values)[away & (np.abs(values) <= LARGEST)]
        if np.any(missed > 0.01 * height(drawn)):
            return False
    return True


def samples(
    expr: Expr, low: float, high: float, constants: Mapping[str, Any] | None = None, points: int = 801
) -> np.ndarray:
    """A function and its derivative on a grid.

    Returns:
        ``(3, points)`` float64: x, f(x), f'(x); NaN where it is not finite.
    """
    x = np.linspace(low, high, points)
    return np.stack([x, *_evaluator(expr, constants)(x)])


def lines(
    expr: Expr, low: float, high: float, constants: Mapping[str, Any] | None = None, points: int = 801
) -> np.ndarray:
    """As `samples`, with both ends of each jump and a gap between them: points to be joined by lines."""
    evaluate, x = _evaluator(expr, constants), np.linspace(low, high, points)
    drawn = evaluate(x)
    return joined(x, drawn, jumps(evaluate, x, drawn))


def _evaluator(expr: Expr, constants: Mapping[str, Any] | None) -> Evaluate:
    import torch

    from symact.activation.module import compile as compile_function

    function = compile_function(expr)
    own = {parameter.name for parameter in expr.parameters}
    scalars = {n: v for n, v in (constants or {}).items() if n in own and isinstance(v, int | float)}

    def evaluate(points: np.ndarray) -> np.ndarray:
        x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
        y = function(x, **scalars)
        (slope,) = torch.autograd.grad(y.sum(), x) if y.requires_grad else (torch.zeros_like(x),)
        return _finite(torch.stack([y, slope]).detach().numpy())

    return evaluate


def numbers(values: Iterable[float], digits: int = 5) -> list[float | None]:
    """Numbers for JSON, rounded to some digits; None for what is not finite."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in map(float, values)]


class TrainingCurves(NamedTuple):
    """Training curves of one candidate, one per seed, on common steps.

    Attributes:
        steps: where the scores were taken: the task's own numbers.
        unit: what they count, `epoch` or `step`.
        curves: the scores at these steps, None where a training has none; each ends with its training.
    """

    steps: list[int]
    unit: str
    curves: list[list[float | None]]

    def thinned(self) -> TrainingCurves:
        """At most `MOST_EPOCHS` of the steps, the first and the last among them."""
        count = len(self.steps)
        if count <= MOST_EPOCHS:
            return self
        kept = [i * (count - 1) // (MOST_EPOCHS - 1) for i in range(MOST_EPOCHS)]
        curves = [[curve[at] for at in kept if at < len(curve)] for curve in self.curves]
        return TrainingCurves([self.steps[at] for at in kept], self.unit, curves)


def training_curves(trial: Trial) -> TrainingCurves:
    """The validation score while it trained, one curve per seed; without curves where the task keeps none.

    Where the task returned no curve (and of a training that was stopped early) it is what was reported.
    """
    told = [_course(o) for o in trial.outcomes if o.status in (Status.finished, Status.pruned)]
    told = [(unit, course) for unit, course in told if course]
    steps = sorted({step for _, course in told for step in course})
    units = {unit for unit, _ in told}
    curves = [numbers([course.get(s, np.nan) for s in steps if s <= max(course)], 4) for _, course in told]
    return TrainingCurves(steps, units.pop() if len(units) == 1 else "step", curves)


def _course(outcome: Outcome) -> tuple[str, dict[int, float]]:
    """What its steps count, and the score at each: by the curve that the task returned, else as it was reported.

    A plain list is what docs/tasks.md says it is, the score after each epoch, unless as many steps were reported.
    """
    pairs = {step: score for step, score in reported(outcome) if type(step) is int}
    own = outcome.metrics.get("curve")
    values = [_point(point) for point in own] if isinstance(own, list) else []
    if isinstance(own, list) and np.isfinite(values).any():  # it may hold losses alone
        for unit in ("epoch", "step"):
            steps = [point[unit] for point in own if isinstance(point, Mapping) and type(point.get(unit)) is int]
            if len(steps) == len(own) and sorted(set(steps)) == steps:
                return unit, dict(zip(steps, values, strict=True))
        if len(pairs) == len(own):
            return "step", dict(zip(sorted(pairs), values, strict=True))
        return "epoch", dict(enumerate(values, 1))
    return "step", {step: _point(score) for step, score in pairs.items()}


def reported(outcome: Outcome) -> list[list[Any]]:
    """The pairs of a step and a score that a training has reported."""
    pairs = outcome.metrics.get("reported")
    return [pair for pair in pairs if isinstance(pair, list) and len(pair) == 2] if isinstance(pairs, list) else []


def _point(point: Any) -> float:
    if isinstance(point, Mapping):
        point = next((point[key] for key in ("score", "validation_accuracy", "accuracy") if key in point), None)
    return float(point) if isinstance(point, int | float) else float("nan")
