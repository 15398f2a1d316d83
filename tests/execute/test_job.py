"""What crosses to workers is text, and what comes back is checked."""

from __future__ import annotations

import numpy as np
import pytest

from symact.execute.job import decode_arrays, encode_arrays
from symact.study.feature_cache import pack, stacked, unpack


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "int32", "int64", "bool"])
def test_arrays_survive_the_way_there_and_back(kind):
    array = (np.arange(6).reshape(2, 3) % 2).astype(kind)
    found = decode_arrays(unpack_of({"a": array}))["a"]
    assert np.array_equal(found, array)
    assert found.flags.writeable


def unpack_of(arrays):
    import json

    return json.loads(json.dumps(encode_arrays(arrays)))


def test_nan_and_a_scalar_survive():
    found = decode_arrays(encode_arrays({"a": np.array([np.nan, np.inf]), "b": np.array(True)}))
    assert np.isnan(found["a"][0])
    assert found["b"].shape == ()


@pytest.mark.parametrize(
    "part",
    [
        None,
        {"type": "object", "shape": [1], "data": ""},
        {"type": "float64", "shape": [2], "data": "AAAA"},
        {"type": "float64", "shape": [-1], "data": ""},
        {"type": "float64", "shape": "1", "data": ""},
        {"type": "float64", "shape": [1]},
    ],
)
def test_what_is_no_array_is_refused(part):
    with pytest.raises(ValueError):
        decode_arrays({"a": part})


def test_packed_arrays_that_are_damaged_are_measured_again():
    text = pack(encode_arrays({"a": np.ones(3)}))
    assert np.array_equal(unpack(text)["a"], np.ones(3))
    assert unpack(text[:10]) == {}
    assert unpack("not base64!") == {}


def test_rows_that_could_not_be_measured_are_nan_and_not_finite():
    rows = [{}, {"a": np.ones(2), "n": np.array(3), "w_weights": np.arange(2), "finite": np.array(True)}]
    found = stacked(rows)
    assert list(found["finite"]) == [False, True]
    assert np.isnan(found["a"][0]).all()
    assert list(found["n"]) == [0, 3]
    assert found["w_weights"].shape == (2,)
    assert list(stacked([{}])["finite"]) == [False]
