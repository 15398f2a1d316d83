"""A setting of an optimizer is taken if its constructor declares it and its type, and refused by one clear line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from symact.errors import InputError
from symact.optimize.settings import check_types, described, fits, shown


class Made:
    """An optimizer's constructor."""

    def __init__(self, space: Any, seed: int, *, features: Any = None, size: int = 3, rate: float | None = None):
        self.given = space, seed, features, size, rate


class Open:
    """One that takes any setting."""

    def __init__(self, space: Any, seed: int, **settings: Any):
        self.given = space, seed, settings


class Unknown:
    """One of a user, whose annotation cannot be looked up."""

    def __init__(self, space: Any, seed: int, size: NoSuchType = 3):  # type: ignore[name-defined]  # noqa: F821
        self.given = space, seed, size


@pytest.mark.parametrize("settings", [{}, {"size": 7}, {"rate": 0.5}, {"rate": 1}, {"rate": None}])
def test_what_is_declared_is_taken(settings: dict[str, Any]) -> None:
    check_types(Made, "made", settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sise": 7}, "optimizer 'made' has no setting 'sise'; it has size, rate"),
        ({"size": 7.5}, "optimizer 'made': size takes a whole number, not 7.5"),
        ({"size": True}, "optimizer 'made': size takes a whole number, not True"),
        ({"size": 2**63}, "optimizer 'made': size takes a whole number, not 9223372036854775808"),
        ({"rate": "fast"}, "optimizer 'made': rate takes a number or null, not 'fast'"),
        ({"rate": math.nan}, "optimizer 'made': rate takes a number or null, not nan"),
        ({"seed": 1}, "optimizer 'made' has no setting 'seed'; it has size, rate"),
    ],
)
def test_anything_else_is_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_types(Made, "made", settings)
    assert str(caught.value) == message


def test_what_the_study_gives_is_no_setting_even_of_one_that_takes_any() -> None:
    check_types(Open, "open", {"whatever": [1]})
    for name in ("space", "seed", "features"):
        with pytest.raises(InputError, match=f"no setting '{name}'"):
            check_types(Open, "open", {name: 1})


def test_annotations_that_cannot_be_looked_up_refuse_nothing() -> None:
    check_types(Unknown, "unknown", {"size": "large"})


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        (int, [0, -3], [True, 1.0, "1", 2**70]),
        (float, [0.5, 1, -1e300], [math.inf, math.nan, False, "x"]),
        (bool, [True], [1, 0]),
        (str, ["a"], [1, None]),
        (type(None), [None], [0]),
        (int | None, [3, None], [3.5]),
        (Mapping[str, float], [{}, {"a": 1.5}], [{"a": "b"}, [1.0]]),
        (Sequence[str], [["a"], ("a",)], ["a", {"a": 1}]),
        (object, [1, "x", None], []),
    ],
)
def test_types(wanted: Any, good: list[Any], bad: list[Any]) -> None:
    assert all(fits(value, wanted) for value in good)
    assert not any(fits(value, wanted) for value in bad)


def test_types_are_described_in_words_and_long_values_are_cut() -> None:
    assert described(int | None) == "a whole number or null"
    assert described(Mapping[str, float]) == 'a table of numbers, such as {"name": 1}'
    assert described(Sequence[str]) == "a list"
    assert shown("x") == "'x'"
    assert len(shown("x" * 500)) == 60
