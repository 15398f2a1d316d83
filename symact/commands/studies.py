"""`symact top`, `report` and `export`: reading a study that is there, or is still running."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from symact.errors import FormulaError, InputError, SymactError
from symact.expr.tree import Expr
from symact.files import check_output
from symact.records import Trial
from symact.report import console
from symact.report.frames import csv_text
from symact.report.leaderboard import Row, leaderboard, winner
from symact.store import Settings, Store, holds_study

Constants: TypeAlias = Mapping[str, Any]


def show_top(run: Path, shown: int, as_json: bool, as_csv: bool = False) -> None:
    """Print the leaderboard of a run folder; `shown` 0 means all of it."""
    if as_json and as_csv:
        raise InputError("--json and --csv: choose one of them")
    with Store.open(run) as store:
        rows = leaderboard(store.trials(), store.confirmations())
    if as_csv:
        print(csv_text([row.flat() for row in (rows if shown == 0 else rows[:shown])]), end="")
    else:
        show_rows(rows, shown, store.settings, run, as_json)


def show_rows(rows: Sequence[Row], shown: int, settings: Settings, run: Path, as_json: bool) -> None:
    """Print a leaderboard, as a table or as JSON."""
    if as_json:
        limited = rows if shown == 0 else rows[:shown]
        metric = asdict(settings.metric)
        head = {"run": str(run), "task": settings.task.name, "metric": metric.pop("name"), **metric}
        console.document({**head, "trials": [row.document() for row in limited]})
    else:
        title = f"{settings.optimizer} on {settings.task.shown}: {len(rows)} functions"
        console.top(rows, shown, title, settings.metric)


def write_report(runs: Sequence[Path], output: Path | None, figures: Path | None = None) -> None:
    """Write the HTML page of run folders, by default into the first of them; or their figures into a folder."""
    from symact.report.page import write_page
    from symact.report.view import read_view

    views = [read_view(run) for run in runs]
    if figures is not None:
        from symact.report.figures import write_figures

        with console.bar("drawing the figures"):
            written = write_figures(views, figures)
        console.say(f"wrote {len(written)} files into {figures}")
        if output is None:
            return
    target = output if output is not None else Path(runs[0]) / "report.html"
    check_output(target, (".html", ".htm"))
    with console.bar("drawing the report") as update:
        write_page(views, target, update)
    console.say(f"wrote {target}")


def serve_report(runs: Sequence[Path], port: int) -> None:
    """Serve the page of run folders on this machine, and renew it while their studies run; ends with Ctrl-C."""
    from symact.report.live import server

    with server(runs, port) as serving:
        console.say(f"http://127.0.0.1:{serving.server_address[1]}/ shows the report; Ctrl-C ends it")
        with contextlib.suppress(KeyboardInterrupt):
            serving.serve_forever()


def export(target: str, output: Path, grammar: str | None, site: int | None = None) -> None:
    """Write the best function of a run folder, or an expression, as a file to take home.

    Where the sites of the network have learned different values, a module holds those of all of them.

    Args:
        target: a run folder, or an expression.
        output: the file.
        grammar: of an expression.
        site: of a run folder, the one site whose function and values are taken, counted from 1.
    """
    from symact.export.files import write
    from symact.expr.tree import parse
    from symact.program.loading import load_grammar

    check_output(output, (".py", ".onnx"))
    if Path(target.strip()).is_dir():
        expr, constants, sites = _learned(target, best_row(Path(target.strip())).trial, site)
        if sites and output.suffix == ".onnx":
            raise InputError(
                f"{target}: its {len(sites)} sites have learned different values, and {output} holds one function; "
                f"choose --site 1 to {len(sites)}"
            )
    else:
        if site is not None:
            raise InputError(f"{target.strip()}: --site is for a run folder")
        sites = ()
        try:
            expr, constants = parse(target, load_grammar(grammar) if grammar else None), {}
        except FormulaError as error:
            raise InputError(f"{target.strip()}: no run folder, and no expression either: {error}") from None
    write(expr, output, constants, sites=sites)
    console.say(f"wrote {output}: {expr}")
    if sites:
        console.say(f"its parameters start as in the search; site(1) to site({len(sites)}) have what was learned there")


def _learned(run: str, trial: Trial, site: int | None) -> tuple[Expr, Constants, tuple[Constants, ...]]:
    """The function of a trial, the values of its parameters, and those of each site where they differ.

    Raises:
        InputError: the sites have functions of their own and none was chosen, or there is no such site.
    """
    per_site: tuple[Constants, ...] = next((tuple(map(dict, o.constants)) for o in trial.outcomes if o.constants), ())
    own = trial.candidate if isinstance(trial.candidate, tuple) else ()
    count = len(own) or len(per_site)
    if site is not None:
        if not 1 <= site <= count:
            raise InputError(f"{run}: --site {site}: " + (f"it has sites 1 to {count}" if count else "it has none"))
        return own[site - 1] if own else trial.candidate, per_site[site - 1] if per_site else {}, ()
    if own:
        raise InputError(f"{run}: the best candidate has one function per site; choose --site 1 to {count}")
    alike = all(values == per_site[0] for values in per_site)
    return trial.candidate, per_site[0] if per_site and alike else {}, () if alike else per_site


def best_row(run: Path) -> Row:
    """The winner of a run folder: the best on fresh seeds where there are any, else in the search.

    Raises:
        InputError: `run` holds no study.
        SymactError: no trial of it finished.
    """
    if not holds_study(run):
        raise InputError(f"{run}: there is no study here; give a run folder of `symact search`")
    with Store.open(run) as store:
        rows = leaderboard(store.trials(), store.confirmations())
    best = winner(rows)
    if best is None:
        raise SymactError(f"{run}: no function has finished yet")
    return best
