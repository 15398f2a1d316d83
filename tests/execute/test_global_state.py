"""What one evaluation does to its process reaches no other, and a result belongs to its candidate."""

from __future__ import annotations

import os
import random
import warnings

import numpy as np
import pytest
import torch

from symact.errors import SymactError
from symact.execute import global_state
from symact.execute.job import Job, WorkerSettings
from symact.execute.local import InProcess, WorkerProcesses
from symact.execute.piece import Piece
from symact.execute.task_loading import describe
from symact.program.loading import parse_grammar
from symact.records import Outcome, Status
from tests.execute import meddling_tasks as meddling
from tests.execute import stub_tasks as stubs

pytestmark = [pytest.mark.usefixtures("family"), pytest.mark.filterwarnings("ignore")]
TEXT = stubs.grammar_text()
OPERATORS = ("sine", "square", "tanh", "exponential", "cube", "arc", "bell")


def settings(task="Meddler", **changes):
    described, file = describe(f"{meddling.__file__}:{task}")
    return WorkerSettings(TEXT, described.model_dump(), file, **changes)


def job(number, deed):
    """Each job is on another candidate, so that a result of another is seen."""
    text = f"add({OPERATORS[number % 7]}(x),{OPERATORS[number // 7 % 7]}(x))"
    return Job(number, 0, 5, {"expressions": [text], "parameters": []}, schedule=deed)


def run(executor, *deeds):
    """Their outcomes, in order."""
    jobs = [job(number, deed) for number, deed in enumerate(deeds)]
    for each in jobs:
        executor.submit(each)
    found = {}
    while len(found) < len(jobs):
        result = executor.next(60)
        assert result is not None
        assert result.job.number not in found, "two results for one job"
        found[result.job.number] = result.outcome
    for each in jobs:
        outcome, expected = found[each.number], each.candidate["expressions"][0]
        assert outcome.status is not Status.finished or outcome.metrics["text"] == expected, "another candidate's"
    return [found[number] for number in range(len(jobs))]


@pytest.fixture(scope="module")
def environment():
    """What the probe looks at is the same in all processes of this module."""
    patch = pytest.MonkeyPatch()
    patch.setenv("MEDDLING_FOLDER", os.getcwd())
    patch.setenv("OMP_NUM_THREADS", "1")
    yield patch
    patch.undo()


