"""ImageNet's layout is read batch by batch and trained on."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from symact.errors import InputError
from symact.tasks import TASKS
from symact.tasks.batches import batches
from symact.tasks.config import TrainConfig
from symact.tasks.data import Split
from symact.tasks.folder import FolderImages, imagenet
from symact.tasks.train import Phase, Turn, measure_accuracy, train


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, dark and light, in images of several shapes."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for part, count in (("train", 20), ("val", 4)):
        for label, name in enumerate(("n01", "n02")):
            folder = tmp_path / "ImageNet" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(150 * label, 100 + 150 * label, (30 + number, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.JPEG")
            (folder / "notes.txt").write_text("no image")
    return tmp_path


def test_folders_are_cut_into_three_and_trained_on(root: Path) -> None:
    data = imagenet(root, size=24)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [36, 4, 8]
    assert data.train.x[torch.tensor([0, 5])].shape == (2, 3, 24, 24)
    assert not set(data.train.x.paths) & set(data.validation.x.paths)
    torch.manual_seed(0)
    model = nn.Sequential(nn.AvgPool2d(24), nn.Flatten(), nn.Linear(3, 2))
    config = TrainConfig(batch=8)
    result = train(model, [Phase("joint", 8, (Turn(list(model.parameters()), data.train, 0.1),))], config, 0)
    assert result.steps == 40
    assert measure_accuracy(model, data.test, config)[1] == 1.0


def test_pixels_are_the_centre_or_a_random_part_by_seed(root: Path) -> None:
    paths = tuple(sorted((root / "ImageNet" / "train" / "n01").glob("*.JPEG")))
    rows = torch.arange(3)
    images, labels = FolderImages(paths, 16, workers=2), torch.zeros(len(paths), dtype=torch.int64)
    assert torch.equal(images[rows], images[:3])
    whole = torch.tensor([1.0, 4 / 3, 0.5, 0.5]).expand(3, 4)
    assert not torch.equal(next(images.ahead([rows], [whole])), images[rows])
    config = TrainConfig(batch=6, augment=True, crop=0.2, randaugment=1, mixup=0.5)
    data = Split(images, labels, (torch.full((3,), 120.0), torch.full((3,), 60.0)))
    seen = [list(batches(data, config, 4, torch.Generator().manual_seed(seed))) for seed in (1, 1, 2)]
    assert [len(x) for x, _, _ in seen[0]] == [6, 6, 6, 2]
    pixels = [torch.cat([x for x, _, _ in run]) for run in seen]
    assert torch.equal(pixels[0], pixels[1])
    assert not torch.equal(pixels[0], pixels[2])


def test_a_part_of_the_images_is_read_when_it_is_asked_for_and_reading_ends_with_the_training(root: Path) -> None:
    data = imagenet(root, size=8, workers=2).train.first(12)
    assert isinstance(data.x, FolderImages)
    assert [len(half.x) for half in data.halves()] == [6, 6]
    before = threading.active_count()
    stream = batches(data, TrainConfig(batch=2), 6, torch.Generator().manual_seed(0))
    assert next(stream)[0].shape == (2, 3, 8, 8)
    del stream
    gc.collect()
    assert threading.active_count() == before


def test_missing_or_unequal_folders_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ImageNet/train"):
        TASKS["imagenet-resnet50"]().load()
    (root / "ImageNet" / "val" / "n03").mkdir()
    with pytest.raises(InputError, match="other classes"):
        imagenet(root)
