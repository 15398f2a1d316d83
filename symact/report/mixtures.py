"""Learned mixtures: the shares and the curve of every layer, over all seeds of a training.

In: what each training has learned at each site. Out: shares with their spread, a table of them, and the figure of the
curves of all layers on growing intervals (as in Bansal 2022, whose mixtures differ most far from 0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from symact.expr.tree import Expr
from symact.optimize.mixture_formula import site_proportions
from symact.records import Status, Trial
from symact.report import curves, pictures

Constants: TypeAlias = Mapping[str, Any]
# Name of a weight -> its share in each training, ``(seeds,)``.
Shares: TypeAlias = dict[str, np.ndarray]

REACHES = (1, 3, 10, 100)
MOST_LAYERS = 8  # curves in one panel
POINTS = 401


def trainings(trial: Trial, confirmation: Trial | None = None) -> list[list[Constants]]:
    """What each finished training of a function has learned, site by site; those on fresh seeds come last."""
    outcomes = [*trial.outcomes, *(confirmation.outcomes if confirmation is not None else ())]
    return [[dict(c) for c in o.constants] for o in outcomes if o.status is Status.finished and o.constants]


def shares(learned: Sequence[Sequence[Constants]]) -> list[Shares]:
    """The shares of every layer, in one order for all: those with the largest mean over the layers first.

    Args:
        learned: of each training, the constants of each site.
    """
    found = []
    for site in range(min(map(len, learned), default=0)):
        each = [site_proportions(training[site]) for training in learned]
        columns = {name: np.array([row.get(name, 0.0) for row in each]) for name in each[0]}
        found.append(columns)
    names = dict.fromkeys(name for layer in found for name in layer)
    means = {name: sum(layer[name].mean() for layer in found if name in layer) for name in names}
    order = sorted(names, key=lambda name: -means[name])
    return [{name: layer[name] for name in order if name in layer} for layer in found]


def spread(values: np.ndarray, form: str = ".3f") -> str:
    """Mean and standard deviation (n - 1); of one value that alone."""
    mean = f"{values.mean():{form}}"
    return mean if len(values) < 2 else f"{mean} ({values.std(ddof=1):{form}})"


def table(layers: Sequence[Shares], named: Callable[[str], str] = str) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the shares: a row a layer, a column a weight in the order of the first layer."""
    names = list(dict.fromkeys(name for layer in layers for name in sorted(layer)))
    count = len(next(iter(layers[0].values()), ())) if layers else 0
    rows = [
        [str(number), str(count), *(spread(layer[name]) if name in layer else "" for name in names)]
        for number, layer in enumerate(layers, 1)
    ]
    return ["layer", "n", *map(named, names)], rows


def mean_curves(
    expression: Expr, learned: Sequence[Sequence[Constants]], reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """The curve of every layer, mean over the trainings: x ``(points,)`` and y ``(layers, points)``."""
    x, layers = np.zeros(0), []
    for site in range(min(map(len, learned), default=0)):
        drawn = [curves.samples(expression, -reach, reach, training[site], POINTS) for training in learned]
        x = drawn[0][0]
        layers.append(np.mean([values[1] for values in drawn], axis=0))
    return x, np.array(layers)


def curves_figure(rows: Mapping[str, tuple[Expr, Sequence[Sequence[Constants]]]]) -> Figure:
    """The learned curves of every layer, a row for each mixture, a column for each interval.

    Args:
        rows: title -> expression, and of each training the constants of each site.
    """
    with matplotlib.rc_context(pictures.STYLE):
        figure = Figure(figsize=(3.1 * len(REACHES), 2.7 * len(rows)), layout="constrained")
        panels = figure.subplots(len(rows), len(REACHES), squeeze=False)
        for line, (title, (expression, learned)) in zip(panels, rows.items(), strict=True):
            for panel, reach in zip(line, REACHES, strict=True):
                x, layers = mean_curves(expression, learned, reach)
                for number, y in enumerate(layers[:MOST_LAYERS], 1):
                    panel.plot(x, y, linewidth=1.3, label=f"layer {number}")
                panel.axhline(0, color=pictures.GREY, linewidth=0.5)
                panel.set_title(f"{title}, |x| ≤ {reach}" if title else f"|x| ≤ {reach}", fontsize=9)
                panel.set_xticks(np.linspace(-reach, reach, 5))
                panel.tick_params(labelsize=7)
        panels[0][0].legend(fontsize=8, frameon=False)
    return figure


def shares_figure(layers: Sequence[Shares], named: Callable[[str], str] = str, most: int = 10) -> Figure:
    """The shares of every layer as bars, with the standard deviation over the trainings."""
    height = min(most, max(map(len, layers)))
    columns = min(len(layers), 4)
    lines = -(-len(layers) // columns)
    with matplotlib.rc_context(pictures.STYLE):
        figure = Figure(figsize=(1.0 + 2.2 * columns, lines * (0.8 + 0.28 * height)), layout="constrained")
        panels = figure.subplots(lines, columns, squeeze=False, sharey=all(len(x) == height for x in layers)).ravel()
        for number, (axes, layer) in enumerate(zip(panels, layers, strict=False), 1):
            shown = list(reversed(list(layer.items())[:most]))
            deviations = [values.std(ddof=1) if len(values) > 1 else 0.0 for _, values in shown]
            bars = {"color": pictures.COLOURS[0], "ecolor": "#30343a", "error_kw": {"elinewidth": 1.2}}
            axes.barh(range(len(shown)), [v.mean() for _, v in shown], xerr=deviations, **bars)
            axes.set_yticks(range(len(shown)), [pictures.plain(named(name)) for name, _ in shown])
            axes.set_title(f"layer {number}", fontsize=10)
            axes.set(xlim=(0, 1), xticks=(0, 0.5, 1))
        for axes in panels[len(layers) :]:
            axes.set_visible(False)
    return figure
