"""Which devices workers see: each its own, shares of one, none, or in turn; and never more than there are."""

from __future__ import annotations

import re
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symact.errors import InputError
from symact.execute import ExecutorSettings
from symact.execute.devices import assign, crowding, devices
from symact.execute.executor import start
from symact.execute.job import WorkerSettings

GPUS = st.one_of(st.sampled_from([0.1, 0.25, 0.3, 0.5, 0.75, 1.0, 2.0, 3.0]), st.none(), st.just(0.0))


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("3,5", ["3", "5"]), ("", []), ("-1", []), (" 0 , 1 ", ["0", "1"]), ("GPU-ab,GPU-cd", ["GPU-ab", "GPU-cd"])],
)
def test_the_devices_are_those_that_may_be_seen(monkeypatch, visible, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices() == expected


@pytest.mark.parametrize(
    ("count", "workers", "gpus", "expected"),
    [
        (0, 2, None, [None, None]),
        (2, 3, None, ["0", "1", "0"]),
        (2, 2, 1, ["0", "1"]),
        (4, 2, 2, ["0,1", "2,3"]),
        (2, 4, 0.5, ["0", "1", "0", "1"]),
        (1, 4, 0.25, ["0"] * 4),
        (2, 3, 0, ["", "", ""]),
        (0, 1, 0, [""]),
    ],
)
def test_workers_get_what_they_ask_for(count, workers, gpus, expected):
    assert assign([str(i) for i in range(count)], workers, gpus) == expected


@given(st.integers(0, 8), st.integers(1, 16), GPUS)
def test_no_device_holds_more_than_one_whole(count, workers, gpus):
    available = [str(i) for i in range(count)]
    each = max(1, int(gpus or 1))
    room = len(available) // each * (int(1 / gpus + 1e-9) if gpus and gpus < 1 else 1)
    if gpus and workers > room:
        with pytest.raises(InputError, match="do not fit"):
            assign(available, workers, gpus)
        return
    seen = assign(available, workers, gpus)
    assert len(seen) == workers
    load = Counter(name for group in seen if group for name in group.split(","))
    assert set(load) <= set(available)
    if gpus:
        assert all(group for group in seen)
        assert all(times * min(gpus, 1.0) <= 1.0 + 1e-9 for times in load.values())
    if gpus is None and available:
        assert max(load.values()) - min(load.get(name, 0) for name in available) <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gpus": -1, "workers": 1}, "not negative"),
        ({"gpus": float("nan"), "workers": 1}, "not negative"),
        ({"gpus": float("inf"), "workers": 1}, "not negative"),
        ({"gpus": 1.5, "workers": 1}, "whole number"),
        ({"gpus": 1}, "needs worker processes"),
        ({"fresh": True}, "needs worker processes"),
        ({"cpus": 2, "workers": 1}, "goes with --executor ray"),
        ({"cpus": -1, "executor": "ray"}, "not negative"),
        ({"ray_address": "auto", "workers": 1}, "goes with --executor ray"),
        ({"workers": -1}, "cannot be negative"),
        ({"executor": "cloud"}, "unknown executor"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        ExecutorSettings(**settings)


@pytest.mark.parametrize(
    ("processes", "seen", "on_cuda", "expected"),
    [
        (1, [None] * 9, False, ""),
        (2, [None], False, ""),
        (2, ["0"], False, ""),  # a task that trains on CPUs
        (4, ["0,1,2,3", "4,5,6,7"], True, ""),
        (100, [None], True, "processes=100: 100 processes are to share 2 cores, .* give processes=2$"),
        (100, [""], True, "processes=100: 100 processes are to share 2 cores"),  # --gpus 0
        (
            2,
            [None] * 3,
            False,
            "processes=2 with 3 workers: 6 processes .* give a smaller processes or fewer --workers$",
        ),
    ],
)
def test_processes_that_share_cores_are_told_what_there_is_and_what_to_give(
    monkeypatch, processes, seen, on_cuda, expected
):
    monkeypatch.setattr("symact.execute.devices.cores", lambda: 2)
    found = crowding(processes, seen, on_cuda)
    assert re.match(expected, found) if expected else found == ""
    assert "\n" not in found


@pytest.mark.parametrize("seen", [["0"], ["0,1", "2,3"]])
def test_more_processes_than_a_worker_sees_devices_are_refused(seen):
    with pytest.raises(InputError, match=r"processes=3 needs as many GPUs .* sees [12]: give --gpus 3 .*--gpus 0"):
        crowding(3, seen, True)


def test_whatever_trains_in_workers_says_so_before_it_begins(monkeypatch, caplog):
    task = SimpleNamespace(processes=100)
    monkeypatch.setattr("symact.execute.local.WorkerProcesses", lambda *_: "workers")
    assert start(ExecutorSettings(workers=1), WorkerSettings(""), task, None) == "workers"
    assert [message.partition(":")[0] for message in caplog.messages] == ["processes=100"]
