"""What the command line prints: tables, progress, and the stages of a compiled expression.

Everything goes through `rich`, which draws colour and bars on a terminal and plain text elsewhere.
Results go to standard output; progress goes to standard error, so that both can be piped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich import box, markup
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from symact.errors import printable
from symact.records import Status

if TYPE_CHECKING:
    from symact.report.leaderboard import Row

# Where output is piped there is no window to fit into.
OUT = Console(highlight=False, width=None if sys.stdout.isatty() else 132)
ERR = Console(stderr=True, highlight=False)


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
    """A progress bar on standard error, if that is a terminal; gives `update(done, total, note)`."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as progress:
        task = progress.add_task(description, total=total, note="")

        def update(done: int, total: int | None = None, note: str = "") -> None:
            progress.update(task, completed=done, total=total, note=escape(note))

        yield update


def top(rows: Sequence[Row], shown: int, title: str = "") -> None:
    """The leaderboard as a table; failures are counted below it."""
    finished = [row for row in rows if row.trial.status is Status.finished]
    failed = [row for row in rows if row.trial.status is not Status.finished]
    table = Table(
        title=escape(title) or None, title_justify="left", title_style="bold", header_style="bold", box=box.SIMPLE_HEAD
    )
    table.add_column("#", justify="right")
    table.add_column("function", overflow="fold")
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("fresh seeds", justify="right", no_wrap=True)
    table.add_column("versus ReLU [95 %]", justify="right", no_wrap=True)
    table.add_column("from")
    for place, row in enumerate(finished if shown == 0 else finished[:shown], 1):
        table.add_row(
            str(place), escape(row.expression), _score(row), _fresh(row), _versus(row), escape(row.trial.origin)
        )
    OUT.print(table)
    if failed:
        OUT.print(f"{len(failed)} failed: " + ", ".join(f"{n} {s}" for s, n in _counts(failed).items()))


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.trial.status.value] = counts.get(row.trial.status.value, 0) + 1
    return counts


def _score(row: Row) -> str:
    count = len(row.trial.scores)
    measure = [f"n={count}"] if count > 1 else []
    measure += [f"budget {row.trial.budget:.2g}"] if row.trial.budget < 1 else []
    return f"{row.trial.score:.4f}" + (f" ({', '.join(measure)})" if measure else "")


def _fresh(row: Row) -> str:
    confirmation = row.confirmation
    if confirmation is None or confirmation.score is None:
        return ""
    return f"{confirmation.score:.4f} (n={len(confirmation.scores)})"


def _versus(row: Row) -> str:
    versus = row.versus_relu
    if versus is None:
        return ""
    text = f"{versus.difference:+.4f} [{versus.low:+.4f}, {versus.high:+.4f}]"
    return f"[bold green]{escape(text)}[/]" if versus.low > 0 else escape(text)


def facts(pairs: Mapping[str, Any], title: str = "") -> None:
    """Aligned name and value pairs."""
    if title:
        OUT.print(f"[bold]{escape(title)}[/]")
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        OUT.print(f"  {escape(name):<{width}}  {escape(str(value))}", soft_wrap=True)


def stage(title: str, text: str) -> None:
    """One stage of the compiler: a heading and its text, unwrapped."""
    OUT.print(f"[bold]{escape(title)}[/]")
    OUT.print(escape(text.rstrip()), soft_wrap=True)
    OUT.print()


def listing(rows: Sequence[tuple[str, ...]], headings: Sequence[str]) -> None:
    """A plain table."""
    table = Table(header_style="bold", box=box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    OUT.print(table)


def say(text: str) -> None:
    """One line on standard output, unwrapped."""
    OUT.print(escape(text), soft_wrap=True)


def note(text: str) -> None:
    """One line on standard error, unwrapped."""
    ERR.print(escape(text), soft_wrap=True)
