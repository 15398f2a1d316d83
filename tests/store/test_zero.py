"""A score of minus zero is zero: SQLite keeps no sign of it, and the row must come back as it went in."""

from __future__ import annotations

import pytest

from symact.program.loading import parse_grammar
from symact.records import Outcome
from symact.store import Store
from symact.study import Study
from tests.execute import stub_tasks


class Zero:
    def __init__(self, zero):
        self.zero = zero

    def evaluate(self, make_activation, seed, budget=1.0):
        return Outcome.finished(self.zero, loss=self.zero)


@pytest.mark.parametrize("zero", [-0.0, 0.0])
def test_a_run_whose_scores_are_zero_is_read_back(zero, tmp_path):
    space = parse_grammar(stub_tasks.grammar_text()).space("main")
    with Study(space, Zero(zero), "random", tmp_path / "run", confirm=2) as study:
        study.run(12)
    with Store.open(tmp_path / "run") as store:
        scores = [trial.score for trial in (*store.trials(), *store.confirmations())]
    assert len(scores) > 12
    assert set(map(str, scores)) == {"0.0"}
