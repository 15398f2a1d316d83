"""Known activations on the named tasks, five seeds each; writes `results.json` and `results.md` beside this file.

    python runs/baselines/baselines.py --data DIR [--only digits-deep ...]

Every training is kept as soon as it is done: a second call goes on where the first stopped.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from dataclasses import replace
from pathlib import Path

import torch

import symact
from symact.tasks import TASKS
from symact.tasks.data import Dataset, images
from symact.tasks.large import CIFAR10AllCNNC
from symact.tasks.networks import MakeActivation, all_cnn_c

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
FUNCTIONS = {
    "ELU": "elu(x)",
    "ReLU": "relu(x)",
    "SELU": "selu(x)",
    "sigmoid": "sigmoid(x)",
    "Softplus": "softplus(x)",
    "Softsign": "softsign(x)",
    "Swish": "swish(x)",
    "tanh": "tanh(x)",
    "GELU": "gelu(x)",
    "Mish": "mish(x)",
}


class AllCNNCSubset(CIFAR10AllCNNC):
    """All-CNN-C at a quarter of its width on 5,000 images of CIFAR-10, three epochs: what a CPU can do in a minute."""

    name = "cifar10-allcnnc (quarter width, 5,000 images, 3 epochs)"
    config = replace(CIFAR10AllCNNC.config, epochs=3, batch=64, optimizer="adam", rate=1e-3, weight_decay=0.0)

    def load(self) -> Dataset:
        return images("CIFAR10", self.root, train=5000, validation=2000)

    def network(self, make_activation: MakeActivation) -> torch.nn.Module:
        return all_cnn_c(make_activation, width=0.25, dropout=False)


# Task, functions, seeds.
PLAN = (
    (TASKS["digits-deep"], list(FUNCTIONS), 5),
    (TASKS["fashion14-deep"], list(FUNCTIONS), 5),
    (TASKS["mnist14-deep"], list(FUNCTIONS), 5),
    (TASKS["fashion-cnn"], ["ReLU", "Swish", "tanh", "ELU"], 5),
    (TASKS["mnist-cnn"], ["ReLU", "Swish", "tanh", "ELU"], 5),
    (AllCNNCSubset, ["ReLU", "ELU"], 5),
    (TASKS["kmnist-cnn"], ["ReLU", "Swish", "tanh", "ELU"], 5),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder of the data sets")
    parser.add_argument("--only", nargs="*", help="names of tasks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for make_task, names, seeds in PLAN:
        if arguments.only and not any(make_task.name.startswith(name) for name in arguments.only):
            continue
        task = make_task(arguments.data)
        for name in names:
            rows = results.setdefault(task.name, {}).setdefault(name, [])
            for seed in range(len(rows), seeds):
                outcome = task.final_test(lambda text=FUNCTIONS[name]: symact.Activation(text), seed)
                row = {"status": outcome.status, "score": outcome.score}
                row |= {key: outcome.metrics.get(key) for key in ("test_accuracy", "train_accuracy", "seconds")}
                rows.append(row)
                print(task.name, name, seed, row, flush=True)
                RESULTS.write_text(json.dumps(results, indent=1))
    (HERE / "results.md").write_text(table(results))


def table(results: dict) -> str:
    """Mean and standard deviation over the seeds, in percent, as Markdown."""
    lines = [f"torch {torch.__version__}, {platform.machine()}, one thread, seeds 0 to 4.", ""]
    for task, functions in results.items():
        lines += [f"## {task}", "", "| function | n | validation | test | train |", "|---|---|---|---|---|"]
        for name, rows in sorted(functions.items(), key=lambda item: -mean(item[1], "score")):
            cells = [f"{100 * mean(rows, k):.2f} ± {100 * spread(rows, k):.2f}" for k in ("score", "test_accuracy")]
            cells.append(f"{100 * mean(rows, 'train_accuracy'):.2f}")
            lines.append(f"| {name} | {len(rows)} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def mean(rows: list[dict], key: str) -> float:
    """Mean over the finished runs; 0 without any."""
    values = [row[key] for row in rows if row[key] is not None]
    return statistics.fmean(values) if values else 0.0


def spread(rows: list[dict], key: str) -> float:
    """Standard deviation over the finished runs."""
    values = [row[key] for row in rows if row[key] is not None]
    return statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
