"""What the command line prints: tables, progress, and the stages of a compiled expression.

Everything goes through `rich`, which draws colour and bars on a terminal and plain text elsewhere.
Results go to standard output; progress goes to standard error, so that both can be piped. Tables are made to be read
in 80 columns; names such as `my_task.py:Bug` stay names (`:bug:` is a picture elsewhere).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich import box, markup
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from symact.errors import counted, printable
from symact.records import Direction, Metric, Status
from symact.report.naming import titled

if TYPE_CHECKING:
    from symact.report.leaderboard import Difference, Row

# Where output is piped there is no window to fit into, unless the user says how wide it is.
_WIDTH = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else 132
OUT = Console(highlight=False, emoji=False, width=_WIDTH)
ERR = Console(stderr=True, highlight=False, emoji=False)


def escape(text: str) -> str:
    """`text` as it stands, whoever wrote it: no markup of rich's, no escape sequence of the terminal's."""
    return markup.escape(printable(text, "\n"))


def document(value: Any) -> None:
    """Print one JSON document, and nothing else."""
    print(json.dumps(value, indent=2, allow_nan=False, default=_plain))


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


@contextmanager
def bar(description: str, total: int | None = None) -> Iterator[Callable[[int, int | None, str], None]]:
    """A progress bar on standard error, if that is a terminal; gives `update(done, total, note)`.

    It is one line: what does not fit is cut off at the end of the note.
    """
    rest = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=14),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False, table_column=rest),
    )
    shown = printable(description)
    shown = shown if len(shown) <= 24 else f"{shown[:21]}..."
    with Progress(*columns, console=ERR, transient=True, expand=True, disable=not ERR.is_terminal) as progress:
        task = progress.add_task(shown, total=total, note="")

        def update(done: int, total: int | None = None, note: str = "") -> None:
            progress.update(task, completed=done, total=total, note=printable(note))

        yield update


def plain_table() -> Table:
    """An empty table in the one style: a heading, a line, and rows with blanks between the columns."""
    return Table(
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
        collapse_padding=True,
    )


SCORE = Metric()  # of a task that declares nothing


def top(rows: Sequence[Row], shown: int, title: str = "", metric: Metric = SCORE) -> None:
    """The leaderboard as a table. Failures are counted below it, and listed with their reasons where all is shown."""
    finished = [row for row in rows if row.trial.status is Status.finished]
    failed = [row for row in rows if row.trial.status is not Status.finished]
    if title:
        OUT.print(f"[bold]{escape(title)}[/]")
    if finished:
        _print_ranked(finished if shown == 0 else finished[:shown], metric)
    if not failed:
        return
    counts = ", ".join(f"{count} {status}" for status, count in _counts(failed).items())
    if shown:
        OUT.print(f"{len(failed)} failed: {counts} (-n 0 lists them with their reasons)")
        return
    OUT.print()
    OUT.print(f"[bold]{len(failed)} failed: {counts}[/]")
    table = plain_table()
    table.add_column("function", overflow="fold", min_width=20)
    table.add_column("status", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for row in failed:
        table.add_row(escape(row.expression), row.trial.status.value, escape(row.trial.reason))
    OUT.print(table)


# Heading -> what stands below it; a column without any text is left out.
_COLUMNS: dict[str, Callable[[Row, Metric], str]] = {
    "fresh": lambda row, metric: metric.text(row.fresh_score),
    "test": lambda row, metric: tested(row, metric),
    "search": lambda row, metric: metric.text(row.trial.score),
    "n": lambda row, _: str(len(row.trial.scores)) if len(row.trial.scores) > 1 else "",
    "budget": lambda row, _: f"{row.trial.budget:.2g}" if row.trial.budget < 1 else "",
    "versus ReLU": lambda row, metric: versus(row.versus_relu, metric),
    "versus best": lambda row, metric: versus(row.versus_best_baseline, metric),
}


ROOM = 26  # characters of a function; where there are fewer, the second difference is told for the winner alone


def _columns(rows: Sequence[Row], metric: Metric) -> dict[str, list[str]]:
    columns = {heading: [text(row, metric) for row in rows] for heading, text in _COLUMNS.items()}
    if all(row.versus_best_baseline in (row.versus_relu, None) for row in rows):
        del columns["versus best"]  # ReLU is the best baseline
    headings = {} if any(columns["fresh"]) else {"search": metric.heading if len(metric.heading) <= 16 else "score"}
    return {headings.get(heading, heading): texts for heading, texts in columns.items() if any(texts)}


def _print_ranked(rows: Sequence[Row], metric: Metric) -> None:
    table = plain_table()
    table.add_column("#", justify="right")
    table.add_column("function", overflow="fold", min_width=14)
    columns = _columns(rows, metric)
    origins = [markup.escape(printable(row.trial.origin)) for row in rows]

    def room_beside() -> int:
        beside = [["#", str(len(rows))], ["from", *origins], *([head, *texts] for head, texts in columns.items())]
        return OUT.width - sum(max(len(markup.render(text)) for text in texts) + 2 for texts in beside)

    if room_beside() < ROOM and "versus best" in columns:
        del columns["versus best"]
    room = room_beside()
    for heading in columns:
        table.add_column(escape(heading), justify="right", no_wrap=True)
    table.add_column("from", no_wrap=True)
    for place, row in enumerate(rows):
        cells = [texts[place] for texts in columns.values()]
        function = folded(printable(titled(row.shown, row.name, room)), max(room, 14))
        table.add_row(str(place + 1), markup.escape(function), *cells, origins[place])
    OUT.print(table)
    seeds = max((len(row.confirmation.scores) for row in rows if row.confirmation is not None), default=0)
    notes = {
        "fresh": f"mean of {counted(seeds, 'training')} on seeds that the search never saw; what has them ranks first",
        "test": "mean (sd) on test data that no search sees, on the fresh seeds; nothing is ranked by it",
        "search": "mean on the seeds of the search",
        "versus ReLU": "paired difference with its 95 % interval",
        "versus best": "the same, to the best of the baselines",
    }
    told = [f"{heading}: {text}" for heading, text in notes.items() if heading in columns]
    lower = "; lower is better" if metric.direction is Direction.minimize else ""
    if told or lower:
        OUT.print(f"[dim]{escape(metric.heading + lower)}[/]")
    for line in told:
        OUT.print(f"[dim]{escape(line)}[/]")
    best, found = next((row for row in rows if row.trial.origin == "baseline"), None), rows[0].versus_best_baseline
    if "versus best" not in columns and best is not None and found not in (None, rows[0].versus_relu):
        OUT.print(f"the first against the best baseline, {escape(best.shown)}: {versus(found, metric)}")


def compared(rows: Sequence[Mapping[str, str]], title: str) -> None:
    """A comparison: the cells of each row by heading; columns without text, and names without room, are left out."""
    OUT.print(f"[bold]{escape(title)}[/]")
    if not rows:
        return
    headings = [heading for heading in rows[0] if any(row[heading] for row in rows)]
    widths = {heading: max(len(text) for text in (heading, *(row[heading] for row in rows))) for heading in headings}
    if "name" in widths and sum(widths.values()) + len(widths) > OUT.width:
        headings.remove("name")
    room = OUT.width - sum(widths[heading] + 1 for heading in headings if heading != "function")
    table = plain_table()
    table.padding = (0, 0, 0, 0)
    for heading in headings:
        text = heading in ("function", "name", "verdict")
        table.add_column(escape(heading), justify="left" if text else "right", overflow="fold")
    for row in rows:
        cells = [folded(printable(row[h]), max(room, 14)) if h == "function" else row[h] for h in headings]
        table.add_row(*map(markup.escape, cells))
    OUT.print(table)


def folded(text: str, width: int) -> str:
    """An expression on lines of at most `width`, broken after a comma or an operator where there is one."""
    lines = []
    while len(text) > width:
        breaks = [at for at in range(width // 2, width) if text[at] in ",+*/ " or (text[at] == "(" and at < width - 1)]
        cut = breaks[-1] + 1 if breaks else width
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return "\n".join([*lines, text])


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.trial.status.value] = counts.get(row.trial.status.value, 0) + 1
    return counts


def tested(row: Row, metric: Metric) -> str:
    """The mean on the test data with its standard deviation, and of how many trainings where some have failed there."""
    found = row.tested
    if found is None or row.confirmation is None:
        return ""
    short = "" if len(found.scores) == len(row.confirmation.scores) else f", n={len(found.scores)}"
    return metric.text(found.mean) + (f" ({metric.text(found.sd)}{short})" if found.sd is not None else "")


def versus(found: Difference | None, metric: Metric) -> str:
    """A paired difference and half its interval, marked where it is an improvement."""
    if found is None:
        return ""
    text = f"{metric.text(found.difference, signed=True)} ± {metric.text((found.high - found.low) / 2)}"
    return f"[bold green]{text}[/]" if found.better else text


def facts(pairs: Mapping[str, Any], title: str = "") -> None:
    """Aligned name and value pairs; what is None is left out."""
    if title:
        OUT.print(f"[bold]{escape(title)}[/]")
    shown = {name: value for name, value in pairs.items() if value is not None}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{part} {count}" for part, count in value.items())
        OUT.print(f"  {escape(name):<{width}}  {escape(str(value))}", soft_wrap=True)


def stage(title: str, text: str) -> None:
    """One stage of the compiler: a heading and its text, unwrapped."""
    OUT.print(f"[bold]{escape(title)}[/]")
    OUT.print(escape(text.rstrip()), soft_wrap=True)
    OUT.print()


def listing(rows: Sequence[tuple[str, ...]], headings: Sequence[str], width: int | None = None) -> None:
    """A plain table, of at most `width` columns."""
    table = plain_table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    OUT.print(table, width=width)


def say(text: str) -> None:
    """One line on standard output, unwrapped."""
    OUT.print(escape(text), soft_wrap=True)


def note(text: str) -> None:
    """One line on standard error, unwrapped."""
    ERR.print(escape(text), soft_wrap=True)
