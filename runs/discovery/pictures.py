"""What a family's functions say, drawn: `FOLDER/picture.png` from `FOLDER/results.json` of `discover.py`.

    python runs/discovery/pictures.py ood-polynomial image-fit pinn-convection char-lm char-lm-gated

The customary function, the best baseline of the finals and the best function found, trained once more on the seed of
the first final, on the test problem: an image; a solution and its error; a target along a line out of the region of the
examples. For the transformers, the functions themselves, and the differences of each seed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pyarrow.parquet as pq
import torch
from families import GRAMMARS
from torch import nn

from symact.activation.module import Activation
from symact.export.plot import surface
from symact.expr.tree import parse
from symact.program.loading import load_grammar
from symact.study.evaluating import training_seed
from symact.tasks import TASKS
from symact.tasks.equations import EQUATIONS, references
from symact.tasks.image_fit import SIZE, photograph, pixel_centres
from symact.tasks.out_of_distribution import EXAMPLES, SEEDS

matplotlib.use("Agg")
from matplotlib import pyplot

HERE, FINALS = Path(__file__).parent, 2000
# The customary functions of a family, tuned, and what they are called.
CUSTOMARY = {
    "image": {"relu(2*x)": "ReLU", "sin(5*x)": "SIREN's sine"},
    "pinn": {"tanh(3*x)": "tanh"},
    "ood": {"relu(2*x)": "ReLU", "gelu(2*x)": "GELU"},
}
# The form of SwiGLU with the best mean in the finals; both that were tuned are in `trials.parquet`.
SWIGLU = "x*sigmoid(0.5*x)*g"
Trained = dict[str, tuple[float, nn.Module]]


def chosen(name: str) -> dict[str, str]:
    """Function -> what it is called: customary ones, the best baseline on the test, and what a search found best."""
    document = json.loads((HERE / name / "results.json").read_text())
    search, sign = document["search"], 1 if document["direction"] == "maximize" else -1
    found = max(search["differences"], key=lambda text: sign * search["means"][text])
    names = dict(CUSTOMARY[name.split("-")[0]])
    return names | {document["test"]["rival"]: "best baseline", found: "found"}


def trained(name: str, texts: dict[str, str]) -> Trained:
    """Title -> score and network, on the test problem."""
    task, grammar, made = TASKS[name](), load_grammar(GRAMMARS[name.split("-")[0]]), {}
    for text, called in texts.items():
        seed = training_seed(FINALS, 0)
        outcome, model = task.trained(lambda t=text: Activation(parse(t, grammar), grammar), seed, test=True)
        made[f"{called}: {text}"] = (outcome.score if outcome.score is not None else float("nan"), model)
    return made


def image(name: str, networks: Trained) -> Any:
    """The photograph, and what each network says, where no pixel was shown too."""
    figure, axes = pyplot.subplots(1, 1 + len(networks), figsize=(3 * (1 + len(networks)), 3.4))
    axes[0].imshow(photograph("flower.jpg"))
    axes[0].set_title("the photograph", fontsize=9)
    for axis, (title, (score, model)) in zip(axes[1:], networks.items(), strict=True):
        with torch.no_grad():
            pixels = (model(pixel_centres()).clamp(-1, 1) + 1) / 2
        axis.imshow(pixels.reshape(SIZE, SIZE, 3))
        axis.set_title(f"{title}\n{score:.2f} dB", fontsize=8)
    for axis in axes:
        axis.set_axis_off()
    return figure


def equation(name: str, networks: Trained) -> Any:
    """The solution, and the error of each network on one scale."""
    kind = name.removeprefix("pinn-")
    own, (x, t, u) = EQUATIONS[kind], (torch.from_numpy(references()[f"{kind}-test-{axis}"]) for axis in "xtu")
    every_t, every_x = (axis.reshape(-1, 1).float() for axis in torch.meshgrid(t, x, indexing="ij"))
    errors = {}
    for title, (score, model) in networks.items():
        with torch.no_grad():
            value = own.value(model, every_x, every_t, own.constants[1]).reshape(u.shape)
        errors[title] = score, (value - u).abs()
    largest = max(float(error.max()) for _, error in errors.values())
    figure, axes = pyplot.subplots(1, 1 + len(networks), figsize=(3.4 * (1 + len(networks)), 3.4), layout="constrained")
    axes[0].pcolormesh(t, x, u.T, cmap="RdBu", shading="nearest")
    axes[0].set_title("the solution of the test", fontsize=9)
    axes[0].set_ylabel("x")
    for axis, (title, (score, error)) in zip(axes[1:], errors.items(), strict=True):
        shown = axis.pcolormesh(t, x, error.T, cmap="magma", vmin=0, vmax=largest, shading="nearest")
        called, text = title.split(": ", 1)
        axis.set_title(f"error of {called}:\n{text}\nrelative {10**score:.3f}, one seed", fontsize=8)
    for axis in axes:
        axis.set_xlabel("y" if kind == "helmholtz" else "t")
    figure.colorbar(shown, ax=axes[1:], label="absolute error")
    return figure


def line(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points ``(3, n)`` on a line out of the region of the examples, a coordinate along it, and which are inside."""
    way = np.linspace(0, 1, 300)
    if name == "ood-polynomial":
        along = -1.3 + 2.6 * way
        return along * np.array([[1.0], [-0.7], [0.8]]), along, np.abs(along) <= 1
    if name == "ood-harmonic":
        z = -1 + 1.5 * way
        radius = np.sqrt(1 - z**2)
        return np.stack([radius * np.cos(1.0), radius * np.sin(1.0), z]), z, z < 0
    along = 1 + 1.5 * way
    return along * np.ones((3, 1)), along, along <= 2


