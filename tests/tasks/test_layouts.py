"""Every named task on made-up images that lie as torchvision, or ImageNet, lays them out."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from symact.errors import InputError
from symact.tasks import TASKS, ImageTask
from symact.tasks.data import IDX_FILES, read_images

GENERATOR = np.random.default_rng(0)
# The ten classes of Imagenette, of which these are two.
IMAGENETTE = ("n01440764", "n02102040")


@pytest.fixture(autouse=True)
def forget() -> None:
    read_images.cache_clear()


def write_idx(name: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def write(root: Path, patch: pytest.MonkeyPatch) -> None:
        folder = root / name / "raw"
        folder.mkdir(parents=True)
        for part, count in (("train", 60), ("test", 20)):
            arrays = GENERATOR.integers(0, 256, (count, 28, 28), dtype=np.uint8), (np.arange(count) % 10)
            for file, array in zip(IDX_FILES[part], arrays, strict=True):
                sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
                (folder / file).write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes())

    return write


def write_cifar(name: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    """Pickled batches of rows, with their md5 put in the place of the real ones, which torchvision compares."""

    def write(root: Path, patch: pytest.MonkeyPatch) -> None:
        from torchvision import datasets

        kind = getattr(datasets, name)
        folder = root / kind.base_folder
        folder.mkdir(parents=True)
        labels, names = ("fine_labels", "fine_label_names") if name == "CIFAR100" else ("labels", "label_names")

        def put(file: str, content: dict[str, object]) -> str:
            (folder / file).write_bytes(pickle.dumps(content))
            return hashlib.md5((folder / file).read_bytes()).hexdigest()

        for part in ("train_list", "test_list"):
            files = []
            for file, _ in getattr(kind, part):
                rows = GENERATOR.integers(0, 256, (20, 3 * 32 * 32), dtype=np.uint8)
                files.append([file, put(file, {"data": rows, labels: [k % 10 for k in range(20)]})])
            patch.setattr(kind, part, files)
        meta = dict(kind.meta)
        meta["md5"] = put(meta["filename"], {names: [str(k) for k in range(10)]})
        patch.setattr(kind, "meta", meta)

    return write


def write_folders(parts: tuple[str, ...], classes: tuple[str, ...]) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def write(root: Path, patch: pytest.MonkeyPatch) -> None:
        from PIL import Image

        for part in parts:
            for label, name in enumerate(classes):
                (root / part / name).mkdir(parents=True)
                for number in range(10 if part.endswith("train") else 2):
                    pixels = GENERATOR.integers(100 * label, 100 + 100 * label, (170, 190 + number, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(root / part / name / f"{name}_{number}.JPEG")

    return write


# Data set -> what writes it, and the shape of an image of the tasks on it.
LAYOUTS: dict[str, tuple[Callable[[Path, pytest.MonkeyPatch], None], tuple[int, ...]]] = {
    "MNIST": (write_idx("MNIST"), (1, 28, 28)),
    "FashionMNIST": (write_idx("FashionMNIST"), (1, 28, 28)),
    "KMNIST": (write_idx("KMNIST"), (1, 28, 28)),
    "CIFAR10": (write_cifar("CIFAR10"), (3, 32, 32)),
    "CIFAR100": (write_cifar("CIFAR100"), (3, 32, 32)),
    "Imagenette": (write_folders(("imagenette2-160/train", "imagenette2-160/val"), IMAGENETTE), (3, 128, 128)),
    "ImageNet": (write_folders(("ImageNet/train", "ImageNet/val"), ("n01", "n02")), (3, 224, 224)),
}
IMAGES = [name for name in TASKS if issubclass(TASKS[name], ImageTask)]
SLOW = {name for name in IMAGES if name.startswith(("cifar", "image"))}


def source(name: str) -> str:
    return str(getattr(TASKS[name], "source", "ImageNet"))


NAMED = [name for name in IMAGES if not name.startswith("digits")]


@pytest.mark.parametrize("name", NAMED)
def test_every_task_reads_its_data(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, shape = LAYOUTS[source(name)]
    write(tmp_path, monkeypatch)
    found = TASKS[name](tmp_path).dataset
    if name.endswith("14-deep"):
        shape = (196,)
    if name == "imagenet-mobilevitv2":
        shape = (3, 256, 256)
    for part in (found.train, found.validation, found.test):
        assert len(part) > 0
        assert tuple(part.x[:2].shape) == (min(2, len(part)), *shape)
        assert part.y.max() < found.classes


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in NAMED])
def test_every_task_trains_and_has_features(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm")
    LAYOUTS[source(name)][0](tmp_path, monkeypatch)
    task = TASKS[name](tmp_path)
    outcome = task.evaluate(nn.SiLU, 0, 1 / task.config.epochs)
    assert outcome.status == "finished"
    assert 0 <= outcome.score <= 1
    monkeypatch.setattr(type(task), "feature_batch", 4)
    features = task.features(nn.SiLU)
    assert features["finite"]
    assert features["fisher"].shape == (len(features["fisher_weights"]), 100)
    assert len(features["fisher_weights"]) > 3
    assert (features["fisher"][:, -1] == 1).all()


@pytest.mark.parametrize("name", NAMED)
def test_missing_data_is_one_line_that_names_the_set_and_the_remedy(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        TASKS[name](tmp_path).evaluate(nn.ReLU, 0)
    message = str(caught.value)
    assert "\n" not in message
    assert source(name).lower() in message.lower()
    assert str(tmp_path) in message or "--data" in message


def test_an_incomplete_imagenette_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imagenette2-160").mkdir()
    with pytest.raises(InputError, match="unpack it again"):
        read_images("Imagenette", tmp_path)
    write_folders(("imagenette2-160/train", "imagenette2-160/val"), ("n99",))(tmp_path, monkeypatch)
    with pytest.raises(InputError, match="n99"):
        read_images("Imagenette", tmp_path)


def test_a_changed_cifar_is_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar("CIFAR100")(tmp_path, monkeypatch)
    (tmp_path / "cifar-100-python" / "train").write_bytes(b"something else")
    with pytest.raises(InputError, match="CIFAR100 is not in"):
        read_images("CIFAR100", tmp_path)
