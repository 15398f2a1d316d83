"""What the searches of the arena find, trained on fresh seeds beside the best baselines.

    python runs/arena/winners.py runs/arena/fashion14-deep.parquet --data DIR

Repeats the first searches of each optimizer, one for each seed of the table. As in a study, the best five that a search
found itself, by the seed that it saw, are confirmed, here on the table's other seeds, and the best of them is named. It
and the baselines are then trained on ten seeds that nobody has seen. Differences to the best of ELU, tanh and SELU (by
its mean on these seeds) are paired by seed; intervals are Student's, 95 %. Writes `TABLE-winners.json` and `.md`;
trainings already in the file are not done again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from arena import CONTESTANTS
from scipy import stats

import symact
from symact.bench import Table, replay
from symact.bench.replaying import baseline_rows
from symact.program.loading import load_grammar

OPTIMIZERS = ("random", "random, finite Fisher only", "evolution (aging)", "rl (PPO)", "surrogate (gp)")
BASELINES = ("elu(x)", "tanh(x)", "selu(x)", "relu(x)", "swish(x)")
STRONGEST = BASELINES[:3]


def main() -> None:
    """Train and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--data")
    parser.add_argument("--start", default="baselines")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = Table.read(arguments.table)
    output = Path(arguments.table).with_name(Path(arguments.table).stem + "-winners.json")
    named = {name: found(table, name, arguments.start) for name in OPTIMIZERS}
    document = json.loads(output.read_text()) if output.exists() else {"scores": {}}
    task, grammar = symact.TASKS[table.about["task"]](arguments.data), load_grammar("aquasurf")
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    for text in dict.fromkeys([*BASELINES, *(text for texts in named.values() for text in texts)]):
        scores = document["scores"].setdefault(text, [])
        for seed in list(seeds)[len(scores) :]:
            scores.append(task.evaluate(lambda text=text: symact.Activation(text, grammar), seed).score)
        output.write_text(json.dumps(document, indent=1) + "\n")
    scores = {text: np.array([np.nan if s is None else s for s in row]) for text, row in document["scores"].items()}
    best = max(STRONGEST, key=lambda text: scores[text].mean())
    document |= {"seeds": list(seeds), "best_baseline": best, "named": named}
    lines = [f"| named by | function | mean of {len(seeds)} fresh seeds | less {best} [95 %] |", "|---|---|---|---|"]
    rows = [("baseline", text) for text in BASELINES]
    rows += [(name, text) for name, texts in named.items() for text in texts]
    document["rows"] = []
    for name, text in rows:
        shown = paired(scores[text], scores[best])
        document["rows"].append({"by": name, "function": text, "mean": float(scores[text].mean()), **shown})
        lines.append(f"| {name} | `{text}` | {scores[text].mean():.4f} | {_shown(shown)} |")
    for name, texts in named.items():
        mean = np.mean([scores[text] for text in texts], axis=0)
        document["rows"].append(
            {"by": name, "function": None, "mean": float(mean.mean()), **paired(mean, scores[best])}
        )
        share = f"mean of its {len(texts)}" if len(texts) > 1 else "its one"
        lines.append(f"| {name} | {share} | {mean.mean():.4f} | {_shown(paired(mean, scores[best]))} |")
    output.write_text(json.dumps(document, indent=1) + "\n")
    output.with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def found(table: Table, name: str, start: str) -> list[str]:
    """What each of the first searches names after confirming its best five."""
    optimizer, settings = CONTESTANTS[name]
    evaluations = 100 + max(1, len(baseline_rows(table)))
    done = replay(optimizer, table, evaluations, table.seeds, seed=1, start=start, settings=settings)
    names = []
    for search in done.searches:
        own = np.arange(search.start, len(search.rows))
        best = own[np.argsort(-np.nan_to_num(search.scores[own], nan=-1.0), kind="stable")[:5]]
        names.append(table.expressions[search.rows[best[int(np.nanargmax(search.unseen[best]))]]])
    return list(dict.fromkeys(names))


def paired(mine: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Mean difference by seed with Student's 95 % interval."""
    apart = mine - theirs
    half = stats.t.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / len(apart) ** 0.5
    return {"difference": float(apart.mean()), "low": float(apart.mean() - half), "high": float(apart.mean() + half)}


def _shown(row: dict[str, float]) -> str:
    return f"{row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"


if __name__ == "__main__":
    main()