def outside(name: str, networks: Trained) -> Any:
    """Three of the six targets along that line, and what each network says there."""
    task = TASKS[name]()
    examples = task.points(np.random.default_rng([SEEDS[True], 20260205]), EXAMPLES, False)
    targets, (points, along, inside) = task.targets(True), line(name)
    x = torch.from_numpy(((points - examples.mean(1, keepdims=True)) / examples.std(1, keepdims=True)).T).float()
    figure, axes = pyplot.subplots(1, 3, figsize=(13, 3.6))
    for number, axis in enumerate(axes):
        seen, truth = targets[number](examples), targets[number](points)
        axis.plot(along, truth, color="black", linewidth=3, label="the target")
        for title, (score, model) in networks.items():
            with torch.no_grad():
                said = model(x)[:, number].numpy() * seen.std() + seen.mean()
            axis.plot(along, said, label=f"{title} ({10**score:.3f})")
        axis.axvspan(along[inside].min(), along[inside].max(), color="0.92", zorder=0)
        margin = 0.3 * np.ptp(truth)
        axis.set_ylim(truth.min() - margin, truth.max() + margin)
        axis.set_title(f"target {number + 1}; examples lie in the grey part", fontsize=9)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, fontsize=8, title="relative error outside, all targets")
    figure.subplots_adjust(bottom=0.32)
    return figure


def _finals(name: str) -> tuple[dict[str, Any], dict[str, list[float]], str]:
    """The finals of a task where less is better: the search problem, the scores of every function, the best found."""
    search = json.loads((HERE / name / "results.json").read_text())["search"]
    rows = sorted(pq.read_table(HERE / name / "trials.parquet").to_pylist(), key=lambda row: row["repeat"])
    scores: dict[str, list[float]] = {}
    for row in rows:
        if row["stage"] == "finals":
            scores.setdefault(row["function"], []).append(row["score"])
    return search, scores | search["scores"], min(search["differences"], key=search["means"].__getitem__)


def differences(axis: Any, found: list[float], rivals: dict[str, list[float]]) -> None:
    """What was found less each rival, a dot for every seed."""
    for row, other in enumerate(rivals.values()):
        own = [a - b for a, b in zip(found, other, strict=True)]
        axis.plot(own, np.full(len(own), float(row)) + np.linspace(-0.15, 0.15, len(own)), "o", alpha=0.7)
        axis.plot([np.mean(own)] * 2, [row - 0.25, row + 0.25], color="black")
    axis.axvline(0, color="0.5", linewidth=0.8)
    axis.set_yticks(range(len(rivals)), [f"to {called}" for called in rivals])
    axis.set_ylim(-0.6, len(rivals) - 0.4)
    axis.xaxis.set_major_locator(pyplot.MaxNLocator(4))
    axis.set_title("found minus baseline, each seed and the mean;\nbelow 0 what was found is better", fontsize=9)


def gates(name: str) -> Any:
    """SwiGLU, the best baseline and the best gate found as surfaces; the difference that each seed gave."""
    grammar = load_grammar(GRAMMARS[name])
    search, scores, found = _finals(name)
    figure, axes = pyplot.subplots(1, 4, figsize=(16, 3.9), layout="constrained")
    shown = {SWIGLU: "SwiGLU", search["rival"]: "the best baseline", found: "the best found"}
    for axis, (text, called) in zip(axes, shown.items(), strict=False):
        figure.colorbar(surface(axis, parse(text, grammar), {}), ax=axis)
        axis.set_title(f"{called}: {text}\n{np.mean(scores[text]):.3f} bits per character", fontsize=9)
    differences(axes[3], scores[found], {"SwiGLU": scores[SWIGLU], "the best\nbaseline": scores[search["rival"]]})
    return figure


def curves(name: str) -> Any:
    """Squared ReLU, the best baseline and the best function found, as they begin; the difference of each seed."""
    grammar, x = load_grammar(GRAMMARS[name]), torch.linspace(-4, 4, 801)
    search, scores, found = _finals(name)
    usual = next(text for text in scores if text.startswith("relu(") and text.endswith("**2"))
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 3.9), layout="constrained")
    for text, called in {usual: "squared ReLU", search["rival"]: "the best baseline", found: "the best found"}.items():
        with torch.no_grad():
            y = Activation(parse(text, grammar), grammar)(x)
        axes[0].plot(x, y, label=f"{called}: {text}\n{np.mean(scores[text]):.3f} bits per character")
    axes[0].set_ylim(-2, 4)
    axes[0].legend(fontsize=8)
    differences(axes[1], scores[found], {"squared ReLU": scores[usual], "the best\nbaseline": scores[search["rival"]]})
    return figure


PICTURES: dict[str, Callable[[str, Trained], Any]] = {"image": image, "pinn": equation, "ood": outside}
OF_FUNCTIONS: dict[str, Callable[[str], Any]] = {"char-lm": curves, "char-lm-gated": gates}


def main() -> None:
    """Draw the families that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+")
    torch.set_num_threads(1)
    for name in parser.parse_args().tasks:
        own = OF_FUNCTIONS.get(name)
        figure = own(name) if own else PICTURES[name.split("-")[0]](name, trained(name, chosen(name)))
        figure.savefig(HERE / name / "picture.png", dpi=100, bbox_inches="tight")


if __name__ == "__main__":
    main()