@pytest.fixture(scope="module")
def worker(environment):
    made = WorkerProcesses(settings(memory=3 * 2**30), 1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pristine(worker):
    (outcome,) = run(worker, "nothing")
    return outcome.metrics["found"]


def differences(outcome, pristine):
    assert outcome.status is Status.finished, outcome.reason
    return {key: (value, pristine[key]) for key, value in outcome.metrics["found"].items() if value != pristine[key]}


@pytest.mark.parametrize("deed", meddling.UNDONE)
def test_what_can_be_undone_is_undone_without_another_process(worker, pristine, deed):
    before = worker.workers
    own, following = run(worker, deed, "nothing")
    assert not differences(own, pristine)
    assert not differences(following, pristine)
    assert worker.workers == before


@pytest.mark.slow
@pytest.mark.parametrize("deed", meddling.CONTAINED)
def test_what_cannot_be_undone_costs_a_worker_and_reaches_nobody(worker, pristine, deed):
    outcomes = run(worker, "nothing", deed, "nothing", "float64", "nothing")
    assert all(not differences(outcome, pristine) for outcome in outcomes)


def test_a_fork_that_python_does_not_notice_stores_no_result_either(worker, pristine):
    outcomes = run(worker, "nothing", "fork in C", "nothing", "fork in C", "nothing")
    assert all(not differences(outcome, pristine) for outcome in outcomes)


@pytest.mark.parametrize("deed", meddling.CRASHES)
def test_a_task_that_takes_the_channel_away_has_crashed_and_no_result_goes_into_its_files(
    environment, pristine, tmp_path, deed
):
    file = tmp_path / "own"
    environment.setenv("MEDDLING_FILE", str(file))
    executor = WorkerProcesses(settings(), 1)
    try:
        first, second, third = run(executor, "nothing", deed, "nothing")
    finally:
        executor.close()
    assert second.status is Status.crashed
    assert "descriptors of its process" in second.reason
    assert not differences(first, pristine)
    assert not differences(third, pristine)
    assert not file.exists() or file.read_bytes() == b""


@pytest.mark.parametrize("deed", meddling.UNDONE)
def test_an_evaluation_in_this_process_is_as_contained(worker, pristine, deed, monkeypatch):
    with open(os.devnull, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        own, following = run(InProcess(meddling.Meddler(), parse_grammar(TEXT)), deed, "nothing")
    # What is this process' own affair: how it is tested, and who may be asked about it.
    ours = {"output", "files", "alarm", "warned", "timer", "environment", "decimal point", "traced", "logging"}
    assert not {k: v for k, v in differences(own, pristine).items() if k not in ours}
    assert following.metrics["found"] == own.metrics["found"]


def test_a_user_finds_their_process_as_it_was(worker):
    torch.manual_seed(3), np.random.seed(4), random.seed(5)
    expected = torch.rand(1).item(), np.random.rand(), random.random()
    torch.manual_seed(3), np.random.seed(4), random.seed(5)
    filters = list(warnings.filters)
    for deed in ("torch seed", "float64", "error filter", "threads", "folder"):
        run(InProcess(meddling.Meddler(), parse_grammar(TEXT)), deed)
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected
    assert warnings.filters == filters


def test_in_this_process_a_child_that_returns_does_not_go_on_with_the_study():
    executor = InProcess(meddling.Meddler(), parse_grammar(TEXT))
    own = os.getpid()
    run(executor, "fork", "fork twice", "fork, child raises", "fork, child exits", "nothing")
    assert os.getpid() == own


def test_in_this_process_what_cannot_be_undone_stops_the_run_with_a_way_on(monkeypatch):
    changed = []
    lasting = Piece("a thing", lambda: len(changed), lambda saved: None)
    monkeypatch.setattr(global_state, "PIECES", (lasting,))

    class Task:
        def evaluate(self, make_activation, seed, budget=1.0):
            changed.append(1)
            return Outcome.finished(0.5)

    executor = InProcess(Task(), parse_grammar(TEXT))
    executor.submit(Job(0, 0, 5, {"expressions": ["sine(x)"], "parameters": []}))
    executor.submit(Job(1, 0, 5, {"expressions": ["sine(x)"], "parameters": []}))
    assert executor.next().outcome.score == 0.5
    with pytest.raises(SymactError, match=r"changed a thing of this process, which .* go on with --workers 1"):
        executor.next()


def test_fresh_workers_give_each_candidate_a_process_of_its_own():
    """Of a task without PyTorch, which each of them would import."""
    described, file = describe(stubs.named("Quick"))
    executor = WorkerProcesses(WorkerSettings(TEXT, described.model_dump(), file, fresh=True), 2)
    try:
        for number in range(6):
            executor.submit(Job(number, 0, 5, {"expressions": ["sine(x)"], "parameters": []}))
        outcomes = [executor.next(60).outcome for _ in range(6)]
    finally:
        executor.close()
    assert len({outcome.metrics["process"] for outcome in outcomes}) == 6


def test_random_numbers_of_numpy_are_put_back_however_arrays_are_printed():
    """Of a shortened text the 624 words of two states may look alike."""
    before = np.random.get_state()
    found = np.random.RandomState(4).get_state()
    other = (found[0], np.where(np.arange(624) == 300, 1, found[1]), *found[2:])
    (piece,) = (piece for piece in global_state.GENERATORS if "NumPy" in piece.name)
    with np.printoptions(threshold=10):
        assert repr(found) == repr(other)
        assert not piece.same(found, other)
        assert piece.same(found, np.random.RandomState(4).get_state())
    assert piece.same(before, piece.read())
    modern = np.random.PCG64(3).state
    assert piece.same(modern, np.random.PCG64(3).state)
    assert not piece.same(modern, np.random.PCG64(4).state)
    assert not piece.same(modern, found)
