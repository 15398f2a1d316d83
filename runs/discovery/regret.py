"""How far the best function of a search is from the best known one after so many evaluations, on unseen seeds.

    python runs/discovery/regret.py ood-harmonic ood-polynomial --output OUT --evaluations 25 50
    python runs/discovery/regret.py ood-harmonic ood-polynomial --output OUT --evaluations 25 50 100 --optimizers rl

Starts from the searches of `discover.py` in OUT (50 evaluations each, baselines counted), continues copies of them
where more are asked for, begins those that are missing, and retrains what each had found by then on `SEEDS` seeds that
no search has. The regret is the difference to the best mean among all functions retrained so, those of the finals
included: on the scale of the task, 0 is best. Goes on where it was stopped. Writes `regret.json` beside this file.
"""

from __future__ import annotations

import argparse
import json
import shutil
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from discover import HERE, OPTIMIZERS, REGRET_STUDY, Family

from symact.expr.tree import candidate_text
from symact.files import write_text
from symact.report.leaderboard import paired_difference
from symact.store import Store
from symact.study import Study

SEEDS = 5  # unseen ones, of what was found


def search(family: Family, optimizer: str, seed: int, evaluations: int) -> list[Any]:
    """The trials of one search of that length."""
    name = f"{optimizer}-{seed}"
    begun, run = family.folder / "searches" / name, family.folder / "longer" / name
    if begun.exists() and len(stored := Store.open(begun).trials()) >= evaluations:
        return sorted(stored, key=lambda trial: trial.number)
    if not run.exists() and begun.exists():
        shutil.copytree(begun, run)
    if run.exists():
        study = Study.resume(run)
    else:
        space = family.grammar.space("large")
        study = Study(space, family.name, optimizer, run=run, seed=seed, confirm=0, confirm_best=0)
    with study:
        study.run(evaluations)
    return sorted(Store.open(run).trials(), key=lambda trial: trial.number)


def curve(family: Family, optimizer: str, seed: int, checkpoints: list[int]) -> dict[str, Any]:
    """What one search had found at each checkpoint, on unseen seeds, and the core-seconds that it had trained."""
    row: dict[str, Any] = {"optimizer": optimizer, "seed": seed, "merit": [], "function": [], "core_seconds": []}
    trials = search(family, optimizer, seed, checkpoints[-1])
    for count in checkpoints:
        first = [trial for trial in trials[:count] if trial.merit is not None]
        best = candidate_text(max(first, key=lambda trial: trial.merit or 0.0).candidate)
        row["function"].append(best)
        row["merit"].append(
            mean(family.metric.merit(family.train(best, REGRET_STUDY, r)["score"]) for r in range(SEEDS))
        )
        seconds = [o.metrics.get("cpu_seconds", 0.0) for trial in trials[:count] for o in trial.outcomes]
        row["core_seconds"].append(sum(seconds))
    print(family.name, row, flush=True)
    return row


def regrets(name: str, folder: Path, optimizers: list[str], seeds: int, checkpoints: list[int]) -> dict[str, Any]:
    """Mean regret by optimizer and checkpoint, and its paired difference to random search."""
    family = Family(name, folder)
    rows = [curve(family, *which, checkpoints) for which in product(optimizers, range(seeds))]
    known = json.loads((HERE / name / "results.json").read_text())["origin"]
    merits = {
        text: mean(family.metric.merit(family.train(text, REGRET_STUDY, r)["score"]) for r in range(SEEDS))
        for text in known
    }
    merits |= {text: merit for row in rows for text, merit in zip(row["function"], row["merit"], strict=True)}
    best = max(merits, key=lambda text: merits[text])
    own = {o: [[merits[best] - m for m in r["merit"]] for r in rows if r["optimizer"] == o] for o in optimizers}
    return {"best known": best, "regrets": own, "searches": rows}


def main() -> None:
    """All families, and over all of them together the difference to random search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--output", type=Path, required=True, help="folder of the searches and the trainings")
    parser.add_argument("--seeds", type=int, default=3, help="of each search")
    parser.add_argument("--evaluations", type=int, nargs="+", default=[25, 50], help="after how many to look")
    parser.add_argument("--optimizers", nargs="+", default=[], help="beside those of discover.py")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    optimizers, checkpoints = [*OPTIMIZERS, *arguments.optimizers], sorted(arguments.evaluations)
    families = {
        name: regrets(name, arguments.output, optimizers, arguments.seeds, checkpoints) for name in arguments.tasks
    }
    summary: dict[str, Any] = {}
    for optimizer, (place, count) in product(optimizers, enumerate(checkpoints)):
        ours, random = (
            [row[place] for found in families.values() for row in found["regrets"][which]]
            for which in (optimizer, "random")
        )
        gap = paired_difference(ours, random)
        summary.setdefault(optimizer, {})[count] = {
            "mean": mean(ours),
            "to random": None if optimizer == "random" or gap is None else [gap.difference, gap.low, gap.high],
        }
        print(optimizer, count, summary[optimizer][count])
    document = {"seeds of searches": arguments.seeds, "summary": summary, "families": families}
    write_text(HERE / "regret.json", json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
