"""The recurrent controller on Ramachandran's core units against random search, with real training.

    python runs/rl_core_units/rl_core_units.py --evaluations 120 --seeds 3

Equal evaluations, baselines first, the task `digits-deep`. Writes `results.json` beside this file: best score
so far after every evaluation, for every search, and the best function of each.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import symact


def main() -> None:
    """Run both optimizers with every seed and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--task", default="digits-deep")
    parser.add_argument("--space", default=None)
    arguments = parser.parse_args()
    output = Path(__file__).with_name("results.json")
    rows = []
    space = symact.load_grammar("ramachandran").space(arguments.space)
    for seed in range(arguments.seeds):
        for optimizer in ("random", "rl"):
            study = symact.Study(space, arguments.task, optimizer, seed=seed)
            study.run(arguments.evaluations)
            trials = [trial for trial in study.trials if not trial.cached]
            best, curve = None, []
            for trial in trials:
                if trial.score is not None and (best is None or trial.score > best.score):
                    best = trial
                curve.append(None if best is None else best.score)
            found = None if best is None else str(best.candidate)
            failed = sum(trial.score is None for trial in trials)
            rows.append({"optimizer": optimizer, "seed": seed, "best": found, "failed": failed, "best_so_far": curve})
            output.write_text(
                json.dumps({"space": str(space), "task": arguments.task, "searches": rows}, indent=1) + "\n"
            )
            print(optimizer, seed, curve[-1] if curve else None, found, f"{failed} failed", flush=True)


if __name__ == "__main__":
    main()
