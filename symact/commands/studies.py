"""`symact top`, `report` and `export`: reading a study that is there, or is still running."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from symact.errors import FormulaError, InputError, SymactError, counted
from symact.expr.per_site import same_sites
from symact.expr.tree import Expr, site_numbers
from symact.files import check_output
from symact.records import Trial
from symact.report import console
from symact.report.frames import csv_text
from symact.report.leaderboard import Row, leaderboard, winner
from symact.report.running import running_documents, training_text
from symact.store import Settings, Store, holds_study
from symact.store.running import Running, read_running

if TYPE_CHECKING:
    from symact.report.view import StudyView

Constants: TypeAlias = Mapping[str, Any]


def show_top(run: Path, shown: int, as_json: bool, as_csv: bool = False) -> None:
    """Print the leaderboard of a run folder; `shown` 0 means all of it."""
    if as_json and as_csv:
        raise InputError("--json and --csv: choose one of them")
    running = read_running(run)
    with Store.open(run) as store:
        rows = leaderboard(store.trials(), store.confirmations())
    if as_csv:
        print(csv_text([row.flat() for row in (rows if shown == 0 else rows[:shown])]), end="")
    else:
        show_rows(rows, shown, store.settings, run, as_json, running)


def show_rows(
    rows: Sequence[Row],
    shown: int,
    settings: Settings,
    run: Path,
    as_json: bool,
    running: Sequence[Running] | None = None,
) -> None:
    """Print a leaderboard, as a table or as JSON, with what is in training; `running` None is a search at rest."""
    if as_json:
        limited = rows if shown == 0 else rows[:shown]
        metric = asdict(settings.metric)
        named = {"task": settings.task.name, "title": settings.task.shown}
        head = {"run": str(run), **named, "metric": metric.pop("name"), **metric}
        trials = [row.document() for row in limited]
        console.document({**head, "running": running_documents(running), "trials": trials})
    else:
        title = f"{settings.optimizer} on {settings.task.shown}: {counted(len(rows), 'function')}"
        console.top(rows, shown, title, settings.metric)
        for training in running or ():
            console.say(f"in training: {training.expression}: {training_text(training, settings.metric)}")


def write_report(runs: Sequence[Path], output: Path | None, figures: Path | None = None) -> None:
    """Write the HTML page of run folders, by default into the first of them; or their figures into a folder."""
    from symact.report.page import write_page

    views = [view(run) for run in runs]
    if figures is not None:
        from symact.report.figures import write_figures

        with console.bar("drawing the figures"):
            written = write_figures(views, figures)
        console.say(f"wrote {counted(len(written), 'file')} into {figures}")
        if output is None:
            return
    target = output if output is not None else Path(runs[0]) / "report.html"
    check_output(target, (".html", ".htm"))
    with console.bar("drawing the report") as update:
        write_page(views, target, update)
    console.say(f"wrote {target}")


def view(run: Path) -> StudyView:
    """A study, or a tuned search, as a report shows it."""
    from symact.integrations.tune_log import holds_tuning
    from symact.integrations.tune_view import tuning_view
    from symact.report.view import read_view

    return tuning_view(run) if holds_tuning(run) else read_view(run)


def serve_report(runs: Sequence[Path], port: int) -> None:
    """Serve the page of run folders on this machine, and renew it while their studies run; ends with Ctrl-C."""
    from symact.report.live import server

    with server(runs, port, view) as serving:
        console.say(f"http://127.0.0.1:{serving.server_address[1]}/ shows the report; Ctrl-C ends it")
        with contextlib.suppress(KeyboardInterrupt):
            serving.serve_forever()


def export(target: str, output: Path, grammar: str | None, site: int | None = None) -> None:
    """Write the best function of a run folder, or an expression, as a file to take home.

    Where the sites of the network have learned different values, a module holds those of all of them. Where they have
    functions of their own, each of these is a file, named after its sites.

    Args:
        target: a run folder, or an expression.
        output: the file.
        grammar: of an expression.
        site: of a run folder, the one site whose function and values are taken, counted from 1.
    """
    from symact.expr.tree import parse
    from symact.integrations.tune_log import holds_tuning
    from symact.program.loading import load_grammar

    check_output(output, (".py", ".onnx"))
    if Path(target.strip()).is_dir():
        if holds_tuning(target.strip()):
            return _export_tuned(target.strip(), output, site)
        run = Path(target.strip())
        parts = _learned(target, best_row(run).trial, site, _site_count(run))
        for expr, sites in parts if output.suffix == ".onnx" else ():
            _check_alike(target, expr, sites)
        for expr, sites in parts:
            whole = len(parts) == 1
            _write(expr, output if whole else output.with_stem(f"{output.stem}-{_place(sites)}"), sites)
        return
    if site is not None:
        raise InputError(f"{target.strip()}: --site is for a run folder")
    try:
        expr = parse(target, load_grammar(grammar) if grammar else None)
    except FormulaError as error:
        raise InputError(f"{target.strip()}: no run folder, and no expression either: {error}") from None
    from symact.export.files import write  # it brings torch, which what is misspelt need not wait for

    write(expr, output)
    console.say(f"wrote {output}: {expr}")


def _export_tuned(run: str, output: Path, site: int | None) -> None:
    """Write the winner of a tuned search, with the settings at which it was best."""
    from symact.export.files import write
    from symact.integrations.tune_view import tuned_winner

    if site is not None:
        raise InputError(f"{run}: --site is for a search without --tune; what sites learn is not kept when tuning")
    best, settings = tuned_winner(Path(run))
    expr = best.trial.candidate
    at = f"at {settings}" if "=" in settings else "at the task's own settings"
    write(expr, output, note=f"It was the best of a tuned search, trained {at}.")
    console.say(f"wrote {output}: {expr}")
    console.say(f"it was best {at}" + ("; its parameters start as in the search" if expr.parameters else ""))


def _check_alike(run: str, expr: Expr, sites: Mapping[int, Constants]) -> None:
    """Refuse to write as one model what has learned different values.

    Raises:
        InputError: naming the sites.
    """
    if not _alike(sites):
        raise InputError(
            f"{run}: its {len(sites)} sites have learned different values for {expr}, and an ONNX file holds one "
            f"function; choose --site {_listed(sites, '{}')}"
        )


def _alike(sites: Mapping[int, Constants]) -> bool:
    listed = list(sites.values())
    return all(values == listed[0] for values in listed)


def _listed(sites: Mapping[int, Constants], form: str) -> str:
    """Sites in words: `1 to 3`, `1, 3`."""
    numbers = sorted(sites)
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{form.format(numbers[0])} to {form.format(numbers[-1])}"
    return ", ".join(map(form.format, numbers))


def _place(sites: Mapping[int, Constants]) -> str:
    """Sites as a part of a file's name: `sites-1-3_5`."""
    return f"site{'s' * (len(sites) > 1)}-{site_numbers(sorted(sites)).replace(', ', '_')}"


