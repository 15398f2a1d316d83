"""Two nested core units and 2,000 trainings: where does the controller end, and is it better than random search?

    python runs/rl_core_units/nested.py --output OUT --evaluations 2000 --seeds 3

All 25 unary and 10 binary operators, one core unit inside another (about 78 million expressions), the task of
`quick_digits.py`. The searches:

* `rl, as in the talk`: PPO on the score itself, and functions of the form a*x + b may be proposed;
* `rl`: PPO on ranks, without those functions, which is how symact searches;
* `evolution` and `random`, without them too.

Each search is a study in its own folder, so that a stopped run goes on. Afterwards 500 sequences are drawn from each
controller as it ended. The best of each search is trained on ten fresh seeds. Writes `nested.json` and `nested.md`.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

import symact
from symact.activation.module import Activation
from symact.expr.tree import Expr
from symact.files import write_text
from symact.optimize.policy import sample
from symact.study.evaluating import training_seed

HERE = Path(__file__).parent
TASK = f"{HERE / 'quick_digits.py'}:QuickDigits"
# Name -> optimizer, its settings, whether a*x + b may be proposed.
SEARCHES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "rl, as in the talk": ("rl", {"reward": "score", "finite": False}, True),
    "random": ("random", {}, False),
    "rl": ("rl", {"finite": False}, False),
    "evolution": ("evolution", {"finite": False}, False),
}
AFTER = (100, 500, 1000, 2000)
DRAWS, FRESH, LATE = 500, 10, 200


def kind(expression: Expr, grammar: Any) -> str:
    """`constant`, `line`, `not finite` or `other`: what a function is between -3 and 3, parameters as they begin."""
    x = torch.linspace(-3, 3, 601)
    with torch.no_grad():
        y = Activation(expression, grammar)(x).double().numpy()
    if not np.isfinite(y).all():
        return "not finite"
    slope, level = np.polyfit(x.numpy(), y, 1)
    if np.abs(y - slope * x.numpy() - level).max() > 1e-4 * max(1.0, np.abs(y).max()):
        return "other"
    return "constant" if abs(slope) < 1e-4 else "line"


def one(name: str, seed: int, evaluations: int, folder: Path) -> dict[str, Any]:
    """One search, and what its controller draws in the end."""
    optimizer, settings, affine = SEARCHES[name]
    run, grammar = folder / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}", symact.load_grammar("ramachandran")
    if run.exists():
        study = symact.Study.resume(run, task=TASK)
    else:
        space = grammar.space("units").keeping_affine(affine)
        study = symact.Study(
            space, TASK, optimizer, run=run, seed=seed, batch=32, confirm=0, confirm_best=0, **settings
        )
    with study:
        study.run(evaluations)
        trials = [trial for trial in study.trials if not trial.cached]
        found = [trial for trial in trials if trial.origin != "baseline"]
        scores = [0.0 if trial.score is None else trial.score for trial in found]
        best = max(found, key=lambda trial: trial.score or 0.0)
        drawn: Counter[str] = Counter()
        kinds: Counter[str] = Counter()
        if optimizer == "rl":
            own = study.optimizer
            for partial in sample(own.controller, own.actions, DRAWS, np.random.default_rng(0)):
                drawn[str(own.actions.expression(partial))] += 1
            for text, count in drawn.items():
                kinds[kind(symact.parse(text, grammar), grammar)] += count
        late = Counter(kind(trial.candidate, grammar) for trial in found[-LATE:])
        task, fresh = study.task, {}
        for text in (str(best.candidate), "relu(x)", "elu(x)"):
            parsed = symact.parse(text, grammar)
            outcomes = [
                task.evaluate(lambda parsed=parsed: Activation(parsed, grammar), training_seed(5000, repeat))
                for repeat in range(FRESH)
            ]
            fresh[text] = [outcome.score for outcome in outcomes]
    return {
        "search": name, "seed": seed, "evaluations": evaluations, "best": str(best.candidate),
        "best_so_far": np.maximum.accumulate(scores).round(4).tolist(), "scores": scores,
        "failed": sum(trial.score is None for trial in found), "drawn": drawn.most_common(8), "kinds": dict(kinds),
        "late_kinds": dict(late), "fresh": fresh,
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """One line per search."""
    lines = [
        f"| search | seed | best after {', '.join(map(str, AFTER))} | median of the last {LATE} | failed "
        "| best function | fresh seeds, mean | ReLU | ELU |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        best = [f"{row['best_so_far'][min(n, len(row['best_so_far'])) - 1]:.3f}" for n in AFTER]
        means = [f"{np.mean([score or 0.0 for score in scores]):.4f}" for scores in row["fresh"].values()]
        lines.append(
            f"| {row['search']} | {row['seed']} | {', '.join(best)} | {np.median(row['scores'][-LATE:]):.3f} "
            f"| {row['failed'] / len(row['scores']):.0%} | `{row['best']}` | {' | '.join(means)} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run all searches with every seed and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of the studies")
    parser.add_argument("--evaluations", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--searches", nargs="+", choices=list(SEARCHES), default=list(SEARCHES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    result = HERE / "nested.json"
    rows = json.loads(result.read_text()) if result.exists() else []
    for seed in range(arguments.seeds):
        for name in arguments.searches:
            if not any((row["search"], row["seed"]) == (name, seed) for row in rows):
                rows.append(one(name, seed, arguments.evaluations, arguments.output))
                write_text(result, json.dumps(rows) + "\n")
                write_text(result.with_suffix(".md"), table(rows))
                print(name, seed, rows[-1]["best"], rows[-1]["kinds"], rows[-1]["drawn"][:4], flush=True)


if __name__ == "__main__":
    main()
