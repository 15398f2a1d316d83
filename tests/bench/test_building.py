"""Building a table goes on where it stopped, and refuses what belongs to another build."""

from __future__ import annotations

import numpy as np
import pytest

from symact.bench import Table, build
from symact.bench.building import partial
from symact.errors import InputError
from symact.program.loading import load_grammar

TASK = """
import pathlib, numpy, signal, symact, torch
class Mine:
    name, sites = "mine", 1
    def __init__(self, data=None):
        self.log = pathlib.Path(data)
    def evaluate(self, make_activation, seed, budget=1.0):
        with self.log.open("a") as file:
            file.write("x")
        if len(self.log.read_text()) == 7:
            signal.raise_signal(signal.SIGINT)
        value = float(make_activation()(torch.linspace(-2, 2, 5)).sum().detach()) + seed / 100
        if abs(value - seed / 100) < 1e-6:
            return symact.Outcome.failed("diverged", "no")
        return symact.Outcome.finished(value, curve=[0.1, value])
    def features(self, make_activation):
        return {"fisher": numpy.linspace(0, 1, 200).reshape(2, 100), "fisher_weights": numpy.ones(2), "finite": True}
"""


@pytest.mark.usefixtures("interruptible")
def test_a_build_goes_on_where_it_stopped(tmp_path, small):
    task, log, output = tmp_path / "mine.py", tmp_path / "log", tmp_path / "t.parquet"
    task.write_text(TASK)
    with pytest.raises(KeyboardInterrupt):
        build(f"{task}:Mine", small, None, output, 2, data=str(log), limit=5)
    assert not output.exists()
    assert len(partial(output)) == 5
    finished = build(f"{task}:Mine", small, None, output, 2, data=str(log), limit=5)
    assert len(log.read_text()) == 11
    assert finished.scores.shape == (5, 2)
    assert not (tmp_path / "t.parquet.journal").exists()
    read = Table.read(output)
    assert np.allclose(read.scores[:, 1] - read.scores[:, 0], 0.01, equal_nan=True)
    assert read.metrics["curve"][0][0][0] == 0.1
    assert read.finite.all()
    assert read.about["fisher_weights"] == [1.0, 1.0]


def test_a_journal_of_another_build_is_refused(tmp_path):
    output = tmp_path / "t.parquet"
    (tmp_path / "t.parquet.journal").write_text('{"task": "another"}\n')
    with pytest.raises(InputError, match="another build"):
        build("digits-deep", load_grammar("first"), "small", output, 1, limit=1)
