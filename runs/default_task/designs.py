"""Designs of a small classification task, measured: does a linear network fail, do known good functions lead?

    python runs/default_task/designs.py [--only NAME ...] [--seeds 5] [--others 60]

For each design: the validation accuracy of the identity and of known functions over several seeds, the share
of functions drawn from AQuaSurF's benchmark space that are better, and processor seconds per training. Results
go to `results.json` beside this file; what is there is not measured again.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

import symact
from symact.optimize.pool import Pool
from symact.program.loading import load_grammar
from symact.tasks import ImageTask, TrainConfig
from symact.tasks.builtin import DigitsDeep, DigitsShifted
from symact.tasks.data import SPLIT_SEED, Dataset, Split, shifted_digits
from symact.tasks.networks import MakeActivation, mlp

HERE = Path(__file__).parent
KNOWN = (
    "x",
    "relu(x)",
    "gelu(x)",
    "swish(x)",
    "elu(x)",
    "selu(x)",
    "mish(x)",
    "leakyrelu(x)",
    "softplus(x)",
    "tanh(x)",
    "softsign(x)",
    "sigmoid(x)",
    "abs(x)",
    "sin(x)",
    "x**2",
)
SIZES = {"train": (0, 1097), "validation": (1097, 1447), "test": (1447, 1797)}


def raw() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits in the order of `symact.tasks.data.digits`: ``(1797, 8, 8)`` and labels."""
    bunch = load_digits()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(bunch.target))
    return bunch.images[order].astype(np.float32), bunch.target[order].astype(np.int64)


def dataset(name: str, classes: int, make) -> Dataset:  # type: ignore[no-untyped-def]
    """A data set whose parts are `make(images, labels, generator, part)`, standardized by the training part."""
    images, labels = raw()
    parts = {}
    for number, (part, (start, end)) in enumerate(SIZES.items()):
        generator = np.random.default_rng([SPLIT_SEED, number])
        x, y = make(images[start:end], labels[start:end], generator, part)
        parts[part] = torch.from_numpy(np.ascontiguousarray(x.reshape(len(x), -1), np.float32)), torch.from_numpy(y)
    mean, deviation = parts["train"][0].mean(), parts["train"][0].std()
    return Dataset(name, classes, *(Split((x - mean) / deviation, y) for x, y in parts.values()))


class ShiftedMore(DigitsShifted):
    """Five places of each digit."""

    name = "shifted in 12x12, 3x64, five copies"

    def load(self) -> Dataset:
        return shifted_digits(copies=5)


class ShiftedFour(ShiftedMore):
    """The same with four layers of 64."""

    name, sites = "shifted in 12x12, 4x64, five copies", 4

    def network(self, make_activation: MakeActivation) -> torch.nn.Module:
        return mlp(make_activation, 144, [64] * 4, 10)


class ShiftedDeep(DigitsShifted):
    """Three places of each digit, six layers of 32."""

    name, sites = "shifted in 12x12, 6x32", 6

    def network(self, make_activation: MakeActivation) -> torch.nn.Module:
        return mlp(make_activation, 144, [32] * 6, 10)


class ShiftedLittle(DigitsShifted):
    """A frame of 10x10, four layers of 32."""

    name, sites = "shifted in 10x10, 4x32", 4

    def load(self) -> Dataset:
        return shifted_digits(frame=10)

    def network(self, make_activation: MakeActivation) -> torch.nn.Module:
        return mlp(make_activation, 100, [32] * 4, 10)


class Changed(ImageTask):
    """Digits that are changed on their way into a network of linear layers."""

    sites, hidden, inputs, classes = 4, [32] * 4, 64, 10
    config = TrainConfig(epochs=10, batch=64)

    def network(self, make_activation: MakeActivation) -> torch.nn.Module:
        return mlp(make_activation, self.inputs, self.hidden, self.classes)


class Turned(Changed):
    """Each digit turned by a multiple of 90 degrees and mirrored at random, two copies to train."""

    name, sites, hidden = "turned and mirrored, 4x32", 4, [32] * 4
    copies = 3

    def load(self) -> Dataset:
        def make(images, labels, generator, part):  # type: ignore[no-untyped-def]
            images, labels = np.repeat(images, self.copies, 0), np.repeat(labels, self.copies)
            turns, flips = generator.integers(0, 4, len(images)), generator.integers(0, 2, len(images))
            x = [np.rot90(image[:, ::-1] if f else image, t) for image, t, f in zip(images, turns, flips, strict=True)]
            return np.stack(x), labels

        return dataset(self.name, 10, make)


