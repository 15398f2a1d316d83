"""Which CUDA devices workers see: those that are named, dealt out, shared, or refused."""

from __future__ import annotations

import pytest

from symact.errors import InputError
from symact.execute.devices import assign, devices


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("", []), ("-1", []), ("0", ["0"]), ("2, 3", ["2", "3"]), ("GPU-a,GPU-b", ["GPU-a", "GPU-b"])],
)
def test_the_named_devices_are_respected(monkeypatch, visible, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices() == expected


@pytest.mark.parametrize(
    ("available", "workers", "gpus", "expected"),
    [
        ([], 2, None, [None, None]),
        (["0", "1"], 3, None, ["0", "1", "0"]),
        (["0", "1"], 2, 0, ["", ""]),
        (["0", "1"], 2, 1, ["0", "1"]),
        (["0", "1", "2", "3"], 2, 2, ["0,1", "2,3"]),
        (["0", "1"], 4, 0.5, ["0", "1", "0", "1"]),
        (["7"], 3, 1 / 3, ["7", "7", "7"]),
    ],
)
def test_devices_are_dealt_out(available, workers, gpus, expected):
    assert assign(available, workers, gpus) == expected


@pytest.mark.parametrize(
    ("available", "workers", "gpus"), [([], 1, 1), (["0"], 2, 1), (["0"], 3, 0.5), (["0", "1", "2"], 2, 2)]
)
def test_more_than_there_is_is_refused_with_what_there_is(available, workers, gpus):
    with pytest.raises(InputError, match=f"this machine has {len(available)} CUDA devices"):
        assign(available, workers, gpus)
