"""Studies -> one self-contained HTML page that can be read offline and mailed.

The page has no script at all, and says so in its content security policy; every text that came
from a study is escaped by the template engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from symact.errors import InputError
from symact.expr.display import latex
from symact.expr.tree import Expr
from symact.files import write_text
from symact.records import Status, Trial
from symact.report import pictures
from symact.report.leaderboard import Row, is_relu, leaderboard, winner

SHOWN_ROWS = 20
SHOWN_CURVES = 5


@dataclass(frozen=True)
class StudyView:
    """What a page shows of one study.

    Attributes:
        label: its name on the page, from its folder.
        trials: in ask order.
        confirmations: the best few and ReLU on fresh seeds.
        facts: (name, value) pairs: task, optimizer, grammar, seeds, versions, ...
    """

    label: str
    trials: Sequence[Trial]
    confirmations: Sequence[Trial]
    facts: Sequence[tuple[str, str]]


def write_page(studies: Sequence[StudyView], output: Path) -> None:
    """Write the report of one or more studies.

    Raises:
        InputError: no study, or `output` cannot be written.
    """
    if not studies:
        raise InputError("a report needs at least one run folder")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("symact.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    comparison = _svg(pictures.progress({study.label: study.trials for study in studies})) if len(studies) > 1 else None
    text = environment.get_template("page.html").render(
        title="symact: " + ", ".join(study.label for study in studies),
        comparison=comparison,
        sections=[_section(study) for study in studies],
    )
    write_text(output, text)


# Matplotlib escapes the texts it draws.
def _svg(figure: Any) -> Markup | None:
    return None if figure is None else Markup(pictures.svg(figure))


def _section(study: StudyView) -> dict[str, Any]:
    rows = leaderboard(study.trials, study.confirmations)
    finished = [row for row in rows if row.trial.status is Status.finished]
    best = winner(rows)
    relu = next((row for row in finished if is_relu(row.trial)), None)
    compared = [row for row in finished if row.versus_relu is not None][:SHOWN_ROWS]
    drawn = _drawn(finished, relu)
    return {
        "label": study.label,
        "facts": study.facts,
        "best": best and _line(best),
        "best_latex": latex(best.trial.candidate) if best and isinstance(best.trial.candidate, Expr) else "",
        "best_graph": _svg(pictures.expression_graph(_first(best.trial))) if best else None,
        "relu": relu and _line(relu),
        "rows": [_line(row) for row in finished[:SHOWN_ROWS]],
        "hidden": max(0, len(finished) - SHOWN_ROWS),
        "failures": _failures(rows),
        "counts": Counter(row.trial.status.value for row in rows),
        "progress": _svg(pictures.progress({"": study.trials})),
        "curves": _svg(pictures.curves([(row.expression, *_learned(row.trial)) for row in drawn])) if drawn else None,
        "differences": _svg(pictures.differences(compared)) if compared else None,
        "training": _svg(pictures.training([row.trial for row in drawn])),
    }


def _drawn(finished: list[Row], relu: Row | None) -> list[Row]:
    drawn = finished[:SHOWN_CURVES]
    return [*drawn, relu] if relu is not None and relu not in drawn else drawn


def _first(trial: Trial) -> Expr:
    return trial.candidate if isinstance(trial.candidate, Expr) else trial.candidate[0]


def _learned(trial: Trial) -> tuple[Expr, dict[str, Any]]:
    """The expression of the first site, and the constants that it learned there."""
    constants = next((o.constants[0] for o in trial.outcomes if o.constants), {})
    return _first(trial), dict(constants)


def _line(row: Row) -> dict[str, Any]:
    expr, constants = _learned(row.trial)
    return {**row.document(), "thumbnail": _svg(pictures.thumbnail(expr, constants))}


def _failures(rows: list[Row]) -> list[dict[str, Any]]:
    failed = [row for row in rows if row.trial.status is not Status.finished]
    return [{"expression": r.expression, "status": r.trial.status.value, "reason": r.trial.reason} for r in failed]
