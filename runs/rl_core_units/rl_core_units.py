"""The recurrent controller on Ramachandran's core units against random search, with real training.

    python runs/rl_core_units/rl_core_units.py --evaluations 120 --seeds 4

Equal evaluations, baselines first, the task `digits-deep`. Random search comes twice: as it is, and without what is not
finite at initialization, as the controller does it. The best of each search and ReLU are trained again on five fresh
seeds. Writes `results.json` and `results.md` beside this file; searches already there are not done again.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch

import symact

SEARCHES = {"random": ("random", {}), "random, finite only": ("random", {"finite": True}), "rl (PPO)": ("rl", {})}
AFTER = (20, 40, 80)


def main() -> None:
    """Run all searches with every seed and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--task", default="digits-deep")
    parser.add_argument("--space", default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    output = Path(__file__).with_name("results.json")
    space = symact.load_grammar("ramachandran").space(arguments.space)
    document = {"space": space.name, "task": arguments.task, "evaluations": arguments.evaluations, "searches": []}
    if output.exists():
        document = json.loads(output.read_text())
    done = {(row["search"], row["seed"]) for row in document["searches"]}
    for seed in range(arguments.seeds):
        for name, (optimizer, settings) in SEARCHES.items():
            if (name, seed) not in done:
                row = {"search": name, "seed": seed} | search(space, arguments, optimizer, seed, settings)
                document["searches"].append(row)
                output.write_text(json.dumps(document, indent=1) + "\n")
                print(name, seed, row["best_so_far"][-1], row["best"], f"{row['failed']} failed", flush=True)
    output.with_suffix(".md").write_text(table(document))


def search(space, arguments: argparse.Namespace, optimizer: str, seed: int, settings: dict) -> dict:
    """One study; the start (baselines) does not count for `best_so_far`."""
    study = symact.Study(space, arguments.task, optimizer, seed=seed, confirm_best=1, **settings)
    study.run(arguments.evaluations)
    trials = [trial for trial in study.trials if not trial.cached]
    found = [trial for trial in trials if trial.origin != "baseline"]
    curve, best = [], None
    for trial in found:
        if trial.score is not None and (best is None or trial.score > best.score):
            best = trial
        curve.append(None if best is None else best.score)
    fresh = {str(t.candidate): [o.score for o in t.outcomes] for t in study.confirmations}
    late = [str(trial.candidate) for trial in found[-24:]]
    return {
        "best": None if best is None else str(best.candidate), "failed": sum(t.score is None for t in found),
        "best_so_far": curve, "scores": [trial.score for trial in found], "fresh": fresh,
        "last": late, "baselines": {str(t.candidate): t.score for t in trials if t.origin == "baseline"},
    }  # fmt: skip


def table(document: dict) -> str:
    """What was found, search by search kind, as Markdown."""
    lines = [
        "| search | best after "
        + " | ".join(map(str, AFTER))
        + " | at the end | failed | median score of the last 24 |",
        "|---|" + "---|" * (len(AFTER) + 3),
    ]
    for name in SEARCHES:
        rows = [row for row in document["searches"] if row["search"] == name]
        if not rows:
            continue

        def shown(values: list[float]) -> str:
            return f"{np.mean(values):.4f} ({np.std(values, ddof=1):.4f})"

        best = [shown([row["best_so_far"][n - 1] or 0.0 for row in rows]) for n in AFTER]
        best.append(shown([row["best_so_far"][-1] or 0.0 for row in rows]))
        failed = np.mean([row["failed"] / len(row["scores"]) for row in rows])
        late = np.median([score or 0.0 for row in rows for score in row["scores"][-24:]])
        lines.append(f"| {name} (n={len(rows)}) | " + " | ".join(best) + f" | {failed:.0%} | {late:.3f} |")
    heads = Counter(text.split("(")[0] for row in document["searches"] if "rl" in row["search"] for text in row["last"])
    lines += [
        "",
        "Outermost operators among the controller's last 24: " + ", ".join(f"{k} {n}" for k, n in heads.most_common(8)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
