"""CPU seconds per candidate of `fashion14-deep`: a plain PyTorch loop, symact's loop, and its average over a space.

    python runs/training_speed/training_speed.py --data DIR [--functions 60]

One thread; the sides take turns, seed by seed, so that whatever else the machine does hits all alike. CPU
seconds of this process are counted, not wall time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import symact
from symact.tasks import TASKS

HERE = Path(__file__).parent


def plain(task, make_activation: Callable[[], nn.Module], seed: int) -> float:
    """The task as one would write it down: module calls, `torch.optim.Adam`, index by a permutation."""
    data, config = task.dataset, task.config
    model, _ = task.build(make_activation, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.rate)
    accuracy = 0.0
    for _ in range(int(config.epochs)):
        for rows in torch.randperm(len(data.train)).split(config.batch):
            loss = functional.cross_entropy(model(data.train.x[rows]), data.train.y[rows])
            if not torch.isfinite(loss):
                return accuracy
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (model(data.validation.x).argmax(1) == data.validation.y).float().mean().item()
    return accuracy


def timed(function: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data")
    parser.add_argument("--functions", type=int, default=60, help="how many of the space, evenly spread")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    task = TASKS["fashion14-deep"](arguments.data)
    ways = {
        "plain loop, nn.ReLU": lambda seed: plain(task, nn.ReLU, seed),
        "symact, nn.ReLU": lambda seed: task.evaluate(nn.ReLU, seed),
        "plain loop, Activation('relu(x)')": lambda seed: plain(task, lambda: symact.Activation("relu(x)"), seed),
        "symact, Activation('relu(x)')": lambda seed: task.evaluate(lambda: symact.Activation("relu(x)"), seed),
        "plain loop, nn.SiLU": lambda seed: plain(task, nn.SiLU, seed),
        "symact, Activation('x*sigmoid(x)')": lambda seed: task.evaluate(
            lambda: symact.Activation("x*sigmoid(x)"), seed
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(-1, arguments.repeats):
        for name, way in ways.items():
            spent = timed(lambda way=way, seed=seed: way(max(seed, 0)))
            if seed >= 0:
                seconds[name].append(spent)
    results: dict = {"machine": platform.machine(), "torch": torch.__version__, "repeats": arguments.repeats}
    results["relu"] = {
        name: {"median": statistics.median(s), "fastest": min(s), "slowest": max(s)} for name, s in seconds.items()
    }

    grammar = symact.load_grammar("aquasurf")
    space = grammar.space("bench")
    chosen = np.linspace(0, space.count() - 1, arguments.functions).astype(int)
    wanted = set(chosen.tolist())
    expressions = [e for k, e in enumerate(itertools.islice(space, int(chosen[-1]) + 1)) if k in wanted]
    spent, statuses = [], []
    for expr in expressions:
        start = time.process_time()
        outcome = task.evaluate(lambda expr=expr: symact.Activation(expr, grammar), 0)
        spent.append(time.process_time() - start)
        statuses.append(str(outcome.status))
    finished = [s for s, status in zip(spent, statuses, strict=True) if status == "finished"]
    results["bench space"] = {
        "functions": len(spent),
        "finished": len(finished),
        "mean": statistics.fmean(spent),
        "mean of the finished": statistics.fmean(finished),
        "candidates per core-second": len(spent) / sum(spent),
        "slowest": {str(expressions[k]): spent[k] for k in np.argsort(spent)[-5:].tolist()},
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=1))
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
