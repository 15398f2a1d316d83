"""Rows -> what notebooks and spreadsheets read: a `pandas.DataFrame`, an HTML table, CSV."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

from symact.errors import InputError
from symact.records import Direction, Metric, Status
from symact.report.leaderboard import Row
from symact.report.naming import titled

SHOWN = 10


def frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A `pandas.DataFrame` of rows with the same keys.

    Raises:
        InputError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise InputError("to_pandas needs pandas: pip install pandas") from None
    return pandas.DataFrame(list(rows))


def table_html(rows: Sequence[Mapping[str, str]], title: str = "", notes: Sequence[str] = ()) -> str:
    """Cells by heading as an HTML table; columns without any text are left out, and no text is markup."""
    headings = [heading for heading in (rows[0] if rows else {}) if any(row[heading] for row in rows)]
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    lines = ["".join(f"<td>{html.escape(row[heading])}</td>" for heading in headings) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    caption = f"<caption>{html.escape(title)}</caption>" if title else ""
    below = "<br>".join(map(html.escape, notes))
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><small>{below}</small>"


def leaderboard_html(rows: Sequence[Row], title: str, metric: Metric) -> str:
    """The first rows of a leaderboard as an HTML table."""
    finished = [row for row in rows if row.trial.status is Status.finished]
    cells = [
        {
            "#": str(place),
            "function": titled(row.shown, row.name),
            "fresh seeds": metric.text(row.fresh_score),
            metric.heading: metric.text(row.trial.score),
            "versus ReLU": "" if row.versus_relu is None else metric.text(row.versus_relu.difference, signed=True),
            "from": row.trial.origin,
        }
        for place, row in enumerate(finished[:SHOWN], 1)
    ]
    failed, lower = len(rows) - len(finished), metric.direction is Direction.minimize
    notes = ["lower is better"] * lower + [f"{failed} failed"] * bool(failed)
    return table_html(cells, title, notes)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as CSV, with a line of headings."""
    written = io.StringIO()
    writer = csv.DictWriter(written, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()
