"""Swish under plain SGD and under RMSprop, weights drawn from N(0, 0.1); writes `results.json` and `loss.png`.

    python runs/swish_sgd/swish_sgd.py [--data DIR]

With small weights Swish is nearly x/2, every layer halves the signal and its gradient, and plain SGD
stands still at first; RMSprop divides the gradient by its size and does not.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import replace
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import nn

import symact
from symact.tasks import TASKS, Phase, TrainConfig, Turn
from symact.tasks.networks import mlp
from symact.tasks.train import measure_accuracy, train

HERE = Path(__file__).parent
DEVIATION, SEEDS = 0.1, 5
HIDDEN = [64] * 4
BASE = TrainConfig(epochs=20, batch=64, momentum=0.0)
OPTIMIZERS = {
    "SGD, rate 0.01": replace(BASE, optimizer="sgd", rate=0.01),
    "RMSprop, rate 0.001": replace(BASE, optimizer="rmsprop"),
}
FUNCTIONS = {"Swish": "x*sigmoid(x)", "ReLU": "relu(x)", "tanh": "tanh(x)"}


def curve(task, text: str, config: TrainConfig, seed: int) -> list[dict]:
    """Loss and accuracy per epoch of one training."""
    torch.manual_seed(seed)
    data = task.dataset
    model = mlp(lambda: symact.Activation(text), data.train.x.shape[1], HIDDEN, data.classes)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, DEVIATION)
    phases = [Phase("joint", config.epochs, (Turn(list(model.parameters()), data.train, config.rate),))]
    measure = lambda m: {"accuracy": measure_accuracy(m, data.validation, config)[1]}
    return train(model, phases, config, seed, measure=measure).curve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    task = TASKS["mnist14-deep" if arguments.data else "digits-deep"](arguments.data)
    results: dict = {"data": task.dataset.name, "torch": torch.__version__, "machine": platform.machine(), "curves": {}}
    for optimizer, config in OPTIMIZERS.items():
        for name, text in FUNCTIONS.items():
            results["curves"][f"{name}, {optimizer}"] = [curve(task, text, config, seed) for seed in range(SEEDS)]
    (HERE / "results.json").write_text(json.dumps(results))
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, optimizer in zip(panels, OPTIMIZERS, strict=True):
        for name, color in zip(FUNCTIONS, ("tab:blue", "tab:orange", "tab:green"), strict=True):
            runs = results["curves"][f"{name}, {optimizer}"]
            losses = torch.tensor([[row["train_loss"] for row in run] for run in runs])
            epochs = range(1, losses.shape[1] + 1)
            panel.plot(epochs, losses.mean(0), color=color, label=name)
            panel.fill_between(epochs, losses.min(0).values, losses.max(0).values, color=color, alpha=0.2, linewidth=0)
            accuracy = sum(run[-1]["accuracy"] for run in runs) / len(runs)
            shown = " ".join(f"{loss:.2f}" for loss in losses.mean(0).tolist())
            print(f"{name}, {optimizer}: accuracy {accuracy:.3f}, loss by epoch {shown}")
        panel.set_title(optimizer)
        panel.set_xlabel("epoch")
    panels[0].set_ylabel("training loss")
    panels[0].legend(frameon=False)
    figure.suptitle(
        f"{task.dataset.name}, {len(HIDDEN)} hidden layers of {HIDDEN[0]}, weights N(0, {DEVIATION}); "
        f"mean and range of {SEEDS} seeds",
        fontsize=9,
    )
    figure.savefig(HERE / "loss.png", dpi=110)


if __name__ == "__main__":
    main()