def _write(expr: Expr, output: Path, sites: Mapping[int, Constants]) -> None:
    """Write one function of a run, with what the sites where it stands have learned."""
    from symact.export.files import write

    alike = _alike(sites)
    write(expr, output, next(iter(sites.values()), {}) if alike else {}, sites={} if alike else sites)
    console.say(f"wrote {output}: {expr}")
    if not alike:
        console.say(f"its parameters start as in the search; {_listed(sites, 'site({})')} have what was learned there")


def _site_count(run: Path) -> int:
    """How many sites the network of a run has, as far as its candidates or what they learned tell; else 0."""
    with Store.open(run) as store:
        trials = store.trials()
    own = [len(trial.candidate) for trial in trials if isinstance(trial.candidate, tuple)]
    return max([0, *own, *(len(outcome.constants) for trial in trials for outcome in trial.outcomes)])


def _learned(run: str, trial: Trial, site: int | None, count: int) -> list[tuple[Expr, Mapping[int, Constants]]]:
    """The functions of a trial, each with what was learned at its sites, counted from 1.

    Args:
        run: for the message.
        trial: what was found.
        site: the one site that is wanted, or None for all.
        count: how many sites there are; 0 if nothing tells.

    Raises:
        InputError: there is no such site, or nothing tells which there are.
    """
    values: tuple[Constants, ...] = next((tuple(map(dict, o.constants)) for o in trial.outcomes if o.constants), ())
    own = trial.candidate if isinstance(trial.candidate, tuple) else ()
    if site is not None:
        if not count:
            raise InputError(f"{run}: --site {site}: {trial.candidate} is the same at all sites; leave out --site")
        if not 1 <= site <= count:
            raise InputError(f"{run}: --site {site}: it has sites 1 to {count}")
        return [(own[site - 1] if own else trial.candidate, {site: values[site - 1] if values else {}})]
    if not own:
        return [(trial.candidate, dict(enumerate(values, 1)))]
    return [
        (function, {number: values[number - 1] if values else {} for number in numbers})
        for function, numbers in same_sites(own)
    ]


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
