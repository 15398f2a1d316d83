"""What another study has learned, as the surrogate takes it; and what is no such study."""

from __future__ import annotations

import pytest

from symact.errors import InputError
from symact.expr.tree import candidate_text
from symact.program.loading import load_grammar
from symact.records import Outcome
from symact.study import Study
from symact.study.warm_start import scored
from tests.execute import stub_tasks


class Loss:
    """Lower is better; every third function fails."""

    name, direction, baselines = "loss", "minimize", ("tanh(x)", "erfc(x) + 1/x")

    def evaluate(self, make_activation, seed, budget=1.0):
        length = len(str(make_activation.candidate))
        return Outcome.failed("diverged", "by length") if length % 3 == 0 else Outcome.finished(length / 10)


def test_scores_of_another_study_come_best_first_higher_better_and_in_words_of_the_grammar(space, tmp_path):
    with Study(space, Loss(), "random", run=tmp_path / "run", confirm=0) as study:
        study.run(25)
        trials = {candidate_text(t.candidate): t.score for t in study.trials}
    found = scored(tmp_path / "run", space.grammar)
    assert len(found) == 25
    assert all(score == (None if trials[text] is None else -trials[text]) for text, score in found)
    finished = [score for _, score in found if score is not None]
    assert finished == sorted(finished, reverse=True)
    assert [score for _, score in found][len(finished) :] == [None] * (25 - len(finished))
    with Study(space, stub_tasks.Quick(), "surrogate", warm_start=found, confirm=0) as warm:
        warm.run(20)
        notes = warm.store.notes()
    assert all("predicted" in notes[t.number] for t in warm.trials if t.origin == "surrogate")


def test_what_is_no_study_or_has_another_grammar_is_refused(space, tmp_path):
    with pytest.raises(InputError, match="there is no study here"):
        scored(tmp_path, space.grammar)
    with Study(space, Loss(), "random", run=tmp_path / "run", confirm=0) as study:
        study.prepare()
    with pytest.raises(InputError, match="no function was trained in full"):
        scored(tmp_path / "run", space.grammar)
    with pytest.raises(InputError, match="its grammar 'stub' is another"):
        scored(tmp_path / "run", load_grammar("first"))
