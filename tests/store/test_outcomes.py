"""Outcomes cross as JSON: what is no JSON becomes it or is refused, and nothing else comes back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symact.records import Outcome, Status
from symact.store import outcomes


def test_an_outcome_survives_the_way_there_and_back():
    outcome = Outcome.finished(0.5, constants=({"beta": 1.25}, {"beta": [1.0, 2.0]}), curve=[{"loss": 1.0}], note="x")
    document = outcomes.load(outcomes.dump(outcomes.to_document(outcome)))
    assert outcomes.from_document(document) == outcome


def test_numbers_of_numpy_and_torch_become_plain_ones_and_nan_becomes_none():
    value = {"a": np.float32(0.5), "b": torch.tensor([1.0, float("nan")]), "c": (np.arange(2), {1}), 3: float("inf")}
    assert outcomes.plain(value) == {"a": 0.5, "b": [1.0, None], "c": [[0, 1], [1]], "3": None}


@pytest.mark.parametrize("value", [object(), lambda: 0, 1j, b"bytes"])
def test_what_has_no_json_form_is_refused(value):
    with pytest.raises(TypeError):
        outcomes.plain({"metric": value})


def test_a_metric_that_holds_itself_is_refused():
    value: list = []
    value.append(value)
    with pytest.raises(TypeError, match="nested"):
        outcomes.plain(value)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "best"},
        {"score": None},
        {"score": float("nan")},
        {"score": True},
        {"score": "1"},
        {"reason": 3},
        {"metrics": []},
        {"constants": {}},
        {"constants": [3]},
        {"constants": [{"beta": "text"}]},
        {"more": 1},
    ],
)
def test_a_document_that_is_no_outcome_is_refused(change):
    document = {**outcomes.to_document(Outcome.finished(0.5)), **change}
    with pytest.raises(ValueError):
        outcomes.from_document(document)


def test_a_failed_outcome_cannot_have_a_score():
    document = {**outcomes.to_document(Outcome.failed(Status.crashed, "boom")), "score": 0.9}
    with pytest.raises(ValueError):
        outcomes.from_document(document)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a": NaN}', '{"a": Infinity}', "nonsense", ""])
def test_a_text_that_is_no_json_is_refused(text):
    with pytest.raises(ValueError):
        outcomes.load(text)
