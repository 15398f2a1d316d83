"""A picture of a function and its derivative, without lines across jumps, poles and gaps; or of a gate, in levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from symact.activation.module import compile
from symact.expr.tree import Expr

INTERVAL = (-5.0, 5.0)
POINTS = 2001

Curve = Callable[[np.ndarray], np.ndarray]


def draw(expr: Expr, values: Mapping[str, float | list[float]], path: Path) -> None:
    """Draw `expr` on [-5, 5].

    Args:
        expr: the expression.
        values: parameter name -> its value; of several channels the first is drawn.
        path: the file; its suffix names the format.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    numbers = {name: value if isinstance(value, float) else value[0] for name, value in values.items()}
    value, slope = curves(expr, numbers)
    figure = Figure(figsize=(6.4, 4.2), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.axhline(0.0, color="0.75", linewidth=0.8, zorder=0)
    axes.axvline(0.0, color="0.75", linewidth=0.8, zorder=0)
    shown = []
    for curve, label, color, width, dashes in (
        (slope, "derivative f'(x)", "#e07b39", 1.6, (4.0, 1.6)),
        (value, "function f(x)", "#1f5aa6", 2.2, ()),
    ):
        x, y, ends = sampled(curve)
        shown.append(y)
        axes.plot(x, y, label=label, color=color, linewidth=width, dashes=dashes or (None, None))
        axes.plot(*ends, "o", color=color, markerfacecolor="white", markersize=4.5, zorder=3)
    low, high = _range(shown)
    axes.set(xlim=INTERVAL, ylim=(low, high), xlabel="x", ylabel="f(x),  f'(x)")
    axes.set_title(_title(str(expr), numbers, values), fontsize=10)
    axes.grid(True, color="0.93", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], frameon=False, loc="best")
    figure.savefig(path)


def draw_gate(expr: Expr, values: Mapping[str, float | list[float]], path: Path) -> None:
    """Draw a function of `x` and `g` as colours on [-5, 5] x [-5, 5]; arguments as for `draw`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    numbers = {name: value if isinstance(value, float) else value[0] for name, value in values.items()}
    figure = Figure(figsize=(5.6, 4.8), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    figure.colorbar(surface(axes, expr, numbers), ax=axes, label="f(x, g)")
    axes.set_title(_title(str(expr), numbers, values, "f(x, g)"), fontsize=10)
    figure.savefig(path)


def surface(axes: Any, expr: Expr, numbers: Mapping[str, float]) -> Any:
    """The values of a function of `x` and `g` on given axes: 0 is white, no value is grey; gives the image."""
    line = torch.linspace(*INTERVAL, 301, dtype=torch.float64)
    with torch.no_grad():
        values = compile(expr)(line[None, :], line[:, None], **numbers).numpy().copy()
    values[~np.isfinite(values)] = np.nan
    defined = np.abs(values[np.isfinite(values)])
    # Everything, unless a few values are far beyond the others.
    most = min(float(defined.max()), 3.0 * float(np.percentile(defined, 90))) if defined.size else 1.0
    axes.set_facecolor("0.8")
    image = axes.imshow(
        values, origin="lower", extent=(*INTERVAL, *INTERVAL), cmap="RdBu_r", vmin=-(most or 1.0), vmax=most or 1.0
    )
    if defined.size and np.ptp(values[np.isfinite(values)]) > 0:
        levels = np.linspace(-most, most, 13)
        axes.contour(line, line, values, levels=levels, colors="black", linewidths=0.5, alpha=0.5)
    axes.set(xlabel="x", ylabel="g")
    return image


def curves(expr: Expr, numbers: Mapping[str, float]) -> tuple[Curve, Curve]:
    """The function and its derivative, in float64."""
    function = compile(expr)

    def value(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            result: np.ndarray = function(torch.from_numpy(x), **numbers).numpy()
        return result

    def slope(x: np.ndarray) -> np.ndarray:
        point = torch.from_numpy(x).requires_grad_()
        (gradient,) = torch.autograd.grad(function(point, **numbers).sum(), point)
        undefined = ~np.isfinite(value(x))
        result: np.ndarray = np.where(undefined, np.nan, gradient.numpy())
        return result

    return value, slope


def sampled(curve: Curve) -> tuple[np.ndarray, np.ndarray, tuple[list[float], list[float]]]:
    """x and y to draw, broken by NaN where the curve jumps, and the ends of finite jumps.

    A step between neighbours that is large beside the steps around it is halved until it is a
    billionth wide: what is left of its height is a jump, else the curve is only steep there.
    """
    x = np.linspace(*INTERVAL, POINTS)
    with np.errstate(all="ignore"):
        y = curve(x)
        y[~np.isfinite(y)] = np.nan
        steps = np.abs(np.diff(y))
    defined = y[np.isfinite(y)]
    if not defined.size:
        return x, y, ([], [])
    span = np.percentile(defined, 98) - np.percentile(defined, 2) or 1.0
    around = np.nan_to_num(np.maximum(np.append(steps[1:], 0.0), np.insert(steps[:-1], 0, 0.0)))
    suspects = np.flatnonzero((steps > 3.0 * around + 1e-9 * span) & (steps > 1e-3 * span) | (steps > 0.25 * span))
    xs, ys = [x], [y]
    ends: tuple[list[float], list[float]] = ([], [])
    for index in suspects:
        left, right, low, high = _bisected(curve, x[index], x[index + 1], y[index], y[index + 1])
        if abs(high - low) < 1e-4 * span:
            continue
        xs.append(np.array([left, 0.5 * (left + right), right]))
        ys.append(np.array([low, np.nan, high]))
        if max(abs(low), abs(high)) < 20.0 * max(span, np.abs(defined).min()):
            ends[0].extend((left, right))
            ends[1].extend((low, high))
    order = np.argsort(np.concatenate(xs), kind="stable")
    return np.concatenate(xs)[order], np.concatenate(ys)[order], ends


def _bisected(curve: Curve, left: float, right: float, low: float, high: float) -> tuple[float, float, float, float]:
    while right - left > 1e-9:
        middle = 0.5 * (left + right)
        value = float(curve(np.array([middle]))[0])
        if not np.isfinite(value):
            break
        if abs(value - low) > abs(high - value):
            right, high = middle, value
        else:
            left, low = middle, value
    return left, right, low, high


def _range(curves: list[np.ndarray]) -> tuple[float, float]:
    """Limits of the vertical axis: everything, unless a few values are far beyond the others."""
    values = np.concatenate([y[np.isfinite(y)] for y in curves])
    if not values.size:
        return -1.0, 1.0
    low, high = float(values.min()), float(values.max())
    inner_low, inner_high = np.percentile(values, [12.0, 88.0])
    reach = 2.5 * max(inner_high - inner_low, 1e-3)
    low, high = max(low, inner_low - reach), min(high, inner_high + reach)
    margin = 0.06 * max(high - low, 0.2)
    return low - margin, high + margin


def _title(
    text: str, numbers: Mapping[str, float], values: Mapping[str, float | list[float]], name: str = "f(x)"
) -> str:
    """The formula, cut where it is long, and below it the values of the parameters."""
    title = f"{name} = " + (text if len(text) <= 90 else text[:87] + "…")
    if numbers:
        of_channels = any(isinstance(value, list) for value in values.values())
        title += "\n" + ", ".join(f"{n} = {v:.4g}" for n, v in numbers.items()) + (" (channel 0)" * of_channels)
    return title.replace("$", r"\$").replace("_", r"\_") if "$" in title else title
