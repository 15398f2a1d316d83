"""Data sets as tensors that stay on the device, with fixed splits.

In: the name of a data set and a root folder. Out: a `Dataset` of three `Split`s. Searches see the
train and validation splits; the test split is for the final report. The MNIST family is read from
its idx files, CIFAR from torchvision's layout or from one `.npz`; what is missing is downloaded by
torchvision into the user's cache when no root folder was given.

The root is, in this order: the argument, the environment variable `SYMACT_DATA`, the user's cache.
"""

from __future__ import annotations

import gzip
import math
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from symact.errors import InputError

# Shuffling before a split uses this seed and no other: a split never depends on the training seed.
SPLIT_SEED = 20170

IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
# Where a member of the MNIST family may lie under the root, best first.
IDX_FOLDERS = {
    "MNIST": ("MNIST/raw",),
    "FashionMNIST": ("FashionMNIST/raw",),
    "KMNIST": ("KMNIST/raw", "KMNIST-8k2k/KMNIST/raw"),
}


@dataclass(frozen=True)
class Split:
    """Inputs `x` of shape ``(n, ...)`` (float32) and labels `y` of shape ``(n,)`` (int64).

    `x` is a tensor, or `folder.FolderImages` for sets that do not fit in memory.

    Attributes:
        x: see above.
        y: see above.
        pixels: of images, mean and deviation ``(channels,)`` of their pixels in [0, 255], by which `x` was scaled.
    """

    x: Any
    y: torch.Tensor
    pixels: tuple[torch.Tensor, torch.Tensor] | None = None

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device | str) -> Split:
        """The same split on `device`."""
        return replace(self, x=self.x.to(device), y=self.y.to(device))

    def first(self, count: int) -> Split:
        """The first rows; the order of the split is already shuffled."""
        return self.part(0, count)

    def part(self, start: int, stop: int) -> Split:
        """The rows from `start` to before `stop`."""
        rows = slice(start, stop)
        x = self.x[rows] if isinstance(self.x, torch.Tensor) else self.x.part(rows)
        return replace(self, x=x, y=self.y[rows])

    def halves(self) -> tuple[Split, Split]:
        """First and second half, for bi-level training; the order of the split is already shuffled."""
        middle = len(self) // 2
        return self.part(0, middle), self.part(middle, len(self))


@dataclass(frozen=True)
class Dataset:
    """A data set cut into three.

    Attributes:
        name: name to report, with the variant (`"KMNIST-8k2k"`).
        classes: number of classes.
        train: what the weights see.
        validation: what a search sees.
        test: what the final report sees, and nothing before it.
    """

    name: str
    classes: int
    train: Split
    validation: Split
    test: Split

    def to(self, device: torch.device | str) -> Dataset:
        """The same data set on `device`."""
        train, validation, test = (part.to(device) for part in (self.train, self.validation, self.test))
        return Dataset(self.name, self.classes, train, validation, test)


@dataclass(frozen=True)
class Images:
    """Raw images as read: uint8 arrays ``(n, height, width, channels)`` and int64 labels, train and test."""

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def data_root(data: str | os.PathLike[str] | None) -> Path | None:
    """The folder given, else `SYMACT_DATA`, else None (the user's cache, where downloading is allowed)."""
    chosen = data or os.environ.get("SYMACT_DATA")
    return Path(chosen).expanduser() if chosen else None


def cache_folder() -> Path:
    """Where downloads go when no root was given."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "symact" / "data"


@lru_cache(maxsize=4)
def read_images(name: str, root: Path | None) -> Images:
    """Read one image set; results are kept in memory, so treat them as read-only.

    Args:
        name: MNIST, FashionMNIST, KMNIST, CIFAR10, CIFAR100 or Imagenette.
        root: folder that holds the sets, or None for the cache with download.

    Raises:
        InputError: unknown name, files missing, or no download possible.
    """
    reader = READERS.get(name)
    if reader is None:
        raise InputError(f"unknown data set {name!r}; known: {', '.join(READERS)}")
    if root is not None and not root.is_dir():
        raise InputError(f"data folder {root} does not exist; give --data or SYMACT_DATA a folder that holds {name}")
    return reader(name, root)


def digits() -> Dataset:
    """scikit-learn's 1,797 digits of 8x8: 1,097 to train, 350 to validate, 350 to test; ``(n, 64)``."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(bunch.target))
    x = torch.from_numpy(bunch.data[order].astype(np.float32))
    y = torch.from_numpy(bunch.target[order].astype(np.int64))
    x = standardized(x, x[:1097])
    train, validation, test = (Split(x[a:b], y[a:b]) for a, b in ((0, 1097), (1097, 1447), (1447, 1797)))
    return Dataset("digits", 10, train, validation, test)


