"""Callbacks: what loggers are told, in the real local files of TensorBoard and MLflow where these are installed."""

from __future__ import annotations

import sys
import time
import types

import pytest

from symact.errors import InputError
from symact.integrations import logged
from symact.program.loading import parse_grammar
from symact.records import Outcome
from symact.study import Study
from tests.execute import stub_tasks


class Loss:
    """Fails now and then."""

    metric, direction = "RMSE", "minimize"

    def evaluate(self, make_activation, seed, budget=1.0):
        text = str(make_activation.candidate)
        if "cube" in text:
            return Outcome.failed("diverged", "too far")
        return Outcome.finished(stub_tasks.score_of(text, seed))


@pytest.fixture
def study():
    return Study(parse_grammar(stub_tasks.grammar_text()).space("main"), Loss(), "random", confirm=2)


def reported(study, count, callback):
    """The trials of a run in the order of their reports, which begin with the baseline that was tried."""
    reports = []
    study.run(count, reports.append, callbacks=[callback])
    return [report.trial for report in reports if report.trial is not None]


def best_so_far(trials):
    found, lowest = [], None
    for trial in trials:
        if trial.score is not None:
            lowest = trial.score if lowest is None else min(lowest, trial.score)
        found.append(lowest)
    return found


def test_a_callback_is_told_of_every_trial_and_closed_at_the_end(study):
    class Listener:
        seen, closed = [], 0

        def __call__(self, told, progress):
            assert told is study
            self.seen.append(progress)

        def close(self):
            Listener.closed += 1

    listener, reports = Listener(), []
    study.run(20, reports.append, callbacks=[listener])
    assert listener.seen == reports
    told = [p.trial for p in listener.seen if p.trial is not None]  # the baseline that was tried comes first
    assert sorted(told, key=study.trials.index) == study.trials
    assert listener.closed == 1


def test_a_callback_that_fails_is_left_out_and_the_study_goes_on(study):
    calls = []

    def broken(study, progress):
        calls.append(progress)
        raise ConnectionError("no server")

    with pytest.warns(UserWarning, match="the callback broken is left out from now on: ConnectionError: no server"):
        trials = study.run(12, callbacks=[broken])
    assert len(trials) == 12
    assert len(calls) == 1


def test_what_is_missing_is_told_with_what_to_install():
    with pytest.raises(InputError, match="pip install no-such-tool"):
        logged.imported("no_such_tool_of_anybody", "no-such-tool")


def test_tensorboard_has_the_scores_and_the_best_so_far(study, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from symact.integrations import TensorBoard

    trials = reported(study, 20, TensorBoard(tmp_path))
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload()
    scores = {event.step: event.value for event in events.Scalars("score")}
    expected = {n: t.score for n, t in enumerate(trials, 1) if t.score is not None}
    assert scores.keys() == expected.keys()
    assert all(scores[step] == pytest.approx(score, rel=1e-6) for step, score in expected.items())
    best = [event.value for event in events.Scalars("best")]
    assert best == pytest.approx([b for b in best_so_far(trials) if b is not None], rel=1e-6)
    texts = events.Tensors("function/text_summary")
    assert len(texts) == len(trials)
    assert b"diverged" in b"".join(t.tensor_proto.string_val[0] for t in texts)


def test_mlflow_has_parameters_metrics_and_the_leaderboard(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where artifacts go
    pytest.importorskip("mlflow")
    import mlflow

    from symact.integrations import MLflow

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    try:
        logger = MLflow("activations", uri)
    except Exception:
        uri = tmp_path.as_uri()
        logger = MLflow("activations", uri)
    trials = reported(study, 20, logger)
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("activations").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["direction"] == "minimize"
    history = client.get_metric_history(run.info.run_id, "score")
    assert {m.step: m.value for m in history} == {n: t.score for n, t in enumerate(trials, 1) if t.score is not None}
    assert run.data.tags["best function"] == str(study.best()[0].candidate)
    assert mlflow.active_run() is None


def test_weights_and_biases_is_told_the_same(study, monkeypatch):
    class Run:
        rows, summary, finished = [], {}, False

        def log(self, row, step):
            self.rows.append((step, row))

        def finish(self):
            Run.finished = True

    begun = []
    fake = types.ModuleType("wandb")
    fake.init = lambda **options: begun.append(options) or Run()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    from symact.integrations import WeightsAndBiases

    trials = reported(study, 15, WeightsAndBiases("activations", mode="offline"))
    assert begun[0]["project"] == "activations"
    assert begun[0]["mode"] == "offline"
    assert begun[0]["config"]["metric"] == "RMSE"
    assert [row["function"] for _, row in Run.rows] == [str(t.candidate) for t in trials]
    assert [step for step, _ in Run.rows] == list(range(1, 16))
    assert Run.finished


def written(log: bytes) -> bytes:
    """What a run file of Weights & Biases holds, without the headers between: a text may go on in the next block.

    The format is LevelDB's log: blocks of 32 KiB, a header of 7 bytes before each piece, and 7 bytes before all.
    """
    block, header = 32768, 7
    place, pieces = header, []
    while place + header <= len(log):
        left = block - place % block
        if left < header:
            place += left
            continue
        size = int.from_bytes(log[place + 4 : place + 6], "little")
        pieces.append(log[place + header : place + header + size])
        place += header + size
    return b"".join(pieces)


def test_weights_and_biases_writes_a_whole_run_to_disk_without_a_network(study, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="needs Weights & Biases itself: pip install wandb")
    from symact.integrations import WeightsAndBiases

    monkeypatch.setenv("WANDB_SILENT", "true")
    trials = reported(study, 15, WeightsAndBiases("activations", mode="offline", dir=str(tmp_path)))
    (folder,) = tmp_path.glob("wandb/offline-run-*")
    (file,) = folder.glob("*.wandb")
    texts, ends = [str(trial.candidate).encode() for trial in trials], time.monotonic() + 30
    # A process of its own writes the file.
    while not all(text in (kept := written(file.read_bytes())) for text in texts) and time.monotonic() < ends:
        time.sleep(0.1)
    assert [text for text in texts if text not in kept] == []
    assert b"best function" in kept
    assert b"RMSE" in kept


def test_a_leaderboard_is_a_table_of_pandas_and_of_a_notebook(study):
    trials = study.run(15)
    page = study._repr_html_()
    assert "lower is better" in page
    assert page.count("<tr>") <= 11
    pandas = pytest.importorskip("pandas")
    table = study.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert len(table) == len(trials)
    assert table["score"].iloc[0] == study.leaderboard()[0].trial.score
