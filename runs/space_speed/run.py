"""Time and memory of compiling a grammar into its distinct functions, beside two other ways of doing it.

    python runs/space_speed/run.py

Writes results.json, results.md and growth.png beside itself. Every timing of a space is one fresh process that first
compiles a small space (so that imports and tables are warm), then times the whole job with its file.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SIZES = {
    "10^4": '["binary(unary(x), unary(x))", "unary(unary(unary(x)))"]',
    "10^5": '["unary(binary(unary(x), unary(x)))"]',
    "10^6": '["unary(unary(unary(unary(x))))", "unary(binary(unary(x), unary(x)))", '
    '"binary(unary(unary(x)), unary(x))", "binary(unary(x), unary(unary(x)))", "nary(unary(x), unary(x), unary(x))"]',
    "10^7": '["binary(unary(unary(x)), unary(unary(x)))", "unary(unary(binary(unary(x), unary(x))))", '
    '"unary(binary(unary(unary(x)), unary(x)))"]',
}


def _grammar(shapes: str) -> Any:
    from symact.expr.grammar import load_grammar, parse_grammar

    text = load_grammar("aquasurf").text
    head, tail = text.split("[spaces]")
    return parse_grammar(f"{head}[spaces]\nall = {shapes}\n[identity]{tail.split('[identity]')[1]}")


def timed(shapes: str, equivalence: str, connection: Any, repeats: int = 1) -> None:
    """Compile one space in this process and send what it took."""
    from symact.expr.grammar import load_grammar
    from symact.expr.identity import enumerate_classes, write_table

    with tempfile.TemporaryDirectory() as folder:
        write_table(enumerate_classes(load_grammar("aquasurf"), "bench", equivalence), Path(folder) / "warm.parquet")
        grammar = _grammar(shapes)
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            table = enumerate_classes(grammar, "all", equivalence)
            write_table(table, Path(folder) / "table.parquet")
            seconds.append(time.perf_counter() - start)
    connection.send(
        {
            "expressions": table.num_rows,
            "classes": int(table["representative"].to_numpy().sum()),
            "seconds": seconds,
            "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }
    )


def fresh(shapes: str, equivalence: str, repeats: int = 1) -> dict[str, Any]:
    """`timed` in a process of its own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=timed, args=(shapes, equivalence, sender, repeats))
    process.start()
    sender.close()
    try:
        result: dict[str, Any] = receiver.recv()
    except EOFError:
        process.join()
        raise SystemExit(f"the process that compiled {shapes} ended with exit code {process.exitcode}") from None
    process.join()
    return result


def one_by_one(count: int) -> tuple[float, int]:
    """AQuaSurF's way: evaluate each expression by itself on 1,000 float32 points and compare the printed outputs."""
    import numpy as np

    from symact.expr.grammar import load_grammar
    from symact.expr.kernels import run_float32
    from symact.expr.single import normal_points
    from symact.expr.tape import tape_of
    from symact.expr.tree import VARIABLE, Expr

    x = normal_points()[None]

    def value(node: Expr) -> Any:
        if node.operator is VARIABLE:
            return x
        return run_float32(tape_of(node.operator), [value(argument) for argument in node.arguments])

    space = load_grammar("aquasurf").space("bench")
    expressions = [e for number, e in enumerate(space) if number % max(1, space.count() // count) == 0]
    seen = set()
    start = time.perf_counter()
    with np.errstate(all="ignore"):
        for expression in expressions:
            outputs = np.broadcast_to(value(expression), x.shape)[0] + np.float32(0)
            seen.add(str(outputs.tolist()))
    return (time.perf_counter() - start) / len(expressions), len(expressions)


def by_sympy(count: int) -> tuple[float, int]:
    """Plain SymPy: automatic evaluation of each expression, then its string."""
    from symact.expr.grammar import load_grammar
    from symact.expr.tree import to_sympy

    space = load_grammar("aquasurf").space("bench")
    expressions = [e for number, e in enumerate(space) if number % max(1, space.count() // count) == 0]
    seen = set()
    start = time.perf_counter()
    for expression in expressions:
        seen.add(str(to_sympy(expression).doit()))
    return (time.perf_counter() - start) / len(expressions), len(expressions)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    names = ("symact", "numpy", "scipy", "sympy", "python-flint", "pyarrow")
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in names},
    }


def picture(rows: list[dict[str, Any]], path: Path) -> None:
    """Seconds and peak memory against the number of expressions."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for equivalence, mark in (("exact", "o"), ("sampled", "s")):
        own = [row for row in rows if row["equivalence"] == equivalence]
        sizes = [row["expressions"] for row in own]
        left.loglog(sizes, [statistics.median(row["seconds"]) for row in own], mark + "-", label=equivalence)
        right.loglog(sizes, [row["peak_gb"] for row in own], mark + "-", label=equivalence)
    left.set(xlabel="expressions", ylabel="seconds, file included", title="Time")
    right.set(xlabel="expressions", ylabel="peak memory, GB", title="Memory")
    for axes in (left, right):
        axes.grid(True, which="both", alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=130)


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", choices=list(SIZES), default="10^7")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    about, rows = machine(), []
    bench = '["binary(unary(x), unary(x))"]'
    for equivalence in ("exact", "sampled"):
        rows.append({"space": "bench", "equivalence": equivalence, **fresh(bench, equivalence, 7)})
    for name, shapes in SIZES.items():
        for equivalence in ("exact", "sampled"):
            repeats = options.repeats if name != "10^7" else 1
            rows.append({"space": name, "equivalence": equivalence, **fresh(shapes, equivalence, repeats)})
            print(rows[-1], flush=True)
        if name == options.largest:
            break
    baseline, sympy_way = one_by_one(1000), by_sympy(1000)
    results = {"machine": about, "rows": rows, "one_by_one_seconds": baseline[0], "sympy_seconds": sympy_way[0]}
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    picture([row for row in rows if row["space"] != "bench"], HERE / "growth.png")
    (HERE / "results.md").write_text(table(results))


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "| space | rule | expressions | classes | seconds (median, min-max) | n | peak GB | x one by one | x SymPy |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        seconds, median = row["seconds"], statistics.median(row["seconds"])
        each = median / row["expressions"]
        lines.append(
            f"| {row['space']} | {row['equivalence']} | {row['expressions']:,} | {row['classes']:,} | "
            f"{median:.3f} ({min(seconds):.3f}-{max(seconds):.3f}) | {len(seconds)} | {row['peak_gb']:.2f} | "
            f"{results['one_by_one_seconds'] / each:,.0f} | {results['sympy_seconds'] / each:,.0f} |"
        )
    about = ", ".join(f"{key} {value}" for key, value in results["machine"].items())
    lines += [
        "",
        f"One by one: {1e3 * results['one_by_one_seconds']:.2f} ms an expression; SymPy: "
        f"{1e3 * results['sympy_seconds']:.2f} ms an expression (n = 1,000 of bench each).",
        "",
        f"Machine: {about}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
