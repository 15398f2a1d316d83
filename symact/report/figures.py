"""Studies -> every figure of the page as SVG and PDF, drawn by matplotlib, for papers and slides."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from symact.errors import InputError
from symact.expr.tree import sites
from symact.files import write_file
from symact.records import Status
from symact.report import curves, mixtures, pictures
from symact.report.function_map import places
from symact.report.leaderboard import Row, is_relu, leaderboard, winner
from symact.report.learned import best_mixture, panels, term
from symact.report.panel import Chart
from symact.report.view import StudyView

KINDS = ("svg", "pdf")
SHOWN_ROWS = 20
SHOWN_CURVES = 5


def write_figures(views: Sequence[StudyView], folder: Path) -> list[Path]:
    """Write the figures of some studies into a folder, which is made if it is not there.

    Returns:
        The files, two for each figure.

    Raises:
        InputError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); choose another --figures") from None
    written = []
    for name, figure in figures(views):
        for kind in KINDS:
            path = folder / f"{name}.{kind}"
            write_file(path, partial(_save, figure))
            written.append(path)
    return written


def _save(figure: Figure, path: Path) -> None:
    date = {"CreationDate": None} if path.suffix == ".pdf" else {"Date": None}
    with matplotlib.rc_context(pictures.STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(path, bbox_inches="tight", metadata=date)


def figures(views: Sequence[StudyView]) -> Iterator[tuple[str, Figure]]:
    """Name and figure, of all studies together first."""
    if len(views) > 1:
        headings = dict.fromkeys(view.metric.heading for view in views)
        for heading in headings:  # of another metric are other axes
            alike = {view.label: view.trials for view in views if view.metric.heading == heading}
            yield "best-so-far" + (f"-{_slug(heading)}" if len(headings) > 1 else ""), pictures.progress(alike, heading)
    for place, view in enumerate(views):
        before = f"{place + 1}-{_slug(view.label)}-" if len(views) > 1 else ""
        for name, figure in _of_study(view):
            if figure is not None:
                yield before + name, figure


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "study"


def _of_study(view: StudyView) -> Iterator[tuple[str, Figure | None]]:
    rows = leaderboard(view.trials, view.confirmations)
    done = [row for row in rows if row.trial.status is Status.finished]
    best, relu = winner(rows), next((row for row in done if is_relu(row.trial)), None)
    drawn = done[:SHOWN_CURVES]
    drawn = [*drawn, relu] if relu is not None and relu not in drawn else drawn
    if drawn:
        first = [(r.shown, curves.first_site(r.trial.candidate), curves.learned(r.trial)) for r in drawn]
        yield "functions", pictures.curves(first)
    compared = [row for row in done if row.versus_relu is not None][:SHOWN_ROWS]
    yield "versus-relu", pictures.differences(compared, view.metric.heading) if compared else None
    yield "search", pictures.progress({"": view.trials}, view.metric.heading)
    yield "training", pictures.training([row.trial for row in drawn])
    yield "map", _map(rows, view)
    if best is not None:
        yield "expression", pictures.expression_graph(curves.first_site(best.trial.candidate))
        yield "output-landscape", _landscape(best, relu)
    mixture = best_mixture(view, None if best is None else best.trial)
    if mixture is not None:
        trial, learned = mixture
        yield "mixture-curves", mixtures.curves_figure({"": (trial.candidate, learned)})
        yield "mixture-shares", mixtures.shares_figure(mixtures.shares(learned), lambda name: term(name, view))
    for number, panel in enumerate(panels(view, None if best is None else best.trial)):
        for part, chart in enumerate(panel.charts):
            yield (
                f"learned-{number + 1}-{_slug(chart.get('title') or panel.title)}-{part + 1}",
                _DRAWN[chart["kind"]](chart),
            )


def _landscape(best: Row, relu: Row | None) -> Figure | None:
    """The output of a random deep network over two inputs with the winner, and beside it with ReLU."""
    if any(len(expression.inputs) > 1 for expression in sites(best.trial.candidate)):
        return None
    from symact.activation.module import Activation
    from symact.report.landscapes import landscape_figure, output_landscape

    shown = {}
    for row in (best, relu):
        if row is not None:
            functions, values = sites(row.trial.candidate), curves.learned(row.trial)
            made = (_with(Activation(function), values) for function in cycle(functions))
            shown[pictures.plain(row.shown)] = output_landscape(partial(next, made), resolution=160)
    return landscape_figure(shown, 10.0, "output", axes=("first input", "second input"))


def _with(activation: Any, values: Mapping[str, Any]) -> Any:
    """An activation with learned values, as far as it has such parameters and they are numbers."""
    import torch

    with torch.no_grad():
        for name, parameter in activation.named_parameters():
            if parameter.numel() == 1 and isinstance(values.get(name), int | float):
                parameter.fill_(float(values[name]))
    return activation


def _map(rows: Sequence[Row], view: StudyView) -> Figure | None:
    where = places([curves.first_site(row.trial.candidate) for row in rows], view.seed)
    placed = [(at, row) for at, row in zip(where, rows, strict=True) if np.isfinite(at).all()]
    if len(placed) < 3:
        return None
    merits = sorted({row.trial.merit for _, row in placed if row.trial.merit is not None})
    share = {merit: place / max(len(merits) - 1, 1) for place, merit in enumerate(merits)}
    with matplotlib.rc_context({**pictures.STYLE, "axes.grid": False}):
        figure = Figure(figsize=(6.4, 5.0), layout="constrained")
        axes = figure.add_subplot()
        failed = np.array([at for at, row in placed if row.trial.merit is None]).reshape(-1, 2)
        axes.scatter(failed[:, 0], failed[:, 1], s=12, color="#d0d4d8", label="failed")
        done = [(at, share[row.trial.merit]) for at, row in reversed(placed) if row.trial.merit is not None]
        if done:
            x, y = np.array([at for at, _ in done]).T
            dots = axes.scatter(x, y, s=18, c=[colour for _, colour in done], cmap="viridis")
            figure.colorbar(dots, ax=axes, shrink=0.7, label="rank of the score, 1 is best")
        axes.set(xticks=[], yticks=[], title="functions with similar outputs stand close together (UMAP)")
    return figure


def _lines(chart: Chart) -> Figure:
    with matplotlib.rc_context(pictures.STYLE):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for one in chart["series"]:
            values = np.array([np.nan if v is None else v for v in one["y"]], dtype=float)
            axes.plot(
                chart["x"],
                values,
                marker="o" if len(values) < 40 else "",
                markersize=3,
                label=pictures.plain(one["name"]),
            )
        axes.set(xlabel=chart["across"], ylabel=chart["up"], title=chart["title"])
        if len(chart["series"]) > 1:
            axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _scatter(chart: Chart) -> Figure:
    with matplotlib.rc_context(pictures.STYLE):
        figure = Figure(figsize=(4.4, 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([-1, 1], [-1, 1], color=pictures.GREY, linewidth=1)
        axes.scatter(chart["x"], chart["y"], s=18, color=pictures.COLOURS[0])
        axes.set(xlabel=chart["across"], ylabel=chart["up"])
    return figure


def _none(chart: Chart) -> None:
    """Tables and family trees are text, for the page alone; shares have a figure of their own, with deviations."""


_DRAWN: dict[str, Any] = {"lines": _lines, "scatter": _scatter, "shares": _none, "table": _none, "tree": _none}
