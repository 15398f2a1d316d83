"""How a network is trained: the settings, which `--train KEY=VALUE` changes, and the rate that they give each step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from symact.tasks.first_order import UPDATE_RULES


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained.

    Attributes:
        epochs: passes over the training split at budget 1.
        batch: batch size; the last batch of an epoch may be smaller.
        optimizer: a row of `first_order.UPDATE_RULES`: sgd, nesterov, adam, adamw, rmsprop.
        rate: learning rate.
        rate_batch: the batch size for which `rate` is meant, with which it grows; 0 takes the rate as it is.
        momentum: for sgd, nesterov and rmsprop.
        weight_decay: decoupled for adamw, added to the gradient otherwise; of weights alone, see `FlatParameters`.
        clip: largest norm of a gradient; 0 for none.
        warmup: fraction of a phase's steps in which the rate rises, from a fifth.
        decay: `"constant"`, `"cosine"` to anneal the rate to zero over the rest of the (shortened) training, or
            `"linear"` down to 7 % of it.
        label_smoothing: of the cross-entropy loss.
        mixed_precision: bfloat16 autocast, on CUDA only.
        channels_last: images and weights of convolutions lie in memory with their channels last.
        compile: loss and gradient are compiled whole by `torch.compile`; what it cannot compile is an error.
        augment: random shifts (or crops) and horizontal flips of images.
        shift: pixels of a shift at most; zeros enter.
        crop: in place of shifts, random parts of images of at least this fraction of their area, at the size of the
            whole; 0 for none. Images in files are cut as they are read.
        alternate_flips: an image is flipped in every other epoch, in place of at random.
        randaugment: random operations on each image (RandAugment's N); 0 for none.
        magnitude: of those operations, from 0 to 30 (RandAugment's M).
        mixup: alpha of the beta distribution by which inputs and their labels are averaged in pairs; 0 for none.
        cutmix: alpha of the beta distribution by which a part of each image is another's, and of their labels; 0 for
            none. With `mixup` as well each image has one of the two, by chance.
        random_erase: probability with which a random rectangle of an image is erased.
        workers: threads that read images from files, ahead of the training; 0 for as many as there are cores.
        lookahead: every so many steps the weights are averaged with older ones, ever more slowly towards the end; 0 for
            never.
        ema: decay of an exponential moving average of the weights (`average.Average`), which is validated and kept in
            their place; 0 for none.
        evaluation_batch: rows at a time when no gradient is needed.
        processes: that train the network together, each on its part of every batch, see `ranks`.
        checkpoints: folder in which an unfinished training is kept after each epoch; `""` for none. No result depends
            on it.
        subset: train on the first so many images, and validate on as many at most; 0 for all.
        width: factor on the numbers of units or channels of a network that can be made wider.
        initial_scale: factor on the initial weights of all layers.
    """

    epochs: float = 10
    batch: int = 128
    optimizer: str = "adam"
    rate: float = 1e-3
    rate_batch: int = 0
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip: float = 0.0
    warmup: float = 0.0
    decay: str = "constant"
    label_smoothing: float = 0.0
    mixed_precision: bool = False
    channels_last: bool = False
    compile: bool = False
    augment: bool = False
    shift: int = 4
    crop: float = 0.0
    alternate_flips: bool = False
    randaugment: int = 0
    magnitude: float = 9.0
    mixup: float = 0.0
    cutmix: float = 0.0
    random_erase: float = 0.0
    workers: int = 0
    lookahead: int = 0
    ema: float = 0.0
    evaluation_batch: int = 1000
    processes: int = 1
    checkpoints: str = ""
    subset: int = 0
    width: float = 1.0
    initial_scale: float = 1.0


# Name of a decay -> the factor on the rate, of how much of the decay is over, in [0, 1].
DECAYS: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "linear": lambda done: 1 - 0.93 * done,
}
# What the settings that are names may be.
CHOICES = {"optimizer": tuple(UPDATE_RULES), "decay": tuple(DECAYS)}
# Those that say how a training is run or judged, not how a network learns.
UNTUNABLE = ("processes", "workers", "checkpoints", "compile", "channels_last", "evaluation_batch", "subset")
WARMUP_FROM = 0.2


def rate_factor(config: TrainConfig, step: int, total: int) -> float:
    """The factor on the rate at a step, from 0, of a phase of `total` steps."""
    rising = config.warmup * total
    if step < rising:
        return WARMUP_FROM + (1 - WARMUP_FROM) * step / rising
    return DECAYS[config.decay]((step - rising) / (total - rising))


def lookahead_weight(step: int, total: int) -> float:
    """How much of the older weights is kept after a step (Jordan 2024, arXiv:2404.00498, section 3.4)."""
    return float(0.95**5 * (step / total) ** 3)
