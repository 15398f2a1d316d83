"""The arena: every optimizer on a table, from baselines and from random functions, next to two yardsticks.

    python runs/arena/arena.py TABLE.parquet --output runs/arena/fashion14-deep.json

A search sees one of the table's seeds and is judged on the others. Writes the statistics with intervals and
every single search as JSON, and the same as a Markdown table beside it. Started again, it goes on with the
contestants that its output does not have.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import cache
from pathlib import Path

import numpy as np

from symact.bench import Replay, Table, compare, replay, summarize
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
    "surrogate (gp), batches of 8": ("surrogate", {}),
    "surrogate (gp, exploring)": ("surrogate", {"explore": 0.3}),
    "surrogate (gp, outputs and shape)": ("surrogate", {"views": {"outputs": 1.0, "shape": 1.0}}),
    "surrogate (knn)": ("surrogate", {"regressor": "knn"}),
    "surrogate (knn, UMAP union)": ("surrogate", {"regressor": "knn", "embedding": "umap"}),
    "surrogate (svr)": ("surrogate", {"regressor": "svr"}),
    "surrogate (forest)": ("surrogate", {"regressor": "forest"}),
}
BATCHES = {"surrogate (gp), batches of 8": 8}
HEAD = """| start | contestant | evaluations to the top 1 % | against random: ratio of means; paired difference \
| median regret after 10 | 25 | 50 | 100 |
|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Run all contestants and write what they did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--output", required=True, help="FILE.json")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=100, help="beyond the start")
    parser.add_argument("--only", default="", help="part of a contestant's name")
    arguments = parser.parse_args()
    table = Table.read(arguments.table)
    output = Path(arguments.output)
    document = json.loads(output.read_text()) if output.exists() else {
        "table": {k: v for k, v in table.about.items() if k != "grammar"},
        "functions": len(table),
        "seeds": table.seeds,
        "noise": table.noise,
        "finite_share": None if table.finite is None else float(table.finite.mean()),
        "rows": [],
    }  # fmt: skip
    evaluations = arguments.evaluations + max(1, len(baseline_rows(table)))

    @cache
    def searches(name: str, start: str) -> Replay:
        optimizer, settings = CONTESTANTS[name]
        batch = BATCHES.get(name, 1)
        return replay(
            optimizer, table, evaluations, arguments.repeats, seed=1, start=start, batch=batch, settings=settings
        )

    finished = {(row["name"], row["start"]) for row in document["rows"]}
    for start in ("baselines", "random"):
        for name, (optimizer, settings) in CONTESTANTS.items():
            if arguments.only not in name or (name, start) in finished:
                continue
            begun = time.process_time()
            done = searches(name, start)
            row = {
                "name": name, "optimizer": optimizer, "settings": settings, "start": start,
                "repeats": arguments.repeats, **summarize(done), "cpu_seconds": time.process_time() - begun,
                "winners": [table.expressions[s.rows[int(best)]] for s in done.searches if (best := _best(s)) >= 0],
            }  # fmt: skip
            if name != "random":
                row["versus_random"] = compare(done, searches("random", start))
            document["rows"].append(row)
            names = list(CONTESTANTS)
            document["rows"].sort(key=lambda r: (r["start"], names.index(r["name"])))
            output.write_text(json.dumps(document, indent=1) + "\n")
            output.with_suffix(".md").write_text(HEAD + "".join(markdown(r) + "\n" for r in document["rows"]))
            print(markdown(row), flush=True)


def _best(search) -> int:
    """The position of the function that a search names: the best by what it was told; -1 if all failed."""
    told = search.scores
    return -1 if np.isnan(told).all() else int(np.nanargmax(told))


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
