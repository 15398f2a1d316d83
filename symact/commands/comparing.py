"""`symact compare` and `symact transfer`: which of these functions is better on this task, and is it luck."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symact.commands.watching import fresh_folder, run_to_its_end
from symact.errors import FormulaError, InputError, SymactError, counted
from symact.expr.grammar import Grammar
from symact.expr.per_site import parse_candidate
from symact.records import Status
from symact.report import console
from symact.report.comparison import Comparison
from symact.report.leaderboard import leaderboard
from symact.store import Store, TaskSettings, holds_study

TASK = "digits-shifted"  # of a comparison where nobody names one
MAXIMUM_BYTES = 10_000_000  # of a file of expressions


@dataclass(frozen=True)
class _Run:
    """What a comparison takes from a run folder.

    Attributes:
        folder: as it was given.
        grammar: of its functions.
        found: the best functions that it found, without baselines; those with fresh seeds first, by these.
        task: with the settings of its training.
        seed: of the study, by whose trainings the functions were chosen.
        data: root folder of its data sets, or None.
        baselines: that its task declares.
    """

    folder: str
    grammar: Grammar
    found: list[Any]
    task: TaskSettings
    seed: int
    data: str | None
    baselines: tuple[str, ...]


def start(
    functions: Sequence[str],
    sources: Sequence[str],
    best: int,
    atlas: str | None,
    grammar: str | None,
    space: str | None,
    task: str | None,
    run: Path | None,
    options: Mapping[str, Any],
    as_json: bool,
    quiet: bool,
) -> None:
    """Begin a comparison, run it to its end, and print its table.

    Args:
        functions: expressions.
        sources: files of expressions and run folders.
        best: how many functions of each run folder.
        atlas: a list of published functions (`symact.catalog.lists`), or one of their families.
        grammar: whose operators the expressions name.
        space: of the grammar, all of whose distinct functions are compared.
        task: a task's name, or `FILE.py:Class`; None takes that of the run folders.
        run: the run folder; None makes one under `out/`.
        options: the other arguments of `symact.compare`; what they leave open is that of the run folders.
        as_json: print the table as JSON.
        quiet: tell nothing before the table.

    Raises:
        InputError: an argument or a file is wrong, or `run` holds a study.
        SymactError: the task does not work, or nothing finished.
    """
    if not sources:  # whose runs have grammars and tasks
        _check_words(functions, grammar, task)
    chosen, found, runs = _gathered(sources, best, grammar, space)
    task, options = _as_there(runs, task, options, quiet)
    if atlas is not None:
        from symact.catalog.lists import listed

        found += listed(atlas)
    _begin([*functions, *found], chosen, task, run, options, as_json, quiet, "compare")


def transfer(
    source: Path,
    best: int,
    task: str,
    run: Path | None,
    options: Mapping[str, Any],
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare the best functions of a run folder with all baselines on another task."""
    from symact.study.baselines import BASELINES, SHOWN_BASELINES

    of = _read(str(source), best)
    task, options = _as_there([of], task, options, quiet)
    others = of.baselines if len(of.grammar.inputs) > 1 else (*(of.baselines or BASELINES), *SHOWN_BASELINES)
    _begin([*of.found, *others], of.grammar, task, run, options, as_json, quiet, "transfer")


def finish(study: Any, folder: Path, as_json: bool, quiet: bool) -> None:
    """Run a comparison that has begun to its end, and print its table.

    Raises:
        SymactError: no function finished.
    """
    from symact.study.comparing import finished, goal

    with study:
        run_to_its_end(study, goal(study), folder, quiet)
        table = finished(study)
    if as_json:
        console.document({"run": str(folder), **table.document()})
    else:
        show(table)
    if table.best is None:
        raise SymactError(f"no function finished; `symact top {shlex.quote(str(folder))} -n 0` tells why each failed")


def show(table: Comparison) -> None:
    """Print a comparison as a table of at most 80 columns; what failed stands below with its reason."""
    finished = [row for row in table.rows if row.trial is not None and row.trial.score is not None]
    failed = [row for row in table.rows if row.trial is None or row.trial.score is None]
    console.compared([table.cells(row) for row in finished], f"{counted(len(table.rows), 'function')} on {table.title}")
    for line in table.notes():
        console.say(line)
    for row in failed:
        reason = row.trial.reason if row.trial is not None else "not evaluated yet"
        at = f" at site {row.site}" if row.site else ""
        console.say(f"{row.expression}{at}: {row.status}: {reason}")


def _begin(
    functions: Sequence[Any],
    grammar: Grammar | None,
    task: str,
    run: Path | None,
    options: Mapping[str, Any],
    as_json: bool,
    quiet: bool,
    what: str,
) -> None:
    from symact.study.comparing import begin

    folder = run if run is not None else fresh_folder(what, task)
    with console.bar("trying the task once"):
        study = begin(functions, task, grammar=grammar, run=folder, **options)
        study.prepare()
    if not as_json and not quiet:
        given, each = counted(len(study.settings.given), "function"), counted(study.settings.repeats, "seed")
        console.say(f"{given} on {study.settings.task.shown}, {each} each -> {folder}")
    finish(study, folder, as_json, quiet)


def _check_words(functions: Sequence[str], grammar: str | None, task: str | None) -> None:
    """Refuse what is misspelt before anything large is imported, or the task's data is.

    Raises:
        InputError: an expression or the grammar cannot be read, or there is no such task.
    """
    from symact.study.comparing import grammar_of, read
    from symact.tasks import TASKS

    if task is not None and ".py" not in task:
        TASKS.checked(task)
    chosen = grammar_of(grammar, gated=True)  # whether the task has gates is not known before it is loaded
    for function in functions:
        read(function, chosen, "functions")


