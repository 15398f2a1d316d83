"""Random changes of images: what is drawn for each image, and what is made of it on the device.

All numbers are drawn on the CPU by the generator of the training, one row per image, before any image is touched:
every function meets the same changes, whatever the device. Random-resized crops follow Szegedy et al. 2015
(arXiv:1409.4842), RandAugment arXiv:1909.13719 with the operations of `torchvision.transforms.v2`, random erasing
arXiv:1708.04896, mixup arXiv:1710.09412, CutMix arXiv:1905.04899.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch.nn import functional

from symact.errors import InputError
from symact.tasks.config import TrainConfig
from symact.tasks.data import Split

Draws: TypeAlias = dict[str, torch.Tensor]  # by name, one row per image

PIECE = 4096  # images at a time, where the changes take room
STRONGEST = 30  # RandAugment's magnitudes are 0 to 30
GRAY = 128.0  # fills what an operation leaves empty
LEAST_RATIO = 3 / 4  # of width to height of a random part
# Of what is erased, as fractions of the image's area, and the least ratio of width to height (arXiv:1708.04896, 4.2).
ERASED, LEAST_ERASED_RATIO = (0.02, 0.33), 0.3
MIXING = ("share", "cuts", "center")  # draws for pairs of images, not for each alone


def draw(count: int, config: TrainConfig, generator: torch.Generator) -> Draws:
    """Whatever the settings want of `count` images."""
    found: Draws = {}
    if config.augment and config.crop:
        area, ratio, left, top = torch.rand(count, 4, generator=generator).unbind(1)
        ratio = LEAST_RATIO ** (1 - 2 * ratio)
        found["box"] = torch.stack([config.crop + (1 - config.crop) * area, ratio, left, top], 1)
    elif config.augment:
        found["shift"] = torch.randint(0, 2 * config.shift + 1, (2, count), generator=generator).T
    if config.augment and not config.alternate_flips:
        found["flip"] = torch.rand(count, generator=generator) < 0.5
    if config.randaugment:
        found["operation"] = torch.randint(len(OPERATIONS), (count, config.randaugment), generator=generator)
        found["sign"] = torch.randint(2, (count, config.randaugment), generator=generator) * 2 - 1
    if config.mixup:
        found["share"] = _beta(config.mixup, count, generator)
    if config.cutmix:
        share, found["center"] = _beta(config.cutmix, count, generator), torch.rand(count, 2, generator=generator)
        found["cuts"] = torch.ones(count, dtype=torch.bool)
        if config.mixup:  # each image has one of the two
            found["cuts"] = torch.rand(count, generator=generator) < 0.5
            share = torch.where(found["cuts"], share, found["share"])
        found["share"] = share
    if config.random_erase:
        found["erase"] = torch.rand(count, 5, generator=generator)
    return found


def _beta(alpha: float, count: int, generator: torch.Generator) -> torch.Tensor:
    """Shares of a symmetric beta distribution; torch draws none from a generator of one's own."""
    own = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    return torch.from_numpy(own.beta(alpha, alpha, count)).float()


def cut(draws: Draws, sizes: Sequence[int]) -> list[Draws]:
    """The draws of consecutive pieces of so many images."""
    parts: list[Draws] = [{} for _ in sizes]
    for name, tensor in draws.items():
        for part, piece in zip(parts, tensor.split(list(sizes)), strict=True):
            part[name] = piece
    return parts


def check(data: Split, config: TrainConfig) -> None:
    """Raise unless the data is of the kind that the settings change.

    Raises:
        InputError: it is not.
    """
    is_tensor = isinstance(data.x, torch.Tensor)
    wanted = [name for name in ("augment", "randaugment", "cutmix", "random_erase") if getattr(config, name)]
    if wanted and is_tensor and data.x.dim() != 4:
        name = wanted[0]
        raise InputError(
            f"--train {name}: for images, (n, channels, height, width); inputs of this task have the shape "
            f"{tuple(data.x.shape[1:])}; leave it out"
        )
    if config.randaugment and data.pixels is None:
        raise InputError(
            "--train randaugment: the task must tell mean and deviation of its pixels before they were scaled, as "
            "Split.pixels, Split(x, y, pixels=(mean, deviation))"
        )
    mixes = [name for name in ("mixup", "cutmix") if getattr(config, name)]
    if mixes and not (data.y.dim() == 1 and (not is_tensor or data.x.is_floating_point())):
        raise InputError(
            f"--train {mixes[0]}: for inputs of floating point and one label each, which this task has not; "
            "leave it out"
        )


