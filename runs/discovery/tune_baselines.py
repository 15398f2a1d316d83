"""Tune the frequencies and slopes of a task's known champions on a fixed budget, so that a win is no win against an
untuned rival.

    python runs/discovery/tune_baselines.py --task image-fit --output runs/discovery/image-fit/tuned.json

Every member of a family is trained once, on the seed that a search with `--seed 0` trains on. What is trained already
is read from the output, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import product
from pathlib import Path

import torch

from symact.activation.module import Activation
from symact.files import write_text
from symact.study.evaluating import training_seed
from symact.tasks import TASKS
from symact.tasks.declaration import metric_of

# Task -> family -> (formula, one list of values per gap of the formula).
FAMILIES: dict[str, dict[str, tuple[str, list[list[float]]]]] = {
    "image-fit": {
        "ReLU": ("relu({}*x)", [[1, 2, 4, 8]]),
        "tanh": ("tanh({}*x)", [[1, 2, 4, 8, 12, 16]]),
        "SIREN's sine": ("sin({}*x)", [[2, 3, 4, 5, 6, 7, 8, 10]]),
        "Gauss": ("exp(-({}*x)**2)", [[3, 4, 5, 6, 7, 8, 10, 12]]),
        "FINER": ("sin({}*(abs(x) + 1)*x)", [[1, 1.5, 2, 2.5, 3, 4, 5, 6]]),
        "sinc": ("sinc({}*x)", [[4, 6, 8, 10, 12, 14, 16, 20]]),
        "WIRE, real": ("cos({}*x)*exp(-({}*x)**2)", [[2, 3, 4, 5, 6, 7, 8, 10], [1, 2, 3, 4]]),
    },
}


def main() -> None:
    """Train what is missing, and write all of it with the best of each family."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=list(FAMILIES), default="image-fit")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    task, metric = TASKS[arguments.task](), metric_of(TASKS[arguments.task])
    known = json.loads(arguments.output.read_text())["trainings"] if arguments.output.exists() else {}
    seed, start = training_seed(0, 0), time.process_time()
    for family, (formula, gaps) in FAMILIES[arguments.task].items():
        for values in product(*gaps):
            text = formula.format(*(f"{value:g}" for value in values))
            if text not in known:
                outcome = task.evaluate(lambda text=text: Activation(text), seed)
                known[text] = {"family": family, "score": outcome.score, "status": outcome.status.value}
        members = {text: row for text, row in known.items() if row["family"] == family and row["score"] is not None}
        best = max(members, key=lambda text: metric.merit(members[text]["score"]), default="none finished")
        print(family, best, metric.text(members[best]["score"]) if members else "", flush=True)
        document = {"task": arguments.task, "seed": seed, "trainings": known}
        write_text(arguments.output, json.dumps(document, indent=1) + "\n")
    print(f"{len(known)} trainings, {time.process_time() - start:.0f} s of CPU in this run")


if __name__ == "__main__":
    main()
