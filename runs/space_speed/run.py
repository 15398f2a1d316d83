"""Time and memory of compiling a grammar into its distinct functions, beside two other ways of doing it.

    python runs/space_speed/run.py [--spaces bench 10^4 10^5 10^6 10^7] [--repeats 3]

Writes results.json, results.md and growth.png beside itself; spaces that are not named keep what was measured before.
Every timing of a space is one fresh process that first compiles a small space (so that imports and tables are
warm), then times the whole job with its file: seconds by the clock, and of CPU, children included. A busy
machine stretches the first, so its load is recorded with each row.
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
    "bench": '["binary(unary(x), unary(x))"]',
    "10^4": '["binary(unary(x), unary(x))", "unary(unary(unary(x)))"]',
    "10^5": '["unary(binary(unary(x), unary(x)))"]',
    "10^6": '["unary(unary(unary(unary(x))))", "unary(binary(unary(x), unary(x)))", '
    '"binary(unary(unary(x)), unary(x))", "binary(unary(x), unary(unary(x)))", "nary(unary(x), unary(x), unary(x))"]',
    "10^7": '["binary(unary(unary(x)), unary(unary(x)))", "unary(unary(binary(unary(x), unary(x))))", '
    '"unary(binary(unary(unary(x)), unary(x)))"]',
}


def _grammar(shapes: str) -> Any:
    from symact.program.loading import load_grammar, parse_grammar

    text = load_grammar("aquasurf").text
    head, tail = text.split("[spaces]")
    return parse_grammar(f"{head}[spaces]\nall = {shapes}\n[identity]{tail.split('[identity]')[1]}")


def cpu_seconds() -> float:
    """What this process used, to the nanosecond, and its children that have ended, to the hundredth."""
    return time.process_time() + sum(os.times()[2:4])


def timed(shapes: str, equivalence: str, connection: Any, repeats: int = 1) -> None:
    """Compile one space in this process and send what it took."""
    from symact.equivalence import enumerate_classes, write_table
    from symact.program.loading import load_grammar

    with tempfile.TemporaryDirectory() as folder:
        write_table(enumerate_classes(load_grammar("aquasurf"), "bench", equivalence), Path(folder) / "warm.parquet")
        grammar = _grammar(shapes)
        seconds, cpu = [], []
        for _ in range(repeats):
            start, before = time.perf_counter(), cpu_seconds()
            table = enumerate_classes(grammar, "all", equivalence)
            write_table(table, Path(folder) / "table.parquet")
            seconds.append(time.perf_counter() - start)
            cpu.append(cpu_seconds() - before)
    connection.send(
        {
            "expressions": table.num_rows,
            "classes": int(table["representative"].to_numpy().sum()),
            "seconds": seconds,
            "cpu_seconds": cpu,
            "load": os.getloadavg()[0],
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

    from symact.equivalence.numeric import float32
    from symact.equivalence.table.float32_rule import normal_points
    from symact.expr.tree import Expr
    from symact.program.loading import load_grammar

    x = normal_points()[None]

    def value(node: Expr) -> Any:
        if node.operator.is_variable:
            return x
        return float32.applied(node.operator, [value(argument) for argument in node.arguments], [])

    space = load_grammar("aquasurf").space("bench")
    expressions = [e for number, e in enumerate(space) if number % max(1, space.count() // count) == 0]
    seen = set()
    start = time.process_time()
    with np.errstate(all="ignore"):
        for expression in expressions:
            outputs = np.broadcast_to(value(expression), x.shape)[0] + np.float32(0)
            seen.add(str(outputs.tolist()))
    return (time.process_time() - start) / len(expressions), len(expressions)


def by_sympy(count: int) -> tuple[float, int]:
    """Plain SymPy: automatic evaluation of each expression, then its string."""
    from symact.expr.tree import to_sympy
    from symact.program.loading import load_grammar

    space = load_grammar("aquasurf").space("bench")
    expressions = [e for number, e in enumerate(space) if number % max(1, space.count() // count) == 0]
    seen = set()
    start = time.process_time()
    for expression in expressions:
        seen.add(str(to_sympy(expression).doit()))
    return (time.process_time() - start) / len(expressions), len(expressions)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    names = ("symact", "numpy", "scipy", "sympy", "python-flint", "pyarrow")
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in names},
    }


def picture(rows: list[dict[str, Any]], path: Path) -> None:
    """Seconds and peak memory against the number of expressions."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for color, (equivalence, mark) in enumerate((("exact", "o"), ("sampled", "s"))):
        own = [row for row in rows if row["equivalence"] == equivalence]
        sizes = [row["expressions"] for row in own]
        times = [statistics.median(row["cpu_seconds"]) for row in own]
        left.loglog(sizes, times, mark + "-", color=f"C{color}", label=equivalence)
        right.loglog(sizes, [row["peak_gb"] for row in own], mark + "-", color=f"C{color}", label=equivalence)
    left.set(xlabel="expressions", ylabel="CPU seconds, file included", title="Time")
    right.set(xlabel="expressions", ylabel="peak memory, GB", title="Memory")
    for axes in (left, right):
        axes.grid(True, which="both", alpha=0.3)
        axes.legend()
    for axis in (left.yaxis, right.yaxis):
        axis.set_major_formatter("{x:g}")
    right.set_yticks([0.2, 0.5, 1, 2, 5])
    right.yaxis.set_minor_formatter("")
    figure.savefig(path, dpi=130)


