"""Images in folders, read batch by batch: for sets that do not fit in memory (ImageNet's layout).

`FolderImages` stands in for the tensor `x` of a `Split`: it has a length, is indexed by a tensor of
rows, and is split into pieces; the pixels are decoded when they are asked for, by threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from symact.errors import InputError
from symact.tasks.data import SPLIT_SEED, Dataset, Split

# Mean and deviation of ImageNet's training pixels, red, green, blue, as torchvision's models use them.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SUFFIXES = {".jpeg", ".jpg", ".png"}


@dataclass(frozen=True)
class FolderImages:
    """Images of a folder, decoded when indexed.

    Attributes:
        paths: one file per row.
        size: side of the square that is given.
        augment: a random part and a random flip (Szegedy et al. 2015) in place of the centre.
        device: where the tensors go.
    """

    paths: tuple[Path, ...]
    size: int = 224
    augment: bool = False
    device: str | torch.device = "cpu"

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """The images of `rows`, ``(n, 3, size, size)``, normalized."""
        chosen = self.paths[rows] if isinstance(rows, slice) else [self.paths[row] for row in rows.tolist()]
        # Parameters of the random parts come from torch's generator, one stream whatever the threads do.
        random = torch.rand(len(chosen), 5).tolist() if self.augment else [None] * len(chosen)
        with ThreadPoolExecutor() as pool:
            pixels = torch.stack(list(pool.map(self._read, chosen, random))).to(self.device)
        mean, deviation = (torch.tensor(t, device=self.device).view(3, 1, 1) for t in (MEAN, DEVIATION))
        return (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / deviation

    def split(self, size: int) -> Iterator[torch.Tensor]:
        """Consecutive pieces of `size` rows, each read when it is asked for."""
        return (self[slice(start, start + size)] for start in range(0, len(self), size))

    def to(self, device: torch.device | str) -> FolderImages:
        """The same images, given on `device`."""
        return replace(self, device=device)

    def _read(self, path: Path, random: list[float] | None) -> torch.Tensor:
        from PIL import Image

        with Image.open(path) as opened:
            image = opened.convert("RGB")
        width, height = image.size
        if random is None:
            side = min(width, height) * 224 / 256
            ratio, left, top = 1.0, 0.5, 0.5
        else:
            side = (width * height * (0.08 + 0.92 * random[0])) ** 0.5
            ratio, left, top = (3 / 4) ** (1 - 2 * random[1]), random[2], random[3]
        wide, high = min(width, side * ratio**0.5), min(height, side / ratio**0.5)
        box = (left * (width - wide), top * (height - high))
        part = image.resize((self.size, self.size), Image.Resampling.BILINEAR, (*box, box[0] + wide, box[1] + high))
        array = np.array(part)
        return torch.from_numpy(array[:, ::-1].copy() if random is not None and random[4] < 0.5 else array)


def imagenet(root: Path | None, name: str = "ImageNet", size: int = 224, validation: int = 50_000) -> Dataset:
    """`name` in ImageNet's layout under the root: `train/<class>/*.JPEG` and `val/<class>/*.JPEG`.

    The validation split is drawn from the training folder by the fixed seed (at most a tenth of it); the
    folder `val` is the test split.

    Raises:
        InputError: no such folders, or classes that differ.
    """
    folder = (root or Path()) / name
    if root is None or not (folder / "train").is_dir() or not (folder / "val").is_dir():
        raise InputError(f"{name} is not there: give --data a folder that holds {name}/train and {name}/val")
    classes = sorted(path.name for path in (folder / "train").iterdir() if path.is_dir())
    parts = {}
    for part in ("train", "val"):
        if part == "val" and sorted(p.name for p in (folder / part).iterdir() if p.is_dir()) != classes:
            raise InputError(f"{folder}/val has other classes than {folder}/train")
        files = [(f, k) for k, c in enumerate(classes) for f in sorted((folder / part / c).iterdir())]
        parts[part] = [(f, k) for f, k in files if f.suffix.lower() in SUFFIXES]
    order = np.random.default_rng(SPLIT_SEED).permutation(len(parts["train"])).tolist()
    held_out = min(validation, len(order) // 10)

    def split(rows: list[tuple[Path, int]], augment: bool) -> Split:
        return Split(FolderImages(tuple(f for f, _ in rows), size, augment), torch.tensor([k for _, k in rows]))

    train = [parts["train"][row] for row in order]
    return Dataset(
        name, len(classes), split(train[held_out:], True), split(train[:held_out], False), split(parts["val"], False)
    )
