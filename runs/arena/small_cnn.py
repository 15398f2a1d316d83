"""The task of the third table: a small convolutional network on KMNIST at 14x14.

    python runs/arena/small_cnn.py --data DIR --output runs/arena/kmnist14-cnn.parquet

builds the table, and goes on where it stopped: a random half of the functions, drawn with seed 0, and the baselines,
two seeds each. The settings of all contestants were frozen before.

Other data, other layers, another depth, and pooling, beside the two tables of deep perceptrons: 2,000 images train
two 3x3 convolutions (8 and 16 channels, the first with stride 2, 2x2 pooling after the second) and 32 hidden units,
three activation sites; two epochs of Adam. Score: accuracy on 2,000 further images.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import nn

from symact import equivalence
from symact.bench import build
from symact.expr.tree import parse
from symact.optimize.pool import Pool
from symact.program.loading import load_grammar
from symact.study.baselines import BASELINES
from symact.tasks.builtin import ImageTask
from symact.tasks.config import TrainConfig
from symact.tasks.data import Dataset, Split, images14
from symact.tasks.networks import glorot


class KMNIST14CNN(ImageTask):
    """KMNIST (or KMNIST-8k2k where that lies in the folder), 14x14, two convolutions and two linear layers."""

    name, sites = "kmnist14-cnn", 3
    feature_batch = 64
    config = TrainConfig(epochs=2, batch=64)

    def load(self) -> Dataset:
        flat = images14("KMNIST", self.root, 2_000)

        def squared(split: Split) -> Split:
            return Split(split.x.view(-1, 1, 14, 14), split.y)

        return Dataset(flat.name, 10, squared(flat.train), squared(flat.validation), squared(flat.test))

    def network(self, make_activation) -> nn.Module:
        layers = [
            nn.Conv2d(1, 8, 3, 2, 1), make_activation(),
            nn.Conv2d(8, 16, 3, 1, 1), nn.MaxPool2d(2), make_activation(),
            nn.Flatten(), nn.Linear(16 * 3 * 3, 32), make_activation(), nn.Linear(32, 10),
        ]  # fmt: skip
        model = nn.Sequential(*layers)
        glorot(model)
        return model.to(torch.float32)


def half() -> list:
    """Every second function of the space at random, and the baselines, in the order of the space."""
    grammar = load_grammar("aquasurf")
    space = grammar.space("bench")
    members, functions = equivalence.distinct(space), Pool.of(space)
    chosen = set(np.random.default_rng(0).permutation(len(members))[: len(members) // 2].tolist())
    baselines = {functions.index.key(parse(text, grammar)) for text in BASELINES}
    chosen |= {row for row, member in enumerate(members) if functions.index.key(member) in baselines}
    return [members[row] for row in sorted(chosen)]


def main() -> None:
    """Build the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--output", required=True)
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    def tell(done: int, total: int) -> None:
        if done % 100 == 0:
            print(done, total, flush=True)

    build(
        f"{__file__}:KMNIST14CNN", "aquasurf", "bench", arguments.output, arguments.seeds, data=arguments.data,
        only=half(), progress=tell,
    )  # fmt: skip


if __name__ == "__main__":
    main()
