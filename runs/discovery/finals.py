"""Train the best of the searches and the tuned baselines on fresh seeds, on the image of the search and on the other.

    python runs/discovery/finals.py OUT/evolution --count 3 --seeds 3
    python runs/discovery/finals.py OUT/evolution --count 3 --seeds 3 --report

Each training is a file in `--trainings`, so several processes may share the work (`--share 1/3`, `2/3`, `3/3`) and a
stopped one goes on. `--report` writes `results.json` and `picture.png` from what is there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from symact.activation.module import Activation
from symact.expr.tree import candidate_text, parse
from symact.files import write_text
from symact.program.loading import load_grammar
from symact.report.comparison import holm, paired_p
from symact.report.leaderboard import MINIMUM_PAIRS
from symact.store import Store
from symact.study.evaluating import training_seed
from symact.tasks.declaration import baselines_of
from symact.tasks.image_fit import SIZE, ImageFit, photograph, pixel_centres

HERE = Path(__file__).parent
NAMES = {"relu(2*x)": "ReLU", "sin(5*x)": "SIREN's sine"}
TASK, GRAMMAR = ImageFit(), load_grammar("inr")


def finalists(run: Path, evaluations: int, count: int) -> list[str]:
    """The best functions among the first evaluations of a search that are no baselines."""
    trials = [t for t in Store.open(run).trials() if t.number < evaluations and t.score is not None]
    ranked = sorted(trials, key=lambda trial: -(trial.merit or 0.0))
    return [candidate_text(trial.candidate) for trial in ranked if trial.origin != "baseline"][:count]


def train(text: str, seed: int, folder: Path) -> dict[str, Any]:
    """One training on each image, read if it was done."""
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}-{seed}.json"
    if not path.exists():
        outcome = TASK.final_test(lambda: Activation(parse(text, GRAMMAR), GRAMMAR), training_seed(0, seed, True))
        row = {"function": text, "seed": seed, "score": outcome.score, "reason": outcome.reason}
        row |= {key: outcome.metrics.get(key) for key in ("test_score", "train_psnr", "cpu_seconds", "test_failure")}
        write_text(path, json.dumps(row))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def report(functions: dict[str, str], folder: Path) -> None:
    """Write what is there: scores per seed, and differences to the best baseline on the seeds that both have."""
    rows = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    rows = [row for row in rows if row["function"] in functions and row["score"] is not None]
    document: dict[str, Any] = {"origin": functions, "trainings": rows}
    for image, key in (("search image", "score"), ("test image", "test_score")):
        scores = {text: {r["seed"]: r[key] for r in rows if r["function"] == text and r[key]} for text in functions}
        means = {text: sum(own.values()) / len(own) for text, own in scores.items() if own}
        best = max((text for text in means if functions[text] == "baseline"), key=lambda text: means[text])
        found = [text for text in means if functions[text] != "baseline"]
        pairs = {
            text: [(scores[text][s], scores[best][s]) for s in scores[text] if s in scores[best]] for text in found
        }
        tested = [text for text in found if len(pairs[text]) >= MINIMUM_PAIRS]
        p = dict(zip(tested, holm([paired_p(*zip(*pairs[text], strict=True)) for text in tested]), strict=True))
        document[image] = {"best baseline": best, "p": p}
        for text in sorted(means, key=lambda text: -means[text]):
            gap = sum(a - b for a, b in pairs.get(text, ())) / max(1, len(pairs.get(text, ())))
            own = f"{gap:+.2f} on {len(pairs[text])} seeds, p = {p.get(text, 'none')}" if text in pairs else "baseline"
            print(f"{image:13} {text:40} {means[text]:.2f}, n = {len(scores[text])}; {own}")
        if key == "score":
            ours = max(found, key=lambda text: means[text])
    write_text(HERE / "results.json", json.dumps(document, indent=1) + "\n")
    draw(ours)


def draw(ours: str) -> None:
    """The test image as ReLU, SIREN's sine and the best function found say it is, where no pixel was shown too."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 4, figsize=(12, 3.4))
    axes[0].imshow(photograph("flower.jpg"))
    axes[0].set_title("the photograph")
    named = {f"{name}, {text}": text for text, name in NAMES.items()} | {f"found, {ours}": ours}
    for axis, (title, text) in zip(axes[1:], named.items(), strict=True):
        outcome, model = TASK.trained(
            lambda text=text: Activation(parse(text, GRAMMAR), GRAMMAR), training_seed(0, 0, True), test=True
        )
        with torch.no_grad():
            pixels = (model(pixel_centres()).clamp(-1, 1) + 1) / 2
        axis.imshow(pixels.reshape(SIZE, SIZE, 3))
        axis.set_title(f"{title}\n{outcome.score or 0:.2f} dB", fontsize=9)
    for axis in axes:
        axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(HERE / "picture.png", dpi=110, bbox_inches="tight")


def main() -> None:
    """Train a share of the finals, or report on all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders of the searches")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=60, help="of each search, so that all have as many")
    parser.add_argument("--count", type=int, default=2, help="finalists of each search")
    parser.add_argument("--trainings", type=Path, default=Path("out/discovery"))
    parser.add_argument("--share", default="1/1")
    parser.add_argument("--report", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.trainings.mkdir(parents=True, exist_ok=True)
    chosen = {run.name: finalists(run, arguments.evaluations, arguments.count) for run in arguments.runs}
    functions = dict.fromkeys(baselines_of(TASK), "baseline")
    for name, texts in chosen.items():
        functions |= {text: name for text in texts if text not in functions}
    if arguments.report:
        report(functions, arguments.trainings)
        return
    part, parts = (int(number) for number in arguments.share.split("/"))
    work = [(text, seed) for seed in range(arguments.seeds) for text in functions]
    for text, seed in work[part - 1 :: parts]:
        train(text, seed, arguments.trainings)


if __name__ == "__main__":
    main()
