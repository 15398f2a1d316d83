"""Bansal's learned mixtures with real training: shares per layer, accuracies beside single functions, figures.

    python runs/mixtures/mixtures.py --data DIR
    python runs/mixtures/mixtures.py --data DIR --images 3000

The net of the paper (`fashion-cnn` and its likes: two convolutions, two linear layers, three sites). As the paper does,
it trains on every image of the training file and is measured on the test file, by which nothing is chosen; with
`--images` on so many images, measured on up to 5,000 others of the training file. A mixture trains by the three-cycle
schedule, 30 epochs; every single function for as many epochs, all together with Adam. The paper's mixture comes first,
then ReLU, then the rest. Goes on where it stopped: `results.json`, or `results-N.json`, holds every training, and the
table and the figure show those that there are; `--table` trains nothing.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

import symact
from symact.files import write_text
from symact.optimize.mixture import Mixture
from symact.optimize.mixture_formula import site_proportions, weighted_sum
from symact.program.loading import load_grammar
from symact.report.mixtures import curves_figure, shares, spread
from symact.report.mixtures import table as share_table
from symact.tasks import TASKS
from symact.tasks.data import Dataset, Split

HERE = Path(__file__).parent
DATA = {"MNIST": "mnist-cnn", "Fashion-MNIST": "fashion-cnn", "KMNIST": "kmnist-cnn"}
SINGLE = ("relu(x)", "tanh(x)", "sin(x)")
EPOCHS = 30
MORE = ("relu(x)", "tanh(x)", "sin(x)", "elu(x)", "swish(x)")
# name -> settings of the mixture
MIXTURES: dict[str, dict] = {
    "ReLU, tanh, sin": {},
    "with products": {"products": True},
    "five functions": {"functions": MORE},
}


def task_of(data: str, root: str | None, images: int | None) -> Any:
    """The task on so many images, or on all of them with the test images in place of the validation."""
    task = TASKS[DATA[data]](root)
    task.train_images, task.validation_images = images, 5_000 if images else None
    if images is None:
        whole = task.dataset
        x, y = (torch.cat(pair) for pair in zip(*((s.x, s.y) for s in (whole.train, whole.validation)), strict=True))
        task.dataset = Dataset(whole.name, whole.classes, Split(x, y), whole.test, whole.test)
    return task


def train(name: str, data: str, seed: int, root: str | None, images: int | None) -> dict:
    """One training: accuracy, epochs, seconds, and each site's shares."""
    task = task_of(data, root, images)
    grammar = load_grammar("aquasurf")
    if name in SINGLE:
        task.config = type(task.config)(epochs=EPOCHS, batch=task.config.batch)
        outcome = task.evaluate(lambda: symact.Activation(name), seed)
        return {"score": outcome.score, "epochs": EPOCHS, "seconds": outcome.metrics["seconds"]}
    (candidate,) = Mixture(grammar.space("bench"), 0, **MIXTURES[name]).ask(1)
    outcome = task.evaluate(lambda: symact.Activation(candidate, grammar), seed, schedule="three-cycle")
    shares = [site_proportions(site) for site in outcome.constants]
    return {
        "score": outcome.score, "epochs": outcome.metrics["epochs"], "seconds": outcome.metrics["seconds"],
        "shares": shares, "formula": str(candidate),
        "curve": [(row["phase"], row["accuracy"]) for row in outcome.metrics["curve"]],
    }  # fmt: skip


def main() -> None:
    """Train what is missing, then write the table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, help="train on so many images, not on all")
    parser.add_argument("--table", action="store_true", help="train nothing, show what there is")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    suffix = f"-{arguments.images}" if arguments.images else ""
    output = HERE / f"results{suffix}.json"
    results = json.loads(output.read_text()) if output.exists() else {}
    jobs = [(name, data) for name in ("ReLU, tanh, sin", "relu(x)") for data in DATA]
    jobs += [(name, data) for name in SINGLE[1:] for data in DATA]
    jobs += [(name, "Fashion-MNIST") for name in list(MIXTURES)[1:]]
    for name, data in jobs:
        for seed in range(arguments.seeds):
            key = f"{data} | {name} | {seed}"
            if key not in results and not arguments.table:
                results[key] = train(name, data, seed, arguments.data, arguments.images)
                write_text(output, json.dumps(results, indent=1) + "\n")
                print(key, results[key]["score"], f"{results[key]['seconds']:.0f} s", flush=True)
    write_text(HERE / f"results{suffix}.md", table(results, jobs, arguments.seeds))
    figure(results, arguments.seeds, HERE / f"curves{suffix}.png")


def table(results: dict, jobs: list, seeds: int) -> str:
    """Accuracies and shares as Markdown."""
    lines = [
        "| data | activation | n | accuracy, mean (deviation) | less ReLU, paired | epochs |",
        "|---|---|---|---|---|---|",
    ]
    for data in DATA:
        for name in [name for name, of in jobs if of == data]:
            rows = {s: results[f"{data} | {name} | {s}"] for s in range(seeds) if f"{data} | {name} | {s}" in results}
            if not rows:
                continue
            scores = np.array([row["score"] for row in rows.values()])
            pairs = [(row, results.get(f"{data} | relu(x) | {seed}")) for seed, row in rows.items()]
            gains = np.array([row["score"] - relu["score"] for row, relu in pairs if relu])
            epochs = next(iter(rows.values()))["epochs"]
            versus = "-" if name == "relu(x)" or not len(gains) else interval(gains, "+.4f")
            lines.append(f"| {data} | {name} | {len(rows)} | {spread(scores, '.4f')} | {versus} | {epochs} |")
    lines += ["", "| data | layer | n | ReLU | tanh | sin |", "|---|---|---|---|---|---|"]
    for data in DATA:
        _, rows = share_table(shares(shares_of(results, data, seeds)))
        lines += [f"| {data} | " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def shares_of(results: dict, data: str, seeds: int) -> list:
    """The shares of Bansal's mixture on a data set, one entry per seed."""
    keys = [f"{data} | ReLU, tanh, sin | {seed}" for seed in range(seeds)]
    return [results[key]["shares"] for key in keys if key in results]


def interval(values: np.ndarray, form: str) -> str:
    """Mean and Student's 95 % interval; the mean alone of one value."""
    mean = values.mean()
    if len(values) < 2:
        return f"{mean:{form}}"
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{mean:{form}} [{mean - half:{form}}, {mean + half:{form}}]"


def figure(results: dict, seeds: int, path: Path) -> None:
    """The learned curve of every layer, mean over seeds, on four intervals."""
    mixture = weighted_sum({f"w0_f{i}": text for i, text in enumerate(SINGLE)}, load_grammar("aquasurf"))
    # Shares are weights that add up to 1, and so stand in their place.
    curves_figure({data: (mixture, shares_of(results, data, seeds)) for data in DATA}).savefig(path, dpi=80)


if __name__ == "__main__":
    main()
