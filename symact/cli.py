"""Arguments -> one call per subcommand; no logic of its own.

Exit code 0 on success, 1 where the work failed, 2 where the arguments or a file are wrong. Errors
go to standard error, one clear line first; a traceback is shown with `--debug` only. Rooms are
imported inside the subcommands, so that `symact --help` needs neither torch nor SymPy.
"""

from __future__ import annotations

import enum
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from symact import __version__
from symact.errors import InputError, SymactError, printable

app = typer.Typer(
    name="symact",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog="A traceback of an unexpected error is shown with --debug.",
)
bench = typer.Typer(
    help="Tabular benchmarks: build, import, replay.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)
app.add_typer(bench, name="bench")


MOST = 10**9  # of any count
LAST_SEED = 2**32 - 1


class Stage(enum.StrEnum):
    """What `compile --show` can print."""

    canonical = "canonical"
    program = "program"
    gradient = "gradient"
    torch = "torch"
    triton = "triton"
    cost = "cost"
    latex = "latex"


class Equivalence(enum.StrEnum):
    """When two expressions are the same function."""

    exact = "exact"
    sampled = "sampled"
    float32 = "float32"


class ExecutorName(enum.StrEnum):
    """Where candidates are evaluated."""

    local = "local"
    ray = "ray"


class Start(enum.StrEnum):
    """What a replayed search begins with."""

    baselines = "baselines"
    random = "random"


GrammarOption = Annotated[str | None, typer.Option("--grammar", help="A grammar file, or the name of a shipped one.")]
AffineOption = Annotated[
    bool, typer.Option("--keep-affine", help="Try functions a*x + b as well, with which a network is a linear one.")
]
SpaceOption = Annotated[str | None, typer.Option("--space", help="A space of the grammar; the first by default.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of image data sets (default: $SYMACT_DATA).")]
OutputOption = Annotated[Path | None, typer.Option("--output", help="File to write.")]
RunArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.")]
WorkersOption = Annotated[int, typer.Option("--workers", min=0, max=1024, help="Worker processes; 0: in this process.")]
ExecutorOption = Annotated[ExecutorName, typer.Option("--executor", help="Where candidates are evaluated.")]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", min=0.01, help="Seconds per training, without the start of processes.")
]
MemoryOption = Annotated[float | None, typer.Option("--memory", min=0.01, help="GiB per worker process tree.")]
RayOption = Annotated[
    str | None, typer.Option("--ray-address", help="Ray cluster to join; by default one of its own is started here.")
]
CpusOption = Annotated[float | None, typer.Option("--cpus", min=0, help="CPUs per trial (Ray).")]
GpusOption = Annotated[
    float | None, typer.Option("--gpus", min=0, help="GPUs per worker, may be a fraction; 0 hides all.")
]
FreshOption = Annotated[bool, typer.Option("--fresh-workers", help="A process of its own for every training.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result alone: no progress, no hints.")]
BestOption = Annotated[int, typer.Option("--best", min=1, max=MOST, help="How many functions of a run folder.")]
SeedsOption = Annotated[int, typer.Option("--seeds", min=1, max=MOST, help="Trainings per function.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, max=LAST_SEED, help="Seed of the study.")]
OtherSeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed", min=0, max=LAST_SEED, help="Seed of the study; without, 0, or the next above those of the runs."
    ),
]
AgainstOption = Annotated[
    str | None,
    typer.Option("--against", metavar="EXPRESSION", help="The reference; without, relu(x), or SwiGLU among gates."),
]
EachSiteOption = Annotated[bool, typer.Option("--each-site", help="Each function at one activation site at a time.")]
HalvingOption = Annotated[bool, typer.Option("--halving", help="Stop bad candidates early (successive halving).")]
NewRunOption = Annotated[Path | None, typer.Option("--run", help="Run folder to create.")]
TrainOption = Annotated[
    list[str] | None, typer.Option("--train", metavar="KEY=VALUE", help="A setting of the task's training.")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the optimizer.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"symact {__version__}")
        raise typer.Exit