def augmented(x: torch.Tensor, draws: Draws, config: TrainConfig, data: Split) -> torch.Tensor:
    """Images ``(n, channels, height, width)``, changed as drawn, except for what mixes them."""
    if "shift" in draws:
        x = shifted(x, draws["shift"], draws["flip"], config.shift)
    elif "box" in draws:
        pieces = zip(*(t.split(PIECE) for t in (x, draws["box"], draws["flip"])), strict=True)
        x = torch.cat([cropped(part, box, flip) for part, box, flip in pieces])
    elif "flip" in draws:
        x = torch.where(draws["flip"].to(x.device)[:, None, None, None], x.flip(3), x)
    if "operation" in draws:
        assert data.pixels is not None
        pieces = zip(*(t.split(PIECE) for t in (x, draws["operation"], draws["sign"])), strict=True)
        x = torch.cat(
            [randaugment(part, operation, sign, config.magnitude, data.pixels) for part, operation, sign in pieces]
        )
    if "erase" in draws:
        pieces = zip(x.split(PIECE), draws["erase"].split(PIECE), strict=True)
        x = torch.cat([erased(part, numbers, config.random_erase) for part, numbers in pieces])
    return x


def shifted(x: torch.Tensor, shift: torch.Tensor, flip: torch.Tensor, most: int) -> torch.Tensor:
    """Images moved by a shift ``(n, 2)`` from 0 to twice `most`, the middle of which is none, and flipped; 0 enters."""
    count, _, height, width = x.shape
    shift, flip = shift.to(x.device), flip.to(x.device)
    rows = shift[:, :1] + torch.arange(height, device=x.device)
    columns = shift[:, 1:] + torch.arange(width, device=x.device)
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    padded = functional.pad(x, (most,) * 4).permute(0, 2, 3, 1)
    index = torch.arange(count, device=x.device)[:, None, None]
    return padded[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def cropped(x: torch.Tensor, box: torch.Tensor, flip: torch.Tensor) -> torch.Tensor:
    """Parts of images at their full size again, bilinear, and flipped.

    Args:
        x: ``(n, channels, height, width)``.
        box: ``(n, 4)``: the part's area as a fraction, its ratio of width to height, and where it lies between left
            and right, top and bottom, in [0, 1]. What would not fit is cut.
        flip: ``(n,)``.
    """
    height, width = x.shape[2:]
    area, ratio, left, top = box.to(x.device).unbind(1)
    wide = ((height * width * area * ratio).sqrt() / width).clamp(max=1)
    high = ((height * width * area / ratio).sqrt() / height).clamp(max=1)
    zero, sign = torch.zeros_like(wide), 1 - 2 * flip.to(x.device, wide.dtype)
    # The centre of a part lies from -(1 - wide) to 1 - wide, where the image lies from -1 to 1.
    rows = [wide * sign, zero, (1 - wide) * (2 * left - 1)], [zero, high, (1 - high) * (2 * top - 1)]
    theta = torch.stack([torch.stack(row, 1) for row in rows], 1)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def randaugment(
    x: torch.Tensor,
    operation: torch.Tensor,
    sign: torch.Tensor,
    magnitude: float,
    pixels: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """RandAugment: operations of one strength, one after the other; images with the same one are changed together.

    Args:
        x: ``(n, channels, height, width)``, scaled.
        operation: ``(n, k)``, rows of `OPERATIONS`.
        sign: ``(n, k)``, 1 or -1, for operations of two directions.
        magnitude: from 0 to `STRONGEST`.
        pixels: mean and deviation ``(channels,)`` of pixels in [0, 255], by which `x` was scaled.
    """
    mean, deviation = (part.to(x.device, x.dtype).view(1, -1, 1, 1) for part in pixels)
    images = (x * deviation + mean).round_().clamp_(0, 255).to(torch.uint8)
    strength = magnitude / STRONGEST
    for column, signs in zip(operation.unbind(1), sign.unbind(1), strict=True):
        for number, change in enumerate(OPERATIONS.values()):
            for direction in (1, -1):
                rows = ((column == number) & (signs == direction)).nonzero()[:, 0].to(x.device)
                if len(rows):
                    images[rows] = change(images[rows], direction * strength)
    return (images.to(x.dtype) - mean) / deviation


def erased(x: torch.Tensor, numbers: torch.Tensor, probability: float) -> torch.Tensor:
    """Random erasing: a rectangle of some images is 0, the mean of scaled images.

    Args:
        x: ``(n, channels, height, width)``.
        numbers: ``(n, 5)`` in [0, 1): below `probability` the image is changed; then the rectangle's area in `ERASED`,
            its ratio (evenly by its logarithm), and where it lies between left and right, top and bottom. What would
            not fit is cut.
        probability: of a change.
    """
    height, width = x.shape[2:]
    chosen, area, ratio, left, top = numbers.to(x.device).unbind(1)
    area = (ERASED[0] + (ERASED[1] - ERASED[0]) * area) * height * width
    ratio = LEAST_ERASED_RATIO ** (1 - 2 * ratio)
    wide = (area * ratio).sqrt().round().clamp(1, width)
    high = (area / ratio).sqrt().round().clamp(1, height)
    first = (left * (width - wide + 1)).floor(), (top * (height - high + 1)).floor()
    inside = _inside(x, first[0], first[0] + wide, first[1], first[1] + high)
    return x.masked_fill(inside & (chosen < probability)[:, None, None, None], 0.0)


def _inside(
    x: torch.Tensor, left: torch.Tensor, right: torch.Tensor, top: torch.Tensor, bottom: torch.Tensor
) -> torch.Tensor:
    """Which pixels ``(n, 1, height, width)`` lie in the rectangles of images, the last row and column excluded."""
    rows, columns = (torch.arange(size, device=x.device) for size in x.shape[2:])
    down = (rows >= top[:, None]) & (rows < bottom[:, None])
    across = (columns >= left[:, None]) & (columns < right[:, None])
    return (down[:, :, None] & across[:, None, :])[:, None]


class MixedLabels(NamedTuple):
    """Labels of averaged inputs: `share` ``(n,)`` of the first, the rest of the second."""

    first: torch.Tensor
    second: torch.Tensor
    share: torch.Tensor


Labels: TypeAlias = torch.Tensor | MixedLabels


def mixed(x: torch.Tensor, y: torch.Tensor, draws: Draws) -> tuple[torch.Tensor, MixedLabels]:
    """Every input with its neighbour in the (random) order of the batch; the last of an odd number stays.

    Args:
        x: inputs of a batch.
        y: their labels.
        draws: `share` ``(n,)``, how much of an input is its own. With mixup the two are averaged. Where `cuts` ``(n,)``
            says so (CutMix), a rectangle of the image with the rest of its area is the other's: about `center`
            ``(n, 2)`` of column and row in [0, 1), and cut off at the border, so that the share grows.
    """
    partner = (torch.arange(len(y), device=x.device) ^ 1).clamp(max=len(y) - 1)
    share = draws["share"].to(x.device)
    weight = share.to(x.dtype).view(-1, *(1,) * (x.dim() - 1))
    if "cuts" not in draws:
        return torch.lerp(x[partner], x, weight), MixedLabels(y, y[partner], share)
    cuts, center = draws["cuts"].to(x.device), draws["center"].to(x.device)
    side, ends = (1 - share).sqrt() / 2, []
    for at, size in zip(center.unbind(1), (x.shape[3], x.shape[2]), strict=True):
        middle, half = (at * size).floor(), (side * size).floor()
        ends += [(middle - half).clamp(min=0), (middle + half).clamp(max=size)]
    inside = _inside(x, *ends)
    found = torch.where(inside, x[partner], x)
    own = 1 - inside.float().mean((1, 2, 3)).to(share.dtype)
    if not cuts.all():
        found = torch.where(cuts[:, None, None, None], found, torch.lerp(x[partner], x, weight))
    return found, MixedLabels(y, y[partner], torch.where(cuts, own, share))


def _affine(
    x: torch.Tensor,
    degrees: float = 0.0,
    right: float = 0.0,
    down: float = 0.0,
    shear: float = 0.0,
    shear_down: float = 0.0,
) -> torch.Tensor:
    from torchvision.transforms.v2 import functional as vision

    moved = [round(right * x.shape[-1]), round(down * x.shape[-2])]
    shears = [math.degrees(math.atan(shear)), math.degrees(math.atan(shear_down))]
    found: torch.Tensor = vision.affine(x, degrees, moved, 1.0, shears, fill=[GRAY] * x.shape[1])
    return found


def _vision(name: str) -> Callable[..., torch.Tensor]:
    """A function of torchvision's, imported when it is first called."""

    def call(*arguments: object) -> torch.Tensor:
        from torchvision.transforms.v2 import functional as vision

        found: torch.Tensor = getattr(vision, name)(*arguments)
        return found

    return call


# The 14 operations of the paper, of images of bytes and a strength in [-1, 1]; the ranges are AutoAugment's, as
# torchvision has them.
OPERATIONS: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "identity": lambda x, strength: x,
    "shear_x": lambda x, strength: _affine(x, shear=0.3 * strength),
    "shear_y": lambda x, strength: _affine(x, shear_down=0.3 * strength),
    "translate_x": lambda x, strength: _affine(x, right=150 / 331 * strength),
    "translate_y": lambda x, strength: _affine(x, down=150 / 331 * strength),
    "rotate": lambda x, strength: _affine(x, 30 * strength),
    "brightness": lambda x, strength: _vision("adjust_brightness")(x, 1 + 0.9 * strength),
    "color": lambda x, strength: _vision("adjust_saturation")(x, 1 + 0.9 * strength),
    "contrast": lambda x, strength: _vision("adjust_contrast")(x, 1 + 0.9 * strength),
    "sharpness": lambda x, strength: _vision("adjust_sharpness")(x, 1 + 0.9 * strength),
    "posterize": lambda x, strength: _vision("posterize")(x, 8 - round(4 * abs(strength))),
    "solarize": lambda x, strength: _vision("solarize")(x, 255 * (1 - abs(strength))),
    "autocontrast": lambda x, strength: _vision("autocontrast")(x),
    "equalize": lambda x, strength: _vision("equalize")(x),
}