class Inverted(Changed):
    """Each digit in black on white or white on black at random."""

    name, sites, hidden = "inverted at random, 4x32", 4, [32] * 4
    copies = 2

    def load(self) -> Dataset:
        def make(images, labels, generator, part):  # type: ignore[no-untyped-def]
            images, labels = np.repeat(images, self.copies, 0), np.repeat(labels, self.copies)
            flips = generator.integers(0, 2, len(images))[:, None, None]
            return np.where(flips, 16 - images, images), labels

        return dataset(self.name, 10, make)


class Pairs(Changed):
    """Two digits side by side; the class is their sum modulo ten."""

    name, sites, hidden, inputs = "sum of two modulo 10, 3x64", 3, [64] * 3, 128
    config = TrainConfig(epochs=10, batch=64)
    counts = {"train": 4000, "validation": 1000, "test": 1000}

    def label(self, a, b):  # type: ignore[no-untyped-def]
        return (a + b) % 10

    def load(self) -> Dataset:
        def make(images, labels, generator, part):  # type: ignore[no-untyped-def]
            first, second = generator.integers(0, len(images), (2, self.counts[part]))
            return np.concatenate([images[first], images[second]], 2), self.label(labels[first], labels[second])

        return dataset(self.name, self.classes, make)


class Larger(Pairs):
    """Two digits side by side; the class is the larger one."""

    name = "larger of two, 3x64"

    def label(self, a, b):  # type: ignore[no-untyped-def]
        return np.maximum(a, b)


class Difference(Pairs):
    """Two digits side by side; the class is how far they are apart."""

    name = "distance of two, 3x64"

    def label(self, a, b):  # type: ignore[no-untyped-def]
        return np.abs(a - b)


DESIGNS = (DigitsShifted, DigitsDeep, ShiftedMore, ShiftedFour, ShiftedDeep, ShiftedLittle, Turned, Inverted, Pairs)
DESIGNS += (Larger, Difference)


def measured(task: ImageTask, text: str, seeds: range) -> dict[str, list[float | None]]:
    """Scores by seed, None where the training failed, and processor seconds by seed."""
    grammar = load_grammar("aquasurf")
    scores: list[float | None] = []
    seconds: list[float | None] = []
    for seed in seeds:
        start = time.process_time()
        scores.append(task.evaluate(lambda: symact.Activation(text, grammar), seed).score)
        seconds.append(time.process_time() - start)
    return {"scores": scores, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--others", type=int, default=60)
    parser.add_argument("--output", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    draws = Pool.of(load_grammar("aquasurf").space("bench")).draws(0)
    others = [str(next(draws)) for _ in range(arguments.others)]
    for design in DESIGNS:
        if arguments.only and design.__name__ not in arguments.only:
            continue
        task, rows = design(), results.setdefault(design.name, {"known": {}, "others": {}})
        for text in KNOWN:
            if text not in rows["known"]:
                rows["known"][text] = measured(task, text, range(arguments.seeds))
        for text in others:
            if text not in rows["others"]:
                rows["others"][text] = measured(task, text, range(1))
        arguments.output.write_text(json.dumps(results, indent=1))
        print(summary(design.name, rows), flush=True)
    print(f"{platform.machine()}, torch {torch.__version__}, one thread")


def summary(name: str, rows: dict) -> str:  # type: ignore[type-arg]
    """One design in a few lines."""
    lines = [f"{name}"]
    drawn = [row["scores"][0] if row["scores"][0] is not None else -1 for row in rows["others"].values()]
    for text, row in rows["known"].items():
        scores = [s for s in row["scores"] if s is not None]
        if not scores:
            lines.append(f"  {text:14} failed")
            continue
        mean, spread = statistics.mean(scores), statistics.stdev(scores) if len(scores) > 1 else float("nan")
        share = sum(score > mean for score in drawn) / max(1, len(drawn))
        seconds = statistics.mean(row["seconds"][1:] or row["seconds"])
        lines.append(
            f"  {text:14} {mean:.3f} +- {spread:.3f} (n = {len(scores)})  {share:4.0%} better  {seconds:.2f} s"
        )
    best = sorted(((row["scores"][0] or -1, text) for text, row in rows["others"].items()), reverse=True)[:5]
    seconds = statistics.mean(s for row in rows["others"].values() for s in row["seconds"])
    lines.append(f"  drawn: best {', '.join(f'{text} {score:.3f}' for score, text in best)}; {seconds:.2f} s each")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