@app.callback()
def symact(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A compiler for activation functions, and a toolkit that discovers new ones."""


@app.command(
    "compile",
    short_help="Compile an expression, or a grammar to its distinct functions.",
    epilog='Examples: symact compile "x*sigmoid(x)" --show torch;  symact compile "x*sigmoid(beta*x)" --grammar '
    "ramachandran --output act.py;  symact compile grammars/aquasurf.toml --space large --output large.parquet",
)
def compile_(
    target: Annotated[str, typer.Argument(metavar="EXPRESSION|GRAMMAR.toml", help="What to compile.")],
    grammar: GrammarOption = None,
    space: SpaceOption = None,
    show: Annotated[Stage | None, typer.Option("--show", help="Print one stage of the compiler.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Compare with high precision.")] = False,
    certify: Annotated[
        bool, typer.Option("--certify", help="Every input, value and slope; --output FILE.json.")
    ] = False,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help="To certify: float32 (minutes); else bfloat16 and float16.")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", metavar="cpu|cuda", help="To certify on.")] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw function and derivative (.png, .svg, .pdf).")
    ] = None,
    equivalence: Annotated[Equivalence, typer.Option("--equivalence", help="For a grammar.")] = Equivalence.exact,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compile an expression to torch code, or a grammar to its distinct functions."""
    from symact.commands import compiled

    if compiled.is_grammar(target):
        _refuse(
            "compile",
            *(("--show", show), ("--check", check), ("--certify", certify), ("--plot", plot), ("--grammar", grammar)),
            *(("--dtype", dtype), ("--device", device)),
            of="a grammar",
        )
        compiled.show_grammar(target, space, equivalence.value, output, as_json)
    else:
        _refuse("compile", ("--space", space), of="an expression")
        if certify:
            from symact.commands import certifying

            _refuse("compile", ("--show", show), ("--check", check), ("--plot", plot), of="--certify")
            return certifying.show_certificate(target, grammar, dtype, device or "cpu", output, as_json)
        _refuse("compile", ("--dtype", dtype), ("--device", device), of="compile without --certify")
        compiled.show_expression(target, grammar, show and show.value, check, plot, output, as_json)


@app.command(
    short_help="Search for activation functions on a task.",
    epilog="Examples: symact search;  symact search evolution --task fashion-cnn --data DIR --evaluations 60;  "
    "symact search random --workers 2 --task my_task.py:MyTask --grammar aquasurf --space bench --run out/mine;  "
    "symact search evolution --task fashion-cnn --prune 50 --workers 2;  "
    "symact search evolution --task digits-deep --tune rate --tune initial_scale=0.5:2:log --evaluations 200;  "
    "symact search evolution --task digits-deep --site-groups '1-4;rest';  "
    "symact search surrogate --space large --warm-start out/mine --task fashion14-deep",
)
def search(
    optimizer: Annotated[str, typer.Argument(help="random, evolution, rl, surrogate or mixture.")] = "surrogate",
    grammar: Annotated[str, typer.Option("--grammar", help="A grammar file, or a shipped one.")] = "aquasurf",
    space: SpaceOption = None,
    task: Annotated[str, typer.Option("--task", help="A task's name, or FILE.py:Class.")] = "digits-shifted",
    evaluations: Annotated[
        int, typer.Option("--evaluations", min=1, max=MOST, help="Distinct functions to evaluate, baselines included.")
    ] = 60,
    seeds: SeedsOption = 1,
    seed: SeedOption = 0,
    batch: Annotated[int, typer.Option("--batch", min=1, max=MOST, help="Candidates asked at a time.")] = 8,
    workers: WorkersOption = 1,
    executor: ExecutorOption = ExecutorName.local,
    ray_address: RayOption = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    fresh_workers: FreshOption = False,
    timeout: TimeoutOption = None,
    memory: MemoryOption = None,
    asynchronous: Annotated[bool, typer.Option("--async", help="Do not wait for batches; not reproducible.")] = False,
    keep_affine: AffineOption = False,
    halving: HalvingOption = False,
    prune: Annotated[
        float | None,
        typer.Option(
            "--prune", metavar="PERCENT", help="Stop trainings that are not in the best PERCENT at a step (50: median)."
        ),
    ] = None,
    per_site: Annotated[
        bool, typer.Option("--per-site", help="A function of its own at each activation site.")
    ] = False,
    site_groups: Annotated[
        str | None,
        typer.Option(
            "--site-groups",
            metavar="GROUPS",
            help='Sites that share a function: "1-3;4", or names of modules: "layer1.*;rest".',
        ),
    ] = None,
    warm_start: Annotated[
        str | None,
        typer.Option("--warm-start", metavar="RUN", help="Begin with what another study learned (surrogate)."),
    ] = None,
    data: DataOption = None,
    run: NewRunOption = None,
    train: TrainOption = None,
    tune: Annotated[
        list[str] | None,
        typer.Option(
            "--tune",
            metavar="KEY[=RANGE]",
            help="Tune a setting of the training with the function; --evaluations is then 41 at least.",
        ),
    ] = None,
    fresh: Annotated[
        int | None, typer.Option("--fresh", min=1, max=1000, help="With --tune: seeds of the last stage (10).")
    ] = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Search for activation functions on a task; baselines come first, the best are confirmed last."""
    from symact.commands import searching

    where = {
        "workers": workers,
        "executor": executor.value,
        "ray_address": ray_address,
        "cpus": cpus,
        "gpus": gpus,
        "fresh_workers": fresh_workers,
        "data": data,
    }
    if tune:
        from symact.commands import tuning

        _refuse(
            "search",
            *(("--per-site", per_site), ("--site-groups", site_groups)),
            of="--tune, which looks for one function for all sites",
        )
        _refuse(
            "search",
            *(("--prune", prune), ("--halving", halving), ("--async", asynchronous), ("--memory", memory)),
            *(("--seeds (see --fresh)", seeds != 1), ("--warm-start", warm_start)),
            of="--tune",
        )
        return tuning.start(
            *(optimizer, grammar, space, keep_affine, task, run, tune),
            {
                **{"evaluations": evaluations, "seed": seed, "batch": batch, "fresh": fresh or 10, "data": data},
                **{"timeout": timeout, "train": _settings(train, "--train"), "settings": _settings(settings)},
            },
            _executor_settings(where),
            as_json,
            quiet,
        )
    _refuse("search", ("--fresh", fresh), of="a search without --tune")
    limits = {"timeout": timeout, "memory": memory}
    design = {"seed": seed, "repeats": seeds, "batch": batch, "asynchronous": asynchronous, "halving": halving}
    sites = {"per_site": per_site, "site_groups": site_groups}
    options = {**where, **limits, **design, **sites, "prune": prune, "train": _settings(train, "--train")}
    searching.start(
        optimizer, grammar, space, keep_affine, task, evaluations, run, options, _settings(settings), as_json, quiet,
        warm_start,
    )  # fmt: skip


@app.command(
    short_help="Go on with a study, after a stop or to add evaluations.",
    epilog="Example: symact resume out/mine --evaluations 200 --workers 2",
)
def resume(
    directory: RunArgument,
    evaluations: Annotated[int | None, typer.Option("--evaluations", min=1, max=MOST, help="New total.")] = None,
    task: Annotated[str | None, typer.Option("--task", help="FILE.py:Class, if the study has such a task.")] = None,
    workers: WorkersOption = 1,
    executor: ExecutorOption = ExecutorName.local,
    ray_address: RayOption = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    fresh_workers: FreshOption = False,
    data: DataOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Go on with a study after a stop, a crash, or to add evaluations."""
    from symact.commands import searching

    where = {
        "workers": workers,
        "executor": executor.value,
        "ray_address": ray_address,
        "cpus": cpus,
        "gpus": gpus,
        "fresh_workers": fresh_workers,
        "data": data,
    }
    from symact.integrations.tune_log import holds_tuning

    if holds_tuning(directory):
        from symact.commands import tuning

        _refuse("resume", ("--evaluations", evaluations), of="a tuned search, whose total is fixed")
        return tuning.go_on(directory, task, _executor_settings(where), data, as_json, quiet)
    searching.go_on(directory, evaluations, task, where, as_json, quiet)


@app.command(
    short_help="Train functions on the same seeds; which are better?",
    epilog='Examples: symact compare "gelu(x)" "x*tanh(exp(x))" --task digits-deep --workers 2;  '
    "symact compare --from out/mine --best 5 --task my_task.py:MyTask --against 'gelu(x)' --json",
)
def compare(
    functions: Annotated[list[str] | None, typer.Argument(metavar="EXPRESSION...", help="What to compare.")] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="A task's name, or FILE.py:Class; that of RUN by default, else digits-shifted."),
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="FILE|RUN",
            help="Expressions, one a line; or the best that a run found (without baselines, by their fresh seeds), "
            "trained as there unless --train says otherwise.",
        ),
    ] = None,
    best: BestOption = 10,
    atlas: Annotated[
        str | None, typer.Option("--atlas", help="Published functions: a family, or common, aquasurf, coatnet.")
    ] = None,
    grammar: GrammarOption = None,
    space: Annotated[str | None, typer.Option("--space", help="All functions of a space of the grammar.")] = None,
    against: AgainstOption = None,
    each_site: EachSiteOption = False,
    seeds: SeedsOption = 5,
    seed: OtherSeedOption = None,
    workers: WorkersOption = 1,
    executor: ExecutorOption = ExecutorName.local,
    ray_address: RayOption = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    fresh_workers: FreshOption = False,
    timeout: TimeoutOption = None,
    memory: MemoryOption = None,
    halving: HalvingOption = False,
    data: DataOption = None,
    train: TrainOption = None,
    run: NewRunOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train functions on the same seeds, and say which are better than a reference."""
    from symact.commands import comparing

    options = {
        **{"against": against, "each_site": each_site, "seeds": seeds, "seed": seed, "halving": halving},
        **{"workers": workers, "executor": executor.value, "ray_address": ray_address, "cpus": cpus, "gpus": gpus},
        **{"fresh_workers": fresh_workers, "timeout": timeout, "memory": memory, "data": data},
        "train": _settings(train, "--train"),
    }
    comparing.start(functions or [], sources or [], best, atlas, grammar, space, task, run, options, as_json, quiet)


@app.command(
    short_help="A run's best functions, and all baselines, on another task.",
    epilog="Example: symact transfer out/mine --task digits-deep --best 5 --workers 2",
)
def transfer(
    directory: RunArgument,
    task: Annotated[str, typer.Option("--task", help="Another task's name, or FILE.py:Class.")],
    best: BestOption = 10,
    against: AgainstOption = None,
    each_site: EachSiteOption = False,
    seeds: SeedsOption = 5,
    seed: OtherSeedOption = None,
    workers: WorkersOption = 1,
    executor: ExecutorOption = ExecutorName.local,
    ray_address: RayOption = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    fresh_workers: FreshOption = False,
    timeout: TimeoutOption = None,
    memory: MemoryOption = None,
    halving: HalvingOption = False,
    data: DataOption = None,
    train: TrainOption = None,
    run: NewRunOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare the best functions of a run, and all baselines, on another task."""
    from symact.commands import comparing

    options = {
        **{"against": against, "each_site": each_site, "seeds": seeds, "seed": seed, "halving": halving},
        **{"workers": workers, "executor": executor.value, "ray_address": ray_address, "cpus": cpus, "gpus": gpus},
        **{"fresh_workers": fresh_workers, "timeout": timeout, "memory": memory, "data": data},
        "train": _settings(train, "--train"),
    }
    comparing.transfer(directory, best, task, run, options, as_json, quiet)