def shifted_digits(frame: int = 12, copies: int = 3) -> Dataset:
    """The digits anywhere in a larger frame, each `copies` times: 3,291 to train, 1,050 to validate and to test.

    A linear function of the pixels cannot say what is where it does not know to look: it reaches a third of them.
    Each digit stays in its part of `digits`, so that no picture of one part is in another.

    Args:
        frame: pixels a side, at least 8; an image is flat, ``(frame * frame,)``.
        copies: places of each digit, drawn independently.
    """
    plain = digits()
    parts = []
    for number, part in enumerate((plain.train, plain.validation, plain.test)):
        generator = np.random.default_rng([SPLIT_SEED, number])
        images = part.x.reshape(-1, 8, 8).repeat_interleave(copies, 0)
        # Standardized ink is lightest where there is none.
        x = torch.full((len(images), frame, frame), float(plain.train.x.min()))
        for row, (top, left) in enumerate(generator.integers(0, frame - 7, (len(images), 2)).tolist()):
            x[row, top : top + 8, left : left + 8] = images[row]
        parts.append((x.flatten(1), part.y.repeat_interleave(copies)))
    return Dataset("shifted digits", 10, *(Split(standardized(x, parts[0][0]), y) for x, y in parts))


def images14(name: str, root: Path | None, count: int = 5000) -> Dataset:
    """A member of the MNIST family at 14x14 (mean of 2x2 pixels), flat: ``(n, 196)``.

    The first `count` images of the training file train, the next `count` validate, the test file
    tests; all are standardized by one mean and one deviation, those of the training images.
    """
    raw = read_images(name, root)

    def small(x: np.ndarray) -> torch.Tensor:
        pixels = torch.from_numpy(x[..., 0].astype(np.float32))
        return torch.nn.functional.avg_pool2d(pixels.unsqueeze(1), 2).flatten(1)

    if len(raw.y_train) < 2 * count:
        # KMNIST-8k2k has 8,000 images: the same proportions of what is there.
        count = len(raw.y_train) // 2
    x = small(raw.x_train[: 2 * count])
    mean, deviation = x[:count].mean(), x[:count].std()
    x, x_test = (x - mean) / deviation, (small(raw.x_test) - mean) / deviation
    y = torch.from_numpy(raw.y_train[: 2 * count])
    return Dataset(
        f"{raw.name} 14x14",
        10,
        Split(x[:count].contiguous(), y[:count]),
        Split(x[count:].contiguous(), y[count:]),
        Split(x_test, torch.from_numpy(raw.y_test)),
    )


def images(name: str, root: Path | None, train: int | None = None, validation: int | None = None) -> Dataset:
    """An image set at full size, ``(n, channels, height, width)``, standardized per channel.

    The training file is shuffled by a fixed seed (class-ordered files are common), then cut: one sixth
    of it, at most 10,000 images, validates, the rest trains.

    Args:
        name: as in `read_images`.
        root: as in `read_images`.
        train: keep only the first so many training images.
        validation: keep only the first so many validation images.
    """
    raw = read_images(name, root)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(raw.y_train))
    held_out = min(10_000, math.ceil(len(order) / 6))
    chosen = {"train": order[held_out:][:train], "validation": order[:held_out][:validation]}
    # Statistics come from a fixed sample of the training part, so that a subset is scaled like the whole.
    sample = raw.x_train[order[held_out:][:10_000]].reshape(-1, raw.x_train.shape[-1]).astype(np.float64)
    mean, deviation = sample.mean(0).astype(np.float32), (sample.std(0) + 1e-8).astype(np.float32)

    pixels = torch.from_numpy(mean), torch.from_numpy(deviation)

    def part(x: np.ndarray, y: np.ndarray) -> Split:
        scaled = np.ascontiguousarray(((x.astype(np.float32) - mean) / deviation).transpose(0, 3, 1, 2))
        return Split(torch.from_numpy(scaled), torch.from_numpy(y), pixels)

    train_part, validation_part = (part(raw.x_train[rows], raw.y_train[rows]) for rows in chosen.values())
    return Dataset(raw.name, int(raw.y_train.max()) + 1, train_part, validation_part, part(raw.x_test, raw.y_test))


