"""ImageNet's layout is read batch by batch and trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from symact.errors import InputError
from symact.tasks import TASKS
from symact.tasks.config import TrainConfig
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
    plain, random = FolderImages(paths, 16), FolderImages(paths, 16, augment=True)
    assert torch.equal(plain[rows], plain[rows])
    torch.manual_seed(1)
    first = random[rows]
    torch.manual_seed(1)
    assert torch.equal(first, random[rows])
    assert not torch.equal(first, random[rows])


def test_missing_or_unequal_folders_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ImageNet/train"):
        TASKS["imagenet-resnet50"]().load()
    (root / "ImageNet" / "val" / "n03").mkdir()
    with pytest.raises(InputError, match="other classes"):
        imagenet(root)