@app.command(epilog="Example: symact top out/mine -n 20")
def top(
    directory: RunArgument,
    shown: Annotated[int, typer.Option("-n", min=0, max=MOST, help="How many; 0: all.")] = 10,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values and nothing else.")] = False,
) -> None:
    """The best functions that a study found, with seeds and spread."""
    from symact.commands import studies
    from symact.integrations.tune_log import holds_tuning

    if holds_tuning(directory):
        from symact.commands import tuning

        _refuse("top", ("--csv", as_csv), of="a tuned search")
        return tuning.show(directory, as_json)
    studies.show_top(directory, shown, as_json, as_csv)


@app.command(
    short_help="Write a function as a module that needs torch alone.",
    epilog='Examples: symact export out/mine --output best.py;  symact export "x*sigmoid(x)" --output act.onnx;  '
    "symact export out/per-site --site 2 --output second.py",
)
def export(
    target: Annotated[str, typer.Argument(metavar="DIR|EXPRESSION", help="A run folder (its best), or an expression.")],
    output: Annotated[Path, typer.Option("--output", help="FILE.py or FILE.onnx.")],
    grammar: GrammarOption = None,
    site: Annotated[int | None, typer.Option("--site", min=1, help="Take what this site learned (from 1).")] = None,
) -> None:
    """Write a function as a standalone module that needs torch alone, or as ONNX; functions of sites as a file each."""
    from symact.commands import studies

    studies.export(target, output, grammar, site)


