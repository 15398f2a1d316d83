"""Pictures of a study, as matplotlib figures.

In: leaderboard rows and trials. Out: figures. Colours are those of Okabe and Ito (2008), which
people with any colour vision can tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib
import networkx
import numpy as np
from matplotlib.figure import Figure

from symact.errors import printable
from symact.expr.operators import INPUTS
from symact.expr.tree import Expr, candidate_text
from symact.records import Direction, Trial
from symact.report import curves as drawing
from symact.report.curves import TrainingCurves, training_curves
from symact.report.leaderboard import Row

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#9aa0a6"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e8eb",
    "axes.axisbelow": True,
    "axes.edgecolor": "#6b7177",
}
LONGEST_LABEL = 48


def shortened(text: str, length: int = LONGEST_LABEL) -> str:
    """`text`, cut in the middle where it is too long for a label."""
    return text if len(text) <= length else f"{text[: length - 12]}…{text[-11:]}"


def plain(text: str) -> str:
    """A label as it stands: matplotlib would read what is between two dollars as mathematics."""
    return shortened(printable(text)).replace("$", r"\$")


def progress(studies: Mapping[str, Sequence[Trial]], heading: str = "score") -> Figure:
    """Best score so far against evaluations; every evaluation of a single study as a dot.

    Args:
        studies: label -> trials in ask order.
        heading: name of the score.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        single = len(studies) == 1
        for (label, trials), colour in zip(studies.items(), _cycle(), strict=False):
            counted = [trial for trial in trials if not trial.cached and trial.budget == 1.0]
            scores = [math.nan if trial.score is None else trial.score for trial in counted]
            if single:
                _dots(axes, counted, scores)
            lower = any(trial.direction is Direction.minimize for trial in counted)
            best = (np.fmin if lower else np.fmax).accumulate(np.array(scores)) if scores else np.array([])
            axes.step(
                range(1, len(best) + 1),
                best,
                where="post",
                color=colour,
                linewidth=1.8,
                label=plain(label) or "best so far",
            )
        axes.set(xlabel="functions evaluated", ylabel=plain(heading))
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _dots(axes: Any, counted: Sequence[Trial], scores: Sequence[float]) -> None:
    """Every evaluation as a dot; what failed or lies far below the rest stands on the lower edge."""
    numbers = np.arange(1, len(counted) + 1)
    values = np.array(scores, dtype=float)
    baseline = np.array([trial.origin == "baseline" for trial in counted], dtype=bool)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return
    top, usual = finite.max(), np.quantile(finite, 0.25)
    edge = max(finite.min(), usual - 0.5 * (top - usual)) - 0.03 * (top - finite.min() + 1e-12)
    low = values < edge
    axes.scatter(numbers[baseline], values[baseline], s=26, marker="D", color=COLOURS[1], label="baselines", zorder=3)
    axes.scatter(numbers[~baseline], values[~baseline], s=18, color=GREY, label="candidates")
    if low.any():
        axes.scatter(numbers[low], np.full(low.sum(), edge), s=20, marker="v", color=GREY, label="below the axis")
    failed = np.isnan(values)
    if failed.any():
        axes.scatter(numbers[failed], np.full(failed.sum(), edge), s=24, marker="x", color=COLOURS[3], label="failed")
    axes.set_ylim(edge - 0.02 * (top - edge), top + 0.06 * (top - edge + 1e-9))


def _cycle() -> Iterable[str]:
    while True:
        yield from COLOURS


