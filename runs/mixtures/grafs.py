"""A differentiable cell that ends in one discrete expression, beside random search at equal cost, on `digits-deep`.

    python runs/mixtures/grafs.py --seeds 2

The cell (GRAFS-like; `symact search mixture --set method=cell`) is trained bi-level, one training a stage; what comes
out is trained as any other function. Random search gets the same number of epochs, and, as a second yardstick, many
more evaluations. What each names is trained again on ten fresh seeds. Writes `grafs.json`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from scipy import stats

import symact
from symact.expr.tree import Expr
from symact.optimize import OPTIMIZERS
from symact.program.loading import load_grammar
from symact.records import Trial

HERE = Path(__file__).parent
FRESH = range(1_000, 1_010)


def search(name: str, seed: int, epochs: int, **settings) -> dict:
    """One search, for so many epochs; a cell ends with its second ordinary expression that trains, or the sixth."""
    grammar, task = load_grammar("aquasurf"), symact.TASKS["digits-deep"]()
    optimizer = OPTIMIZERS[name](grammar.space("bench"), seed, **settings)
    rows, spent, begun = [], 0, time.process_time()
    while spent < epochs:
        ordinary = [row["score"] for row in rows if row["kind"] == "expression"]
        if name == "mixture" and (len(ordinary) >= 6 or len(ordinary) - ordinary.count(None) >= 2):
            break
        (candidate,) = optimizer.ask(1)
        parts = [candidate] if isinstance(candidate, Expr) else list(candidate)
        mixed = any(p.mixture for part in parts for p in part.parameters)
        sites = iter(parts * task.sites if len(parts) == 1 else parts)
        outcome = task.evaluate(
            lambda sites=sites: symact.Activation(next(sites), grammar), seed, schedule="bilevel" if mixed else "joint"
        )
        optimizer.tell([Trial(candidate, (outcome,))])
        # A bi-level epoch goes over one half of the data with the weights and over the other with the shares.
        spent += outcome.metrics["epochs"]
        kind = "cell" if mixed else "expression" if len(parts) == 1 else "sites"
        choices = sum(p.mixture for part in parts for p in part.parameters)
        text = f"{choices} weights" if mixed else "; ".join(map(str, parts))
        rows.append({"kind": kind, "text": text, "score": outcome.score, "epochs": spent})
    return {"search": name, "seed": seed, "rows": rows, "epochs": spent, "cpu_seconds": time.process_time() - begun}


def named(found: dict) -> str:
    """The ordinary expression with the best score; ReLU where none trained."""
    rows = [row for row in found["rows"] if row["kind"] == "expression" and row["score"] is not None]
    return max(rows, key=lambda row: row["score"])["text"] if rows else "relu(x)"


def main() -> None:
    """Search, train again what was named, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    output = HERE / "grafs.json"
    document = json.loads(output.read_text()) if output.exists() else {"searches": {}, "fresh": {}}
    for seed in range(arguments.seeds):
        for label, name, epochs, settings in (
            ("cell", "mixture", 10**9, {"method": "cell", "samples": 1}),
            ("random, as many epochs", "random", None, {}),
            ("random, 100 evaluations", "random", 1_000, {}),
        ):
            key = f"{label} | {seed}"
            if key not in document["searches"]:
                limit = document["searches"][f"cell | {seed}"]["epochs"] if epochs is None else epochs
                found = search(name, seed, limit, **settings)
                document["searches"][key] = found
                output.write_text(json.dumps(document, indent=1) + "\n")
                print(key, named(found), found["epochs"], f"{found['cpu_seconds']:.0f} s", flush=True)
    grammar, task = load_grammar("aquasurf"), symact.TASKS["digits-deep"]()
    for text in dict.fromkeys(["relu(x)", "elu(x)", *map(named, document["searches"].values())]):
        if text not in document["fresh"]:
            scores = [task.evaluate(lambda text=text: symact.Activation(text, grammar), s).score for s in FRESH]
            document["fresh"][text] = scores
            output.write_text(json.dumps(document, indent=1) + "\n")
    relu = np.array(document["fresh"]["relu(x)"])
    lines = [
        "| search | seed | CPU seconds | epochs | named | fresh seeds | less ReLU [95 %] |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = [(key, found, named(found)) for key, found in document["searches"].items()]
    rows += [("baseline | ", None, "relu(x)"), ("baseline | ", None, "elu(x)")]
    for key, found, text in rows:
        scores = np.array([np.nan if s is None else s for s in document["fresh"][text]])
        apart = scores - relu
        half = stats.t.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / len(apart) ** 0.5
        versus = f"{apart.mean():+.4f} [{apart.mean() - half:+.4f}, {apart.mean() + half:+.4f}]"
        label, seed = key.split(" | ")
        cost = "- | -" if found is None else f"{found['cpu_seconds']:.0f} | {found['epochs']}"
        lines.append(f"| {label} | {seed} | {cost} | `{text}` | {scores.mean():.4f} | {versus} |")
    (HERE / "grafs.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