@app.command(
    short_help="Write a self-contained HTML page about studies.",
    epilog="Examples: symact report out/mine out/random --output report.html;  symact report out/mine --live",
)
def report(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run folders.")],
    output: OutputOption = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", metavar="DIR", help="Write every figure there, as SVG and as PDF.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Serve the page on this machine, renewed while studies run.")
    ] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Of --live; 0: any that is free.")] = 0,
) -> None:
    """Write one self-contained HTML page about one or more studies."""
    from symact.commands import studies

    if live:
        _refuse("report", ("--output", output), ("--figures", figures), of="--live")
        studies.serve_report(directories, port)
    else:
        _refuse("report", ("--port", port), of="a page without --live")
        studies.write_report(directories, output, figures)


@app.command(
    short_help="Which published function an expression is.",
    epilog='Examples: symact identify "x*(1+tanh(x))/2";  symact identify "x*sigmoid(beta*x)" --grammar ramachandran',
)
def identify(
    expression: Annotated[str, typer.Argument(metavar="EXPRESSION", help="Parameters count at their initial values.")],
    grammar: GrammarOption = None,
    as_json: JsonOption = False,
) -> None:
    """Which published function an expression is: exactly, up to an affine map, or nearly."""
    from symact.commands import atlas as published

    published.show_matches(expression, grammar, as_json)