def curves(
    expressions: Sequence[tuple[str, Expr, Mapping[str, Any]]], interval: tuple[float, float] = (-4, 4)
) -> Figure:
    """Functions (left) and their derivatives (right).

    Args:
        expressions: (label, expression, learned constants), the first drawn strongest.
        interval: where they are drawn.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 3.6), layout="constrained")
        axes = figure.subplots(1, 2)
        for index, ((label, expr, constants), colour) in enumerate(zip(expressions, _cycle(), strict=False)):
            x, y, slope = drawing.lines(expr, *interval, constants)
            width = 2.4 if index == 0 else 1.3
            for axis, values in zip(axes, (y, slope), strict=True):
                axis.plot(x, values, color=colour, linewidth=width, label=shortened(label))
        for axis, title in zip(axes, ("function", "derivative"), strict=True):
            axis.set(title=title, xlabel="x", xlim=interval)
            low, high = axis.get_ylim()
            axis.set_ylim(max(low, -8), min(high, 8))
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def differences(rows: Sequence[Row], heading: str = "score") -> Figure:
    """Paired differences to ReLU with their 95 % intervals, best on top.

    Args:
        rows: of a leaderboard.
        heading: name of the score.
    """
    shown = [row for row in rows if row.versus_relu is not None]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.8 + 0.38 * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        for height, row in enumerate(reversed(shown)):
            versus = row.versus_relu
            assert versus is not None
            sure = versus.low > 0 or versus.high < 0
            axes.plot([versus.low, versus.high], [height, height], color=COLOURS[0] if sure else GREY, linewidth=2)
            axes.plot(versus.difference, height, "o", color=COLOURS[0] if sure else GREY, markersize=6)
        axes.axvline(0, color="#30343a", linewidth=1)
        axes.set_yticks(range(len(shown)), [plain(row.shown) for row in reversed(shown)])
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.set_xlabel(f"{plain(heading)} minus ReLU's, same seeds (mean, 95 % interval)")
    return figure


def training(trials: Sequence[Trial]) -> Figure | None:
    """Validation scores of a few trials while they trained; None where the task keeps no curve."""
    kept = [(trial, training_curves(trial)) for trial in trials]
    kept = [(trial, found) for trial, found in kept if found.curves]
    if not kept:
        return None
    units = {found.unit for _, found in kept}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        axes = figure.add_subplot()
        for (trial, found), colour in zip(kept, _cycle(), strict=False):
            label = shortened(candidate_text(trial.candidate))
            axes.plot(*_mean(found), marker="o", markersize=3, color=colour, label=label)
        axes.set(xlabel=units.pop() if len(units) == 1 else "step", ylabel="validation score")
        axes.legend(frameon=False, fontsize=9)
    return figure


def _mean(found: TrainingCurves) -> tuple[list[int], list[float]]:
    """The mean over the seeds, as far as all of them went."""
    length = min(map(len, found.curves))
    values = np.array([curve[:length] for curve in found.curves], dtype=float)
    return found.steps[:length], values.mean(axis=0).tolist()


def expression_graph(expr: Expr) -> Figure | None:
    """The operator tree of an expression, x at the bottom; None for a formula, which has none."""
    if expr.is_formula or expr.size == 0:
        return None
    graph = networkx.DiGraph()
    leaves = iter(range(10**6))
    place: dict[int, tuple[float, float]] = {}
    names: dict[int, str] = {}

    def visit(node: Expr, depth: int) -> int:
        children = [visit(argument, depth + 1) for argument in node.arguments]
        number = len(names)
        names[number] = node.operator.name
        across = float(np.mean([place[child][0] for child in children])) if children else float(next(leaves))
        place[number] = (across, -float(depth))
        graph.add_node(number)
        graph.add_edges_from((child, number) for child in children)
        return number

    visit(expr, 0)
    with matplotlib.rc_context(STYLE):
        width = max(across for across, _ in place.values()) + 1
        figure = Figure(figsize=(max(2.4, 1.5 * width), 0.8 + 0.8 * expr.depth), layout="constrained")
        axes = figure.add_subplot()
        networkx.draw_networkx_edges(graph, place, ax=axes, edge_color=GREY, node_size=1100, arrowsize=12)
        for number, (across, height) in place.items():
            colour = "#fff4e5" if names[number] in INPUTS else "#eef3f8"
            box = {"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "#6b7177"}
            axes.text(across, height, names[number], ha="center", va="center", bbox=box)
        axes.margins(0.25)
        axes.set_axis_off()
    return figure
