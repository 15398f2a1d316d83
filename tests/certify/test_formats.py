"""Floating types: every number, units in the last place, rounding to infinity."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from symact.certify.formats import FORMATS, Format

EVERY = sorted(FORMATS)
HALVES = ["bfloat16", "float16"]


def one(kind: Format, found: float, exact: float) -> float:
    return float(kind.errors(np.array([found]), np.array([exact]))[0])


@pytest.mark.parametrize("name", EVERY)
def test_the_largest_number_and_the_unit_at_one_are_those_of_torch(name: str) -> None:
    kind, known = FORMATS[name], torch.finfo(FORMATS[name].dtype)
    assert kind.largest == known.max
    assert kind.ulp(np.array([1.0])) == known.eps
    assert kind.ulp(np.array([0.0])) == known.smallest_normal * known.eps


@pytest.mark.parametrize("name", HALVES)
def test_every_number_of_a_type_is_there_once(name: str) -> None:
    numbers = FORMATS[name].every()
    assert len(torch.unique(numbers.view(torch.int16))) == 65536
    assert numbers.dtype == FORMATS[name].dtype


@pytest.mark.parametrize("name", HALVES)
@given(exact=st.floats(-7e4, 7e4, width=32))
def test_what_torch_rounds_is_at_most_half_a_unit_off(name: str, exact: float) -> None:
    kind = FORMATS[name]
    found = float(torch.tensor(exact, dtype=torch.float32).to(kind.dtype))
    assert one(kind, found, exact) <= 0.5
    other = float(torch.nextafter(torch.tensor(found, dtype=kind.dtype), torch.tensor(math.inf, dtype=kind.dtype)))
    if math.isfinite(other) and abs(other) < kind.largest:
        assert one(kind, other, found) == pytest.approx(1.0, abs=0.51)


@pytest.mark.parametrize("name", EVERY)
def test_infinity_is_right_from_half_a_unit_above_the_largest_number_on(name: str) -> None:
    kind = FORMATS[name]
    assert one(kind, math.inf, kind.overflow) == 0.0
    assert one(kind, math.inf, kind.largest) == 1.0
    assert one(kind, kind.largest, math.inf) >= 1.0
    assert one(kind, -math.inf, math.inf) > 1e2


def test_nan_is_infinitely_wrong_and_an_undefined_truth_is_not_counted() -> None:
    kind = FORMATS["float16"]
    assert one(kind, math.nan, 1.0) == math.inf
    assert math.isnan(one(kind, 1.0, math.nan))