def main() -> None:
    """Measure the spaces asked for, keep the others, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spaces", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    path = HERE / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {"rows": []}
    results["machine"] = machine()
    # Each row has them beside it, from the same minutes: a busy machine stretches all alike.
    others = {"one_by_one_seconds": one_by_one(1000)[0], "sympy_seconds": by_sympy(1000)[0]}
    for name in options.spaces:
        for equivalence in ("exact", "sampled"):
            repeats = {"bench": 7, "10^7": 1}.get(name, options.repeats)
            row = {"space": name, "equivalence": equivalence, **others, **fresh(SIZES[name], equivalence, repeats)}
            print(row, flush=True)
            kept = [r for r in results["rows"] if (r["space"], r["equivalence"]) != (name, equivalence)]
            results["rows"] = sorted([*kept, row], key=lambda r: (list(SIZES).index(r["space"]), r["equivalence"]))
            path.write_text(json.dumps(results, indent=1) + "\n")
            (HERE / "results.md").write_text(table(results))
    picture([row for row in results["rows"] if row["space"] != "bench"], HERE / "growth.png")


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "| space | rule | expressions | classes | CPU seconds (median, min-max) | by the clock | n | load | peak GB "
        "| x one by one | x SymPy |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        cpu, median = row["cpu_seconds"], statistics.median(row["cpu_seconds"])
        each = median / row["expressions"]
        lines.append(
            f"| {row['space']} | {row['equivalence']} | {row['expressions']:,} | {row['classes']:,} | "
            f"{median:.3f} ({min(cpu):.3f}-{max(cpu):.3f}) | {statistics.median(row['seconds']):.3f} | "
            f"{len(cpu)} | {row['load']:.1f} | {row['peak_gb']:.2f} | "
            f"{row['one_by_one_seconds'] / each:,.0f} | {row['sympy_seconds'] / each:,.0f} |"
        )
    about = ", ".join(f"{key} {value}" for key, value in results["machine"].items())
    lines += [
        "",
        f"One by one: {1e3 * results['rows'][0]['one_by_one_seconds']:.2f} ms of CPU an expression; SymPy: "
        f"{1e3 * results['rows'][0]['sympy_seconds']:.2f} ms (n = 1,000 of bench each).",
        "",
        f"Machine: {about}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
