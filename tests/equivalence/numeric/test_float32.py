"""Every row of the float32 table against high precision, as exact as a network needs it."""

from __future__ import annotations

import numpy as np
import pytest

from symact.equivalence.numeric.float32 import FLOAT32
from symact.equivalence.table.float32_rule import PUBLISHED
from symact.program.instructions import EXACT, INSTRUCTIONS
from tests.program.meanings import PAIRS, POINTS, meaning

LARGEST, SMALLEST = float(np.finfo(np.float32).max), 1e-37


def wrong(row, name: str, arguments: tuple[float, ...], relative: float) -> bool:
    narrow = [np.float32(a) for a in arguments]
    exact = meaning(name, *map(float, narrow))
    if exact is None or not (exact == 0 or SMALLEST < abs(exact) < LARGEST):
        return False
    with np.errstate(all="ignore"):
        found = float(row(*[np.array([a]) for a in narrow])[0])
    return not abs(found - exact) <= relative * abs(exact)


def points(name: str) -> list[tuple[float, ...]]:
    if EXACT[name].arity == 2:
        return list(PAIRS)
    # Beyond, an angle in float32 is reduced by NumPy to its own accuracy, and logistic functions lose their tails.
    return [(x,) for x in POINTS if SMALLEST < abs(x) < 1e30 or x == 0]


def test_tables_have_one_row_per_instruction() -> None:
    assert set(FLOAT32) == set(INSTRUCTIONS) - {"const"}
    assert set(PUBLISHED) >= set(EXACT) - {"const", "ipow"}


def test_a_rest_is_what_rounding_took() -> None:
    a, b = np.float32([1.0, 3.0, 1e-3]), np.float32([1e-9, 0.1, 7.0])
    for name, whole in (("product_rest", np.multiply), ("sum_rest", np.add)):
        rest = FLOAT32[name](a, b)
        np.testing.assert_allclose(rest, whole(a.astype(float), b) - whole(a, b), rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in FLOAT32 if name != "where" and not name.endswith("_rest")])
def test_a_row_is_as_good_as_float32_is(name: str) -> None:
    assert [at for at in points(name) if wrong(FLOAT32[name], name, at, 4e-6)] == []


@pytest.mark.parametrize("name", sorted(set(PUBLISHED) & set(EXACT) - set(INSTRUCTIONS) | {"pow"}))
def test_the_published_kernels_are_close_where_they_do_not_subtract_from_one(name: str) -> None:
    at = [a for a in points(name) if a[0] >= 0 or name not in ("elu", "selu")]
    assert [a for a in at if wrong(PUBLISHED[name], name, a, 2e-5)] == []
