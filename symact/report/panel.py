"""Panels of a report: plain charts of numbers and texts that the page draws, and that `figures` draws on paper.

A chart is `lines`, `scatter`, `shares`, `table` or `tree`; who draws needs to know no optimizer. A chart with `folded`
is shown when its words are clicked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Chart: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """One thing that was learned: a title, a sentence on what is seen, and its charts."""

    title: str
    text: str
    charts: Sequence[Chart]


def lines(
    x: Sequence[float | None], series: Mapping[str, Sequence[float | None]], across: str, up: str, title: str = ""
) -> Chart:
    """A chart of lines over common x."""
    listed = [{"name": name, "y": list(y)} for name, y in series.items()]
    return {"kind": "lines", "title": title, "x": list(x), "series": listed, "across": across, "up": up}


def table(head: Sequence[str], rows: Sequence[Sequence[str]], folded: str = "", expressions: str = "function") -> Chart:
    """A table of texts.

    Args:
        head: of each column.
        rows: a text for each column.
        folded: what it is called while it is not shown; `""` shows it.
        expressions: the head of the column whose texts are expressions.
    """
    rows = [list(row) for row in rows]
    return {"kind": "table", "head": list(head), "rows": rows, "folded": folded, "expressions": expressions}
