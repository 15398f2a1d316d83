"""The arena: every optimizer on a table, from baselines and from random functions, next to two yardsticks.

    python runs/arena/arena.py TABLE.parquet --output runs/arena/fashion14-deep.json

A search sees one of the table's seeds and is judged on the others. Prints a Markdown table and writes
the same numbers, with intervals and every single search, as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from symact.bench import Table, compare, replay, summarize
from symact.bench.replaying import baseline_rows
from symact.bench.statistics import AFTER

# Frozen before the table of confirmation was looked at: name -> (optimizer, settings).
CONTESTANTS: dict[str, tuple[str, dict]] = {
    "random": ("random", {}),
    "random, finite Fisher only": ("random", {"finite": True}),
    "evolution (aging)": ("evolution", {}),
    "evolution (mu+lambda)": ("evolution", {"algorithm": "mu+lambda", "population": 8, "tournament": 4}),
    "evolution (NSGA-II)": ("evolution", {"algorithm": "nsga2", "population": 16}),
    "evolution (aging), no Fisher": ("evolution", {"finite": False}),
    "rl (PPO)": ("rl", {}),
    "rl (REINFORCE)": ("rl", {"algorithm": "reinforce"}),
    "surrogate (gp)": ("surrogate", {}),
    "surrogate (gp, no exploration)": ("surrogate", {"explore": 0.0}),
    "surrogate (knn, metric)": (
        "surrogate",
        {"regressor": "knn", "explore": 0.0, "views": {"outputs": 1.0, "fisher": 1.0}},
    ),
    "surrogate (knn, UMAP union)": ("surrogate", {"regressor": "knn", "embedding": "umap", "explore": 0.0}),
    "surrogate (forest)": ("surrogate", {"regressor": "forest"}),
    "surrogate (svr)": ("surrogate", {"regressor": "svr", "explore": 0.0}),
}
SLOW = {"surrogate (forest)", "rl (PPO)", "rl (REINFORCE)"}


def main() -> None:
    """Run all contestants and write what they did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--output", required=True, help="FILE.json")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--slow-repeats", type=int, default=20, help="for the contestants that learn slowly")
    parser.add_argument("--evaluations", type=int, default=100, help="beyond the start")
    parser.add_argument("--only", default="", help="part of a contestant's name")
    arguments = parser.parse_args()
    table = Table.read(arguments.table)
    document: dict = {
        "table": {k: v for k, v in table.about.items() if k != "grammar"},
        "functions": len(table),
        "seeds": table.seeds,
        "noise": table.noise,
        "finite_share": None if table.finite is None else float(table.finite.mean()),
        "rows": [],
    }
    output = Path(arguments.output)
    for start in ("baselines", "random"):
        for name, (optimizer, settings) in CONTESTANTS.items():
            if arguments.only not in name and name != "random":
                continue
            repeats = arguments.slow_repeats if name in SLOW else arguments.repeats
            begun = time.perf_counter()
            evaluations = arguments.evaluations + max(1, len(baseline_rows(table)))
            done = replay(optimizer, table, evaluations, repeats, seed=1, start=start, settings=settings)
            row = {
                "name": name, "optimizer": optimizer, "settings": settings, "start": start, "repeats": repeats,
                **summarize(done), "seconds": time.perf_counter() - begun,
            }  # fmt: skip
            if name != "random":
                # The same seeds and starts as the contestant's, so that searches can be compared in pairs.
                row["versus_random"] = compare(done, replay("random", table, evaluations, repeats, seed=1, start=start))
            document["rows"].append(row)
            output.write_text(json.dumps(document, indent=1) + "\n")
            print(markdown(row), flush=True)


def markdown(row: dict) -> str:
    """One contestant as a row of a Markdown table."""

    def shown(cell: dict | None, digits: int) -> str:
        if cell is None:
            return "-"
        low, value, high = ("never" if cell[k] is None else f"{cell[k]:.{digits}f}" for k in ("low", "value", "high"))
        return f"{value} [{low}, {high}]"

    regrets = [shown(row["regret"].get(str(count)), 4) for count in AFTER]
    versus = row.get("versus_random")
    paired = "-" if versus is None else f"{versus['ratio_of_means']:.2f}; {shown(versus['difference'], 1)}"
    cells = [row["start"], row["name"], shown(row["evaluations_to_top"], 1), paired, *regrets]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
