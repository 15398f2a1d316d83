"""How long it takes to tell whether a new expression is a function that is known: the question of every search.

    python runs/space_speed/membership.py [--expressions 1500]

Writes membership.json and membership.md beside itself. Expressions come as from evolution: a population of 50 is
mutated and crossed, and every expression that was not seen before is added to a `FunctionIndex`. The first half warms
it, the second is timed, one by one.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from symact.equivalence import FunctionIndex
from symact.expr.space import Space
from symact.expr.tree import Expr
from symact.expr.variation import crossover, mutate
from symact.program.loading import load_grammar

HERE = Path(__file__).resolve().parent
SPACES = (("aquasurf", "bench"), ("aquasurf", "large"), ("ramachandran", "units"), ("pangaea", "open"))


def varied(space: Space, seed: int = 0) -> Iterator[Expr]:
    """Expressions that are all different as written."""
    generator = np.random.default_rng(seed)
    population = [space.sample(generator) for _ in range(50)]
    seen: set[Expr] = set()
    while True:
        first, second = (population[i] for i in generator.integers(len(population), size=2))
        expr = (
            mutate(first, space, generator)
            if generator.random() < 0.7
            else crossover(first, second, space, generator)[0]
        )
        population[generator.integers(len(population))] = expr
        if expr not in seen:
            seen.add(expr)
            yield expr


def measured(grammar: str, space: str, count: int) -> dict[str, Any]:
    """Milliseconds of `FunctionIndex.add`."""
    loaded = load_grammar(grammar)
    stream = varied(loaded.space(space))
    index = FunctionIndex(loaded)
    compared: list[int] = []
    plain = FunctionIndex._equal

    def counted(*arguments: Any) -> bool:
        compared.append(1)
        return plain(*arguments)

    for _ in range(count):
        index.add(next(stream))
    # Otherwise a collection of all that was imported falls on some question, and takes 30 ms.
    gc.collect()
    gc.freeze()
    FunctionIndex._equal = counted  # type: ignore[method-assign]
    times, decided = [], 0
    for _ in range(count):
        expr, before = next(stream), len(compared)
        start = time.perf_counter()
        index.add(expr)
        times.append(1e3 * (time.perf_counter() - start))
        decided += len(compared) > before
    FunctionIndex._equal = plain  # type: ignore[method-assign]
    p90, p99 = np.quantile(times, [0.9, 0.99])
    return {
        "grammar": grammar,
        "space": space,
        "expressions": count,
        "functions_known": len(index),
        "mean": statistics.mean(times),
        "median": statistics.median(times),
        "p90": float(p90),
        "p99": float(p99),
        "max": max(times),
        "decided_by_values": decided / count,
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Measure every space and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expressions", type=int, default=1500)
    options = parser.parse_args()
    rows = []
    for grammar, space in SPACES:
        rows.append(measured(grammar, space, options.expressions))
        print(rows[-1], flush=True)
    (HERE / "membership.json").write_text(json.dumps(rows, indent=1) + "\n")
    lines = [
        "| grammar | space | new expressions | mean ms | median | 90 % | 99 % | longest | decided by values |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = " | ".join(f"{row[key]:.2f}" for key in ("mean", "median", "p90", "p99", "max"))
        share = f"{100 * row['decided_by_values']:.0f} %"
        lines.append(f"| {row['grammar']} | {row['space']} | {row['expressions']:,} | {numbers} | {share} |")
    (HERE / "membership.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
