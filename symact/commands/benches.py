"""`symact bench build`, `import` and `replay`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symact.errors import InputError, counted
from symact.files import check_output
from symact.report import console


def build(
    task: str,
    grammar: str,
    space: str | None,
    affine: bool,
    seeds: int,
    workers: int,
    data: Path | None,
    output: Path,
) -> None:
    """Train every distinct usable function of a space and write the table.

    Raises:
        InputError: an argument is wrong, or the journal beside `output` belongs to another table.
    """
    from symact import bench

    check_output(output, (".parquet",))
    with console.bar(f"{task}, {grammar}") as update:
        table = bench.build(
            task,
            grammar,
            space,
            output,
            seeds,
            workers=workers,
            affine=affine,
            data=None if data is None else str(data),
            progress=lambda done, total: update(done, total, ""),
        )
    console.say(f"wrote {output}: {counted(len(table), 'function')}, {counted(table.seeds, 'seed')} each")


def import_table(source: Path, layer_weights: str | None, output: Path) -> None:
    """Read AQuaSurF's published format and write the table.

    Raises:
        InputError: the file is not of that format, or the weights do not fit it.
    """
    from symact import bench

    check_output(output, (".parquet",))
    table = bench.import_act_bench(source, layer_weights=_weights(layer_weights))
    table.write(output)
    odd = table.about["odd_fisher"]
    note = f"; {odd} with a Fisher CDF of another length count as not finite" if odd else ""
    console.say(f"wrote {output}: {counted(len(table), 'function')}{note}")


def replay(
    optimizer: str,
    table: Path,
    evaluations: int,
    repeats: int,
    seed: int,
    start: str,
    settings: Mapping[str, Any],
    as_json: bool,
) -> None:
    """Run whole searches on a table; print them as JSON, or their summary.

    Raises:
        InputError: the table cannot be read, or the optimizer cannot replay.
    """
    from symact import bench

    with console.bar(f"{optimizer} on {table.name}", repeats) as update:
        done = bench.replay(
            optimizer,
            str(table),
            evaluations,
            repeats,
            seed,
            start,
            settings=settings,
            progress=lambda number, search: update(number + 1, repeats, ""),
        )
    document = bench.document(done)
    if as_json:
        console.document(document)
        return
    summary = document["summary"]
    rows = [(f"median regret after {count}", *_shown(row)) for count, row in summary["regret"].items()]
    rows.append(("evaluations to the top 1 %", *_shown(summary["evaluations_to_top"])))
    rows.append(("winner on unseen seeds", *_shown(summary["winner_unseen"])))
    searches, each = counted(repeats, "search", "searches"), counted(evaluations, "evaluation")
    console.say(f"{optimizer} on {table}: {searches} of {each}, from {start}")
    console.listing(rows, ("", "median", "95 % interval"))
    best = max(
        (pair for search in document["repeats"] for pair in zip(search["scores"], search["expressions"], strict=True)),
        key=lambda pair: float("-inf") if pair[0] is None else pair[0],
        default=None,
    )
    if best is not None and best[0] is not None:
        console.say(f"best found: {best[1]} with {best[0]:.4f}")


def _shown(row: Mapping[str, Any]) -> tuple[str, str]:
    def text(value: Any) -> str:
        return "never" if value is None else f"{value:.4g}"

    return text(row["value"]), f"[{text(row['low'])}, {text(row['high'])}]"


def _weights(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--layer-weights {text}: expected numbers separated by commas") from None
