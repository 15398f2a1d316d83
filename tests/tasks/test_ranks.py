"""Parts of batches: together they are the batch, and pairs that are mixed stay together."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributed

from symact.errors import InputError
from symact.execute.executor import ExecutorSettings, start
from symact.execute.job import Job, WorkerSettings
from symact.expr.operators import Vocabulary
from symact.records import Status
from symact.tasks import TASKS
from symact.tasks.batches import batches
from symact.tasks.config import TrainConfig
from symact.tasks.declaration import processes_of
from symact.tasks.ranks import ALONE, Ranks, started_for
from tests.tasks.test_augment import images


@given(st.integers(0, 200), st.integers(1, 9))
def test_parts_follow_one_another_and_begin_with_a_pair(rows: int, count: int) -> None:
    parts = [Ranks(number, count).part(rows) for number in range(count)]
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == rows
    assert all(part.start % 2 == 0 or part.start == rows for part in parts)
    assert max(part.stop - part.start for part in parts) <= rows // count + 3


def test_the_processes_meet_the_images_of_one_changed_alike() -> None:
    config = TrainConfig(batch=14, augment=True, crop=0.3, randaugment=1, mixup=0.5, cutmix=1.0, random_erase=0.5)

    def stream(ranks: Ranks) -> list:
        return list(batches(images(), config, 3, torch.Generator().manual_seed(0), ranks=ranks))

    whole, parts = stream(ALONE), [stream(Ranks(number, 3)) for number in range(3)]
    for batch, *own in zip(whole, *parts, strict=True):
        assert sum(part.share for part in own) == pytest.approx(batch.share) == 1
        torch.testing.assert_close(torch.cat([part.x for part in own]), batch.x)
        for mine, all_of_it in zip(zip(*(part.y for part in own), strict=True), batch.y, strict=True):
            assert torch.equal(torch.cat(mine), all_of_it)


def test_a_process_that_was_started_alone_is_told_how_to_start_several() -> None:
    task = TASKS["digits-deep"]()
    task.configure({"processes": 2})
    assert processes_of(task) == 2
    with pytest.raises(InputError, match=r"processes=2.*--workers 1 or more.*torchrun --nproc-per-node=2"):
        task.evaluate(torch.nn.ReLU, 0)


LAUNCHER = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize("missing", ["", *LAUNCHER])
def test_a_launcher_has_set_all_its_variables(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name, value in LAUNCHER.items():
        monkeypatch.delenv(name, raising=False)
        if name != missing:
            monkeypatch.setenv(name, value)
    assert started_for(2) == (missing == "")
    assert not started_for(3)


@pytest.mark.parametrize("left", [{}, LAUNCHER])
def test_the_process_of_a_study_is_none_of_several_whatever_a_launcher_has_left(
    monkeypatch: pytest.MonkeyPatch, left: dict[str, str]
) -> None:
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    task = TASKS["digits-deep"]()
    task.configure({"processes": 2})
    with pytest.raises(InputError, match=r"processes=2 needs worker processes.*: give --workers 1"):
        start(ExecutorSettings(workers=0), WorkerSettings(""), task, None)
    task.configure({"processes": 1, "epochs": 0.1, "subset": 50})
    executor = start(ExecutorSettings(workers=0), WorkerSettings(""), task, Vocabulary())
    executor.submit(Job(0, 0, 3, {"expressions": ["tanh(x)"], "parameters": [], "grammar": False}))
    result = executor.next()
    assert result is not None
    assert result.outcome.status is Status.finished, result.outcome.reason


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (RuntimeError("Connection closed by peer"), distributed.DistError),
        (torch.cuda.OutOfMemoryError("no memory"), torch.cuda.OutOfMemoryError),
    ],
)
def test_that_another_process_is_gone_is_told_from_what_fails_here(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(distributed, "all_reduce", fail)
    monkeypatch.setattr(distributed, "broadcast", fail)
    for call in (Ranks(0, 2).sum, lambda tensor: Ranks(0, 2).agree([tensor])):
        with pytest.raises(expected, match=str(raised)):
            call(torch.zeros(1))
