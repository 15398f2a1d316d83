"""A score of minus zero is zero: SQLite keeps no sign of it, and the row must come back as it went in."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from symact.errors import InputError
from symact.program.loading import parse_grammar
from symact.records import Outcome
from symact.store import Store, schema
from symact.store.file import FILE_NAME
from symact.study import Study
from tests.execute import stub_tasks


class Zero:
    def __init__(self, zero):
        self.zero = zero

    def evaluate(self, make_activation, seed, budget=1.0):
        return Outcome.finished(self.zero, loss=self.zero)


@pytest.mark.parametrize(("written", "is_read"), [(-0.0, True), (0.0, True), (1.0, False)])
def test_a_row_of_an_earlier_version_is_read_whose_checksum_has_the_sign(written, is_read, tmp_path):
    space = parse_grammar(stub_tasks.grammar_text()).space("main")
    with Study(space, Zero(0.0), "random", tmp_path / "run", confirm=0) as study:
        study.run(9)
    with contextlib.closing(sqlite3.connect(tmp_path / "run" / FILE_NAME)) as connection, connection:
        columns = "id, number, repeat, seed, status, score, reason, metrics, constants, seconds"
        for number, *row in connection.execute(f"SELECT {columns} FROM evaluations").fetchall():
            row[4] = written
            connection.execute("UPDATE evaluations SET checksum = ? WHERE id = ?", (schema.checksum(row), number))
    with Store.open(tmp_path / "run") as store:
        if is_read:
            assert {str(trial.score) for trial in store.trials()} == {"0.0"}
        else:
            with pytest.raises(InputError, match="a row was changed"):
                store.trials()


@pytest.mark.parametrize("zero", [-0.0, 0.0])
def test_a_run_whose_scores_are_zero_is_read_back(zero, tmp_path):
    space = parse_grammar(stub_tasks.grammar_text()).space("main")
    with Study(space, Zero(zero), "random", tmp_path / "run", confirm=2) as study:
        study.run(12)
    with Store.open(tmp_path / "run") as store:
        scores = [trial.score for trial in (*store.trials(), *store.confirmations())]
    assert len(scores) > 12
    assert set(map(str, scores)) == {"0.0"}