@app.command(
    short_help="Published activation functions, with years and sources.",
    epilog="Examples: symact atlas serf;  symact atlas --family gated --year 2020-2022;  symact atlas --find tanh",
)
def atlas(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A key, a name or an alias; all by default.")
    ] = None,
    family: Annotated[str | None, typer.Option("--family", help="Functions of one family.")] = None,
    year: Annotated[str | None, typer.Option("--year", metavar="YEAR|FROM-TO", help="Published then.")] = None,
    find: Annotated[str | None, typer.Option("--find", metavar="TEXT", help="In names, formulas and sources.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Published activation functions: formulas, years, sources, and which of them are one function."""
    from symact.commands import atlas as published

    if name is None:
        published.show_list(family, year, find, as_json)
    else:
        _refuse("atlas", ("--family", family), ("--year", year), ("--find", find), of="a name")
        published.show_one(name, as_json)


@app.command(
    short_help="Is this machine in order, and how fast is it?", epilog="Example: symact doctor --json > machine.json"
)
def doctor(
    device: Annotated[str | None, typer.Option("--device", metavar="cpu|cuda", help="All that are there.")] = None,
    size: Annotated[int | None, typer.Option("--size", min=1, max=2**31, help="Elements that are timed.")] = None,
    dtype: Annotated[str, typer.Option("--dtype", help="Of what is timed: float32, bfloat16 or float16.")] = "float32",
    as_json: JsonOption = False,
) -> None:
    """Is this machine in order: versions, compiler, devices, every function on them, and how fast they are."""
    from symact.commands import doctor as examination

    examination.examine(device, size, dtype, as_json)


@app.command()
def tasks(as_json: JsonOption = False) -> None:
    """The tasks that are there."""
    from symact.commands import catalogue

    catalogue.show_tasks(as_json)


@app.command()
def grammars(
    functions: Annotated[bool, typer.Option("--functions", help="What a formula may call.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The grammars that are shipped, and their spaces."""
    from symact.commands import catalogue

    catalogue.show_functions(as_json) if functions else catalogue.show_grammars(as_json)


@bench.command(
    "build",
    epilog="Example: symact bench build --task fashion14-deep --grammar aquasurf --space bench --output t.parquet",
)
def bench_build(
    task: Annotated[str, typer.Option("--task")],
    output: Annotated[Path, typer.Option("--output", help="TABLE.parquet")],
    grammar: Annotated[str, typer.Option("--grammar")] = "aquasurf",
    space: SpaceOption = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=MOST, help="Trainings per function.")] = 1,
    keep_affine: AffineOption = False,
    workers: WorkersOption = 0,
    data: DataOption = None,
) -> None:
    """Train every distinct usable function of a space; goes on where it stopped."""
    from symact.commands import benches

    benches.build(task, grammar, space, keep_affine, seeds, workers, data, output)


@bench.command("import", epilog="Example: symact bench import act-bench.json.gz --output table.parquet")
def bench_import(
    source: Annotated[Path, typer.Argument(metavar="FILE.json|FILE.json.gz")],
    output: Annotated[Path, typer.Option("--output", help="TABLE.parquet")],
    layer_weights: Annotated[str | None, typer.Option("--layer-weights", metavar="W1,W2,...")] = None,
) -> None:
    """Read AQuaSurF's published benchmark format."""
    from symact.commands import benches

    benches.import_table(source, layer_weights, output)


@bench.command(
    "replay", epilog="Example: symact bench replay surrogate --table t.parquet --evaluations 100 --repeats 20"
)
def bench_replay(
    optimizer: Annotated[str, typer.Argument(help="random, evolution, rl or surrogate.")],
    table: Annotated[Path, typer.Option("--table", help="TABLE.parquet")],
    evaluations: Annotated[int, typer.Option("--evaluations", min=1, max=MOST)] = 100,
    repeats: Annotated[int, typer.Option("--repeats", min=1, max=MOST, help="Whole searches.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, max=LAST_SEED)] = 0,
    start: Annotated[Start, typer.Option("--start")] = Start.baselines,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run an optimizer on a table instead of on a task, in seconds."""
    from symact.commands import benches

    benches.replay(optimizer, table, evaluations, repeats, seed, start.value, _settings(settings), as_json)


def _refuse(command: str, *options: tuple[str, Any], of: str) -> None:
    for name, value in options:
        if value:
            raise InputError(f"{name} does not go with {of}; see symact {command} --help")


def _executor_settings(where: dict[str, Any]) -> dict[str, Any]:
    """Where candidates are evaluated, as `ExecutorSettings` has it."""
    return {"fresh": where["fresh_workers"]} | {k: v for k, v in where.items() if k not in ("fresh_workers", "data")}


def _settings(pairs: list[str] | None, option: str = "--set") -> dict[str, Any]:
    settings = {}
    for pair in pairs or ():
        key, separator, value = pair.partition("=")
        if not separator or not key.isidentifier():
            raise InputError(f"{option} {pair}: expected KEY=VALUE")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return settings


def _protect_leading_minus(arguments: list[str]) -> list[str]:
    """An expression may begin with a minus; a blank before it keeps it from being read as options."""
    if not arguments or arguments[0] not in ("compile", "export", "compare", "transfer", "identify"):
        return arguments
    return [f" {a}" if a.startswith("-") and not a.startswith("--") and a not in ("-", "-q") else a for a in arguments]


def main() -> NoReturn:
    """The entry point `symact`."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    arguments = _protect_leading_minus([argument for argument in arguments if argument != "--debug"])
    try:
        result = app(arguments, standalone_mode=False, prog_name="symact")
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except SymactError as error:
        if debug:
            raise
        code = _complain(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("stopped", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        code = _usage_error(error)
        if not code and debug:
            raise
        if not code:
            what = " ".join(str(error).split()) or "no message"
            code = _complain(f"unexpected {type(error).__name__}: {what}", 1, "--debug shows where")
    raise SystemExit(code)


def _usage_error(error: Exception) -> int:
    """Complain about wrong arguments; 0 where `error` is something else.

    Typer brings its own copy of click in some versions, so its errors are known by their methods.
    """
    if not hasattr(error, "format_message"):
        return 0
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "symact"
    if type(error).__name__ == "NoArgsIsHelpError":
        print(context.get_help() if context is not None else command, file=sys.stderr)
        return 2
    # "Value error" is what the validator behind some versions of Typer puts before its own words.
    message = error.format_message().replace("Value error, ", "").rstrip(".")
    return _complain(message, 2, f"try: {command} --help")


def _complain(message: str, code: int, hint: str = "") -> int:
    message = printable(message, "\n")
    print(f"symact: {message}" + (f"\n{hint}" if hint else ""), file=sys.stderr)
    return code
