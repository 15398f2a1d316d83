"""Landscapes of ReLU, Swish and tanh, and what their sites are used for; writes pictures beside this file.

python runs/landscapes/landscapes.py --data DIR
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import symact
from symact.report.landscapes import landscape_figure, loss_landscape, output_landscape, site_histogram, site_inputs
from symact.tasks.schedules import plan
from symact.tasks.train import measure_accuracy, train

HERE = Path(__file__).parent
FUNCTIONS = {"ReLU": "relu(x)", "Swish": "x*sigmoid(x)", "tanh": "tanh(x)"}
# The function that AQuaSurF found on CoAtNet, and saw used in two ways.
WINNER = "erfc(softplus(x))**2"


def trained(task, text: str, seed: int = 0):
    """A network of `task` trained as the task does; the site inputs before and after, and the accuracy."""
    model, activations = task.build(lambda: symact.Activation(text), seed)
    before = site_inputs(model, activations, task.dataset.validation.x[:1000])
    phases = plan("joint", model, activations, task.dataset.train, task.config)
    train(model, phases, task.config, seed)
    after = site_inputs(model, activations, task.dataset.validation.x[:1000])
    return model, activations, before, after, measure_accuracy(model, task.dataset.validation, task.config)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder of the data sets")
    parser.add_argument("--task", default="fashion14-deep")
    task = symact.TASKS[parser.parse_args().task](parser.parse_args().data)
    torch.set_num_threads(1)

    outputs = {name: output_landscape(lambda t=text: symact.Activation(t)) for name, text in FUNCTIONS.items()}
    names = ("first input", "second input")
    landscape_figure(outputs, 10.0, "output", axes=names).savefig(HERE / "output.png", dpi=110)

    losses = {}
    for name, text in (FUNCTIONS | {"erfc(softplus(x))^2": WINNER}).items():
        model, activations, before, after, accuracy = trained(task, text)
        print(f"{name}: validation accuracy {accuracy:.4f}")
        if name in FUNCTIONS:
            losses[f"{name}, accuracy {accuracy:.3f}"] = loss_landscape(model, task.dataset.validation)
        title = f"{name} on {task.name}: inputs of each activation site"
        file = "sites-" + name.split("(")[0].lower() + ".png"
        site_histogram(before, after, activations, title).savefig(HERE / file, dpi=110)
    names = ("along the first random direction", "along the second")
    landscape_figure(losses, 1.0, "validation loss", logarithmic=True, axes=names).savefig(HERE / "loss.png", dpi=110)


if __name__ == "__main__":
    main()
