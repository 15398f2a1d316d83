"""Data sets: where they are found, how they are cut, and what is said when they are wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from symact.errors import InputError
from symact.tasks import data
from symact.tasks.data import IDX_FILES, data_root, digits, images, images14, read_images, shifted_digits


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, train: int = 60, test: int = 20, packed: bool = False) -> None:
    """A fabricated member of the MNIST family, sorted by class as real ones may be."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for part, count in (("train", train), ("test", test)):
        arrays = generator.integers(0, 256, (count, 28, 28)), np.sort(np.arange(count) % 10)
        for file, array in zip(IDX_FILES[part], arrays, strict=True):
            content = idx(array)
            if packed:
                (folder / f"{file}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / file).write_bytes(content)


@pytest.fixture(autouse=True)
def forget() -> None:
    read_images.cache_clear()


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_packed_or_not(tmp_path: Path, packed: bool) -> None:
    write_mnist(tmp_path / "MNIST" / "raw", packed=packed)
    raw = read_images("MNIST", tmp_path)
    assert raw.name == "MNIST"
    assert raw.x_train.shape == (60, 28, 28, 1)
    assert raw.x_train.dtype == np.uint8
    assert raw.y_test.tolist() == sorted(i % 10 for i in range(20))


def test_kmnist_of_the_test_file_is_reported_under_its_own_name(tmp_path: Path) -> None:
    write_mnist(tmp_path / "KMNIST-8k2k" / "KMNIST" / "raw")
    assert read_images("KMNIST", tmp_path).name == "KMNIST-8k2k"


def test_a_cut_off_file_is_refused_by_name(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw")
    path = tmp_path / "MNIST" / "raw" / IDX_FILES["test"][0]
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=f"{path.name} is cut off"):
        read_images("MNIST", tmp_path)
    path.write_bytes(b"not an idx file")
    with pytest.raises(InputError, match="not an idx file"):
        read_images("MNIST", tmp_path)


def test_cifar_is_read_from_one_npz(tmp_path: Path) -> None:
    (tmp_path / "CIFAR10").mkdir()
    generator = np.random.default_rng(0)
    arrays = {
        "x_train": generator.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8),
        "y_train": np.arange(60) % 10,
        "x_test": generator.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8),
        "y_test": np.arange(10),
    }
    np.savez(tmp_path / "CIFAR10" / "cifar10.npz", **arrays)
    found = images("CIFAR10", tmp_path)
    assert found.train.x.shape == (50, 3, 32, 32)
    assert (len(found.validation), len(found.test)) == (10, 10)
    # The file takes turns through the classes; a split must not.
    assert found.train.y.tolist() != sorted(found.train.y.tolist())
    assert found.train.y[:10].tolist() != list(range(10))
    torch.testing.assert_close(found.train.x.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    np.savez(tmp_path / "CIFAR10" / "cifar10.npz", x_train=arrays["x_train"])
    read_images.cache_clear()
    with pytest.raises(InputError, match="lacks the arrays"):
        images("CIFAR10", tmp_path)


def test_splits_are_fixed_and_apart(tmp_path: Path) -> None:
    write_mnist(tmp_path / "FashionMNIST" / "raw", train=120)
    first = images("FashionMNIST", tmp_path)
    read_images.cache_clear()
    again = images("FashionMNIST", tmp_path)
    assert torch.equal(first.train.x, again.train.x)
    rows = torch.cat([first.train.x, first.validation.x]).flatten(1)
    assert len(rows) == 120
    assert len(torch.unique(rows, dim=0)) == 120
    part = images("FashionMNIST", tmp_path, train=30, validation=7)
    assert torch.equal(part.train.x, first.train.x[:30])
    assert torch.equal(part.validation.y, first.validation.y[:7])


def test_small_images_are_means_of_two_by_two_in_file_order(tmp_path: Path) -> None:
    write_mnist(tmp_path / "MNIST" / "raw")
    found, raw = images14("MNIST", tmp_path, count=20), read_images("MNIST", tmp_path)
    assert [tuple(part.x.shape) for part in (found.train, found.validation, found.test)] == [(20, 196)] * 3
    small = raw.x_train[:20, :, :, 0].reshape(20, 14, 2, 14, 2).mean((2, 4)).reshape(20, 196)
    expected = (small - small.mean()) / small.std(ddof=1)
    np.testing.assert_allclose(found.train.x.numpy(), expected, atol=1e-4)
    assert found.validation.y.tolist() == raw.y_train[20:40].tolist()


def test_digits_come_without_any_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMACT_DATA", "/nowhere")
    found = digits()
    assert [len(part) for part in (found.train, found.validation, found.test)] == [1097, 350, 350]
    assert found.train.x.shape[1] == 64


def test_the_root_is_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SYMACT_DATA", "/from/environment")
    assert data_root(tmp_path) == tmp_path
    assert data_root(None) == Path("/from/environment")
    monkeypatch.delenv("SYMACT_DATA")
    assert data_root(None) is None


def test_a_failed_download_is_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from torchvision import datasets

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Error downloading:\nno network")

    monkeypatch.setattr(datasets, "MNIST", refuse)
    monkeypatch.setattr(data, "cache_folder", lambda: tmp_path)
    with pytest.raises(InputError, match="SYMACT_DATA") as caught:
        read_images("MNIST", None)
    assert "\n" not in str(caught.value)


def test_an_unknown_set_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="FashionMNIST"):
        read_images("ImageNet21k", tmp_path)


def test_shifted_digits_are_the_digits_of_each_part_in_a_larger_frame() -> None:
    plain, shifted = digits(), shifted_digits()
    assert shifted.classes == 10
    assert [len(part) for part in (shifted.train, shifted.validation, shifted.test)] == [3291, 1050, 1050]
    places = set()
    for small, large in ((plain.train, shifted.train), (plain.validation, shifted.validation)):
        for row in range(0, len(large), 97):
            image, digit = large.x[row].reshape(12, 12), small.x[row // 3].reshape(8, 8)
            ink = image > image.min()
            top, left = (int(ink.any(1 - axis).float().argmax()) for axis in (0, 1))
            inside = digit > small.x.min()
            first = [int(inside.any(1 - axis).float().argmax()) for axis in (0, 1)]
            places.add((top - first[0], left - first[1]))
            assert ink.sum() == inside.sum()
            assert large.y[row] == small.y[row // 3]
    assert len(places) > 10
    assert all(0 <= top <= 4 and 0 <= left <= 4 for top, left in places)
    assert torch.equal(shifted_digits().test.x, shifted.test.x)