def standardized(x: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """`x` minus the mean, divided by the deviation of all numbers in `reference`."""
    return (x - reference.mean()) / reference.std()


def _read_idx_set(name: str, root: Path | None) -> Images:
    base = root or cache_folder()
    folder = next((base / f for f in IDX_FOLDERS[name] if _has_idx(base / f)), None)
    if folder is None:
        if root is not None:
            wanted = " or ".join(str(root / f) for f in IDX_FOLDERS[name])
            raise InputError(
                f"{name} is not in {root}: no idx files ({', '.join(IDX_FILES['train'])}, ...) in {wanted}; "
                "give another folder with --data, or none to download it"
            )
        _download(name, base)
        folder = base / IDX_FOLDERS[name][0]
    shown = folder.relative_to(base).parts[0]
    arrays = []
    for part in ("train", "test"):
        x, y = (_read_idx(folder, file) for file in IDX_FILES[part])
        if len(x) != len(y):
            raise InputError(f"{folder}: {len(x)} {part} images but {len(y)} labels; unpack the data set again")
        arrays += [x[..., None], y.astype(np.int64)]
    return Images(shown, *arrays)


def _has_idx(folder: Path) -> bool:
    names = [file for files in IDX_FILES.values() for file in files]
    return all((folder / file).exists() or (folder / f"{file}.gz").exists() for file in names)


def _read_idx(folder: Path, file: str) -> np.ndarray:
    """One idx file (unsigned bytes): magic ``0 0 8 dimensions``, big-endian sizes, data."""
    path = folder / file
    content = path.read_bytes() if path.exists() else gzip.decompress((folder / f"{file}.gz").read_bytes())
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise InputError(f"{path} is not an idx file of bytes; unpack the data set again")
    dimensions = content[3]
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    if len(content) != 4 + 4 * dimensions + math.prod(shape):
        raise InputError(f"{path} is cut off: {len(content)} bytes for the shape {shape}; unpack it again")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _read_cifar(name: str, root: Path | None) -> Images:
    base = root or cache_folder()
    archive = base / name / f"{name.lower()}.npz"
    if archive.exists():
        with np.load(archive, allow_pickle=False) as file:
            missing = {"x_train", "y_train", "x_test", "y_test"} - set(file.files)
            if missing:
                raise InputError(f"{archive} lacks the arrays {', '.join(sorted(missing))}")
            return Images(name, *(file[key] for key in ("x_train", "y_train", "x_test", "y_test")))
    from torchvision import datasets

    # torchvision compares the md5 of every file before it unpickles it.
    make = getattr(datasets, name)
    for place in (base, base / name):
        try:
            parts = [make(place, train=train, download=False) for train in (True, False)]
            break
        except RuntimeError:
            continue
    else:
        if root is not None:
            raise InputError(f"{name} is not in {root}: neither {archive} nor torchvision's folder; see --data")
        _download(name, base)
        parts = [make(base, train=train, download=False) for train in (True, False)]
    arrays = [array for part in parts for array in (part.data, np.asarray(part.targets, np.int64))]
    return Images(name, *arrays)


def _read_imagenette(name: str, root: Path | None, size: int = 160, crop: int = 128) -> Images:
    """Imagenette at 160 pixels, centre crop of 128; torchvision's folder layout."""
    from torchvision import datasets, transforms

    base = root or cache_folder()
    shrink = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(crop)])
    arrays = []
    for split in ("train", "val"):
        try:
            part = datasets.Imagenette(base, split=split, size="160px", download=False, transform=shrink)
        except RuntimeError:
            if root is not None:
                raise InputError(f"Imagenette (imagenette2-160) is not in {root}; see --data") from None
            with _downloading(name, base):
                part = datasets.Imagenette(base, split=split, size="160px", download=True, transform=shrink)
        except (FileNotFoundError, KeyError) as error:
            raise InputError(f"{base}/imagenette2-160/{split} is not as unpacked ({error}); unpack it again") from None
        pairs = [part[i] for i in range(len(part))]
        arrays += [np.stack([np.asarray(image) for image, _ in pairs]), np.asarray([y for _, y in pairs], np.int64)]
    return Images(name, *arrays)


def _download(name: str, base: Path) -> None:
    from torchvision import datasets

    with _downloading(name, base):
        for train in (True, False):
            getattr(datasets, name)(base, train=train, download=True)


@contextmanager
def _downloading(name: str, base: Path) -> Iterator[None]:
    """Turns whatever a failed download raises into one clear line, and does not wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20.0)
    try:
        base.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{name} is not in {base} and could not be downloaded ({reason}); "
            "put it into a folder and name that with --data or SYMACT_DATA"
        ) from error
    finally:
        socket.setdefaulttimeout(before)


READERS: dict[str, Callable[[str, Path | None], Images]] = {
    "MNIST": _read_idx_set,
    "FashionMNIST": _read_idx_set,
    "KMNIST": _read_idx_set,
    "CIFAR10": _read_cifar,
    "CIFAR100": _read_cifar,
    "Imagenette": _read_imagenette,
}
