"""Features are measured once per function, kept as text, and stacked in the order asked."""

from __future__ import annotations

import numpy as np
import pytest

from symact.execute.job import encode_arrays
from symact.expr.tree import parse
from symact.records import Outcome, Status
from symact.study.feature_cache import FeatureCache, pack, stacked, unpack

ONE, TWO, THREE = (parse(text) for text in ("tanh(x)", "sin(x)", "exp(x)"))


def arrays(level):
    return {
        "outputs": np.full(3, level),
        "fisher_weights": np.array([2.0, 1.0]),
        "count": np.array(7),
        "finite": np.array(True),
    }


def measured(expression, log):
    log.append(expression)
    if expression == TWO:
        return Outcome.failed(Status.crashed, "no")
    return Outcome.finished(0.0, features=encode_arrays(arrays(1.5 if expression == ONE else 2.5)))


def cache(log, kept, known=None):
    return FeatureCache(lambda new: [measured(e, log) for e in new], kept.update, known or {})


def test_what_was_measured_is_not_measured_again_here_or_in_a_resumed_study():
    log, kept = [], {}
    one = cache(log, kept)
    first = one([ONE, TWO, ONE])
    one([TWO, ONE])
    assert log == [ONE, TWO]
    again = cache(log, {}, kept)([ONE, TWO, ONE])
    assert log == [ONE, TWO]
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])


def test_rows_come_in_the_order_asked_and_one_that_failed_is_empty():
    found = cache([], {})([THREE, TWO, ONE])
    assert found["finite"].tolist() == [True, False, True]
    assert found["outputs"][[0, 2], 0].tolist() == [2.5, 1.5]
    assert np.isnan(found["outputs"][1]).all()
    assert found["count"].tolist() == [7, 0, 7]
    assert found["fisher_weights"].tolist() == [2.0, 1.0], "shared by all functions"


def test_when_everything_failed_there_is_finite_alone():
    assert list(stacked([{}, {}])) == ["finite"]
    assert stacked([{}, {}])["finite"].tolist() == [False, False]


def test_a_row_of_another_shape_counts_as_empty():
    found = stacked([{"outputs": np.ones(3)}, {"outputs": np.ones(4)}])
    assert np.isnan(found["outputs"][1]).all()


@pytest.mark.parametrize("text", ["", "not base64!", "aGVsbG8=", pack({"a": 1})[:-8]])
def test_a_text_that_cannot_be_read_is_measured_again(text):
    assert unpack(text) == {}


def test_a_packed_text_is_read_back():
    found = unpack(pack(encode_arrays(arrays(0.1))))
    for name, values in arrays(0.1).items():
        np.testing.assert_array_equal(found[name], values)
