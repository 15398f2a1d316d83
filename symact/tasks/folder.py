"""Images in folders, read batch by batch: for sets that do not fit in memory (ImageNet's layout).

`FolderImages` stands in for the tensor `x` of a `Split`: it has a length, is indexed by a tensor of
rows, and is split into pieces. Threads decode the pixels, of the next batches while one is trained on.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from symact.errors import InputError
from symact.tasks.data import SPLIT_SEED, Dataset, Split

# Mean and deviation of ImageNet's training pixels, red, green, blue, as torchvision's models use them.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SUFFIXES = {".jpeg", ".jpg", ".png"}
AHEAD = 2  # batches that are read while one is trained on


@dataclass(frozen=True)
class FolderImages:
    """Images of a folder, decoded when indexed.

    Attributes:
        paths: one file per row.
        size: side of the square that is given.
        device: where the tensors go.
        workers: threads that read; 0 for as many as there are cores.
    """

    paths: tuple[Path, ...]
    size: int = 224
    device: str | torch.device = "cpu"
    workers: int = 0

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """The images of `rows`, their centre, ``(n, 3, size, size)``, normalized."""
        chosen = torch.arange(len(self))[rows] if isinstance(rows, slice) else rows
        return next(self.ahead([chosen], [None]))

    def part(self, rows: slice) -> FolderImages:
        """The images of `rows`, not read yet."""
        return replace(self, paths=self.paths[rows])

    def split(self, size: int) -> Iterator[torch.Tensor]:
        """Consecutive pieces of `size` rows, their centres."""
        parts = torch.arange(len(self)).split(size)
        return self.ahead(parts, [None] * len(parts))

    def ahead(self, parts: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor | None]) -> Iterator[torch.Tensor]:
        """The images of each part, while the next parts are being read.

        Args:
            parts: rows.
            boxes: for each part, what is to be seen of its images, as `augment.cropped` takes it; None for the centre.
        """
        pool = ThreadPoolExecutor(self.workers or len(os.sched_getaffinity(0)))
        waiting: deque[list[Future[torch.Tensor]]] = deque()
        try:
            for rows, box in zip(parts, boxes, strict=True):
                chosen = [None] * len(rows) if box is None else box.tolist()
                pairs = zip(rows.tolist(), chosen, strict=True)
                waiting.append([pool.submit(self._read, self.paths[row], one) for row, one in pairs])
                if len(waiting) > AHEAD:
                    yield self._normalized(waiting.popleft())
            while waiting:
                yield self._normalized(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def to(self, device: torch.device | str) -> FolderImages:
        """The same images, given on `device`."""
        return replace(self, device=device)

    def _normalized(self, images: Sequence[Future[torch.Tensor]]) -> torch.Tensor:
        if not images:
            return torch.empty(0, 3, self.size, self.size, device=self.device)
        pixels = torch.stack([image.result() for image in images])
        if torch.device(self.device).type == "cuda":  # the copy then goes on beside the training
            pixels = pixels.pin_memory()
        pixels = pixels.to(self.device, non_blocking=True)
        mean, deviation = (torch.tensor(t, device=self.device).view(3, 1, 1) for t in (MEAN, DEVIATION))
        return (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / deviation

    def _read(self, path: Path, box: Sequence[float] | None) -> torch.Tensor:
        from PIL import Image

        with Image.open(path) as opened:
            image = opened.convert("RGB")
        width, height = image.size
        if box is None:
            side, ratio, left, top = min(width, height) * 224 / 256, 1.0, 0.5, 0.5
        else:
            area, ratio, left, top = box
            side = (width * height * area) ** 0.5
        wide, high = min(width, side * ratio**0.5), min(height, side / ratio**0.5)
        corner = (left * (width - wide), top * (height - high))
        part = image.resize(
            (self.size, self.size), Image.Resampling.BILINEAR, (*corner, corner[0] + wide, corner[1] + high)
        )
        return torch.from_numpy(np.array(part))


def imagenet(
    root: Path | None, name: str = "ImageNet", size: int = 224, validation: int = 50_000, workers: int = 0
) -> Dataset:
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

    pixels = torch.tensor(MEAN) * 255, torch.tensor(DEVIATION) * 255

    def split(rows: list[tuple[Path, int]]) -> Split:
        images = FolderImages(tuple(f for f, _ in rows), size, workers=workers)
        return Split(images, torch.tensor([k for _, k in rows]), pixels)

    train = [parts["train"][row] for row in order]
    return Dataset(name, len(classes), split(train[held_out:]), split(train[:held_out]), split(parts["val"]))