def _gathered(
    sources: Sequence[str], best: int, grammar: str | None, space: str | None
) -> tuple[Grammar | None, list[Any], list[_Run]]:
    """The grammar of a comparison, the functions of its files, run folders and space, and what these folders are."""
    from symact.equivalence import distinct
    from symact.program.loading import load_grammar

    chosen = load_grammar(grammar) if grammar is not None else None
    found: list[Any] = []
    runs: list[_Run] = []
    for source in sorted(sources, key=lambda source: not Path(source).is_dir()):
        if Path(source).is_dir():
            own = _read(source, best)
            if chosen is not None and chosen.text != own.grammar.text:
                raise InputError(f"--from {source}: its grammar is another than that of what is compared with it")
            chosen = own.grammar
            runs.append(own)
            found += own.found
        else:
            found += _lines(source, chosen)
    if space is not None:
        if chosen is None:
            raise InputError(f"--space {space}: name its grammar with --grammar")
        found += distinct(chosen.space(space))
    return chosen, found, runs


def _read(source: str, best: int) -> _Run:
    """What a run folder holds.

    Raises:
        InputError: there is no study, or no function has finished.
    """
    from symact.integrations.tune_log import TuneLog, holds_tuning
    from symact.integrations.tune_view import tuning_view
    from symact.program.loading import parse_grammar

    if holds_tuning(source):
        view, plan = tuning_view(Path(source)), TuneLog(source, writing=False).header
        rows = leaderboard(view.trials, view.confirmations)
        grammar, task, seed = plan["grammar"], TaskSettings(**plan["task"]), plan["seed"]
        data, baselines = plan["data"], plan["baselines"]
    elif holds_study(source):
        with Store.open(source) as store:
            rows, of = leaderboard(store.trials(), store.confirmations()), store.settings
        grammar, task, seed, data, baselines = of.grammar, of.task, of.seed, of.data, of.baselines
    else:
        raise InputError(f"{source}: there is no study here; give a run folder of `symact search`")
    done = [row.trial for row in rows if row.trial.status is Status.finished and row.trial.origin != "baseline"]
    if not done:
        raise InputError(f"{source}: no function has finished yet")
    found = [trial.candidate for trial in done[:best]]
    return _Run(source, parse_grammar(grammar), found, task, seed, data, tuple(baselines))


def _as_there(
    runs: Sequence[_Run], task: str | None, options: Mapping[str, Any], quiet: bool
) -> tuple[str, dict[str, Any]]:
    """The task of a comparison, and its options: trained as in the run folders, where the task is theirs.

    The seed is above those of all runs of the task: on the trainings that chose it, or those of a comparison before it,
    a function has had luck.

    Raises:
        InputError: the task has to be named, or the folders have trained it in different ways.
    """
    from symact.execute.task_loading import describe

    task = _task_of(runs) if task is None else task
    named, given = describe(task)[0], dict(options["train"])
    alike = [run for run in runs if (run.task.kind, run.task.name) == (named.kind, named.name)]
    same = [run for run in alike if run.task.identity == named.identity]
    train: dict[str, Any] = {}
    for number, run in enumerate(same):
        own = {name: value for name, value in run.task.train.items() if name not in given}
        if number and own != train:
            raise InputError(
                f"--from {same[0].folder} and --from {run.folder} were trained in different ways ("
                f"{_text(train)}; {_text(own)}): say by --train which settings are to hold"
            )
        train = own
    if not quiet:
        for run in runs:
            how = f", trained as there ({_text(train)})" if run in same and train else ""
            best = counted(len(run.found), "best function")
            console.note(f"{run.folder}: its {best}, without baselines, on {named.name}{how}")
            if run in alike and run not in same:
                console.note(
                    f"{run.folder}: its task {named.name} is of another file, or of this one before it was edited "
                    f"(SHA-256 {run.task.sha256[:12]}..., now {named.sha256[:12]}...): its settings are not taken over"
                )
    data = options["data"] or next((run.data for run in same if run.data), None)
    taken, seed = {run.seed for run in alike}, options["seed"]
    if seed is None:
        seed = max(taken, default=-1) + 1
    elif seed in taken and not quiet:
        console.note(f"--seed {seed} is that of the search: functions that had luck on it look better than they are")
    return task, {**options, "train": {**train, **given}, "data": data, "seed": seed}


def _task_of(runs: Sequence[_Run]) -> str:
    """The task that all run folders share, by its name."""
    tasks = {(run.task.kind, run.task.name): run for run in runs}
    if len(tasks) > 1:
        raise InputError(f"the run folders have different tasks ({', '.join(name for _, name in tasks)}): give --task")
    for (kind, name), run in tasks.items():
        if kind != "name":
            how = f"--task FILE.py:{name}" if kind == "file" else "--task"
            raise InputError(f"--from {run.folder}: its task is the {kind} task {name!r}; name it with {how}")
        return name
    return TASK


def _text(train: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in train.items()) or "the task's own settings"


def _lines(source: str, grammar: Grammar | None) -> list[Any]:
    """The expressions of a file, one a line; blank lines and those that begin with # are passed over."""
    try:
        raw = Path(source).read_bytes()
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"--from {source}: not UTF-8 text") from None
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        raise InputError(
            f"--from {source}: cannot be read ({what}); give a file of expressions or a run folder"
        ) from None
    if len(raw) > MAXIMUM_BYTES:
        raise InputError(f"--from {source}: larger than {MAXIMUM_BYTES:,} bytes")
    found: list[Any] = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if line and not line.startswith("#"):
            try:
                found.append(parse_candidate(line, grammar))
            except FormulaError as error:
                raise InputError(f"{source}:{number}: {error}") from None
    if not found:
        raise InputError(f"--from {source}: there is no expression in it")
    return found
