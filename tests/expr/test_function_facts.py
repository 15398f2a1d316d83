"""What the table says of a function holds wherever it is looked at: domain, sign, parity, pieces, derivative."""

from __future__ import annotations

import itertools

import mpmath
import pytest
import sympy
from mpmath import mp, mpf

from symact.expr.formula import applied, parse_formula
from symact.expr.functions import FUNCTIONS, Function, X
from tests.equivalence.high_precision import value

SIZES = ("1e-12", "0.001", "0.3", "0.5", "0.9", "1", "1.1", "1.5", "2.2", "2.5", "2.75", "3", "3.3", "5.1", "9", "15")
POINTS = ("0", *SIZES, *("-" + size for size in SIZES))
ROWS = [
    row for row in FUNCTIONS.values() if row.arity == 1 and (row.derivative or row.sign or row.domain or row.pieces)
]
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
_NOTHING = mpf(10) ** -100  # sin(pi*3), with the digits there are
_SIGNS = {">": lambda v: v > 0, ">=": lambda v: v >= 0, "!=": lambda v: v != 0}


@pytest.fixture(autouse=True)
def _digits():
    with mp.workprec(600):
        yield


def of(row: Function, x: mpf):
    assert row.build is not None
    return value(row.build(X), {"x": x})


def formula(text: str, x: mpf):
    return value(parse_formula(text), {"x": x})


def pieces_at(row: Function, x: mpf) -> bool:
    """Whether a point lies on an edge between pieces, or on the edge of the domain."""
    return any(abs(formula(quantity, x)) < 1e-9 for quantity in row.breakpoints)


def test_every_function_that_is_computed_as_it_is_has_its_facts():
    from symact.program.instructions import EXACT

    assert {r.name for r in FUNCTIONS.values() if r.head and r.arity == 1 and r.name in EXACT} <= {r.name for r in ROWS}
    # No formula says what the digamma function is.
    assert [row.name for row in ROWS if row.name in EXACT and not row.derivative] == ["lgamma"]


@rows
def test_the_domain_is_where_it_has_a_value(row):
    quantity, relation = row.edge
    for text in POINTS:
        x = mpf(text)
        if not (row.domain and abs(formula(quantity, x)) < _NOTHING):
            assert (of(row, x) is not None) == (not row.domain or _SIGNS[relation](formula(quantity, x))), text


@rows
def test_the_sign_is_that_of_its_formula(row):
    for text in POINTS if row.sign else ():
        found = of(row, mpf(text))
        if found is not None:
            assert mpmath.sign(found) == mpmath.sign(formula(row.sign, mpf(text))), text


@rows
def test_the_parity_is_what_it_is_said_to_be(row):
    pairs = [(of(row, mpf(text)), of(row, -mpf(text))) for text in SIZES]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    both = len(known) > 0 and all((a is None) == (b is None) for a, b in pairs)
    even = both and all(mpmath.almosteq(a, b) for a, b in known)
    odd = both and all(mpmath.almosteq(a, -b) for a, b in known)
    assert row.parity == ("even" if even else "odd" if odd else ""), row.name


@rows
def test_the_derivative_is_that_of_the_value(row):
    for text in POINTS if row.derivative else ():
        x = mpf(text)
        if of(row, x) is not None and not pieces_at(row, x):
            slope = mpmath.diff(lambda at: of(row, at), x, h=mpf(10) ** -60)
            assert mpmath.almosteq(slope, formula(row.derivative, x), mpf(10) ** -30, mpf(10) ** -30), text


@rows
def test_it_is_flat_where_it_is_said_to_be_and_nowhere_else(row):
    step = mpf(10) ** -20
    found = [(of(row, mpf(text)), of(row, mpf(text) + step)) for text in POINTS]
    assert row.flat == any(a is not None and a == b for a, b in found)


@rows
def test_pieces_are_where_it_is_not_smooth(row):
    """At a point of a piece's edge some derivative jumps; anywhere else none of the first three does."""
    step = mpf(10) ** -25

    def jumps(x):
        sides = [[of(row, x + side * k * step) for k in range(1, 6)] for side in (-1, 1)]
        if any(v is None for side in sides for v in side):
            return False
        left, right = (
            [_difference(side, order) / (direction * step) ** order for order in range(4)]
            for side, direction in zip(sides, (-1, 1), strict=True)
        )
        return any(abs(a - b) > mpf(10) ** -9 * (1 + abs(a)) for a, b in zip(left, right, strict=True))

    for text in POINTS:
        x = mpf(text)
        if not (row.domain and abs(formula(row.edge[0], x)) < 1e-9):
            inside = any(abs(formula(quantity, x)) < _NOTHING for quantity in row.pieces)
            assert jumps(x) == inside, text


def _difference(values, order):
    for _ in range(order):
        values = [b - a for a, b in itertools.pairwise(values)]
    return values[0]


@rows
def test_exponential_are_those_whose_curvature_falls_or_grows_like_exp(row):
    if row.domain:
        assert not row.exponential
        return
    ratios = []
    for side in (-1, 1):
        near, far = (abs(mpmath.diff(lambda at: of(row, at), mpf(side) * x, 2, h=mpf(10) ** -40)) for x in (6, 12))
        ratios += [far / near] if near > mpf(10) ** -60 and far > mpf(10) ** -100 else []
    assert row.exponential == any(not mpmath.exp(-4) < ratio < mpmath.exp(4) for ratio in ratios)


def test_formulas_of_the_table_are_read():
    for row in ROWS:
        for text in (row.derivative, row.sign, *row.breakpoints):
            assert not text or isinstance(applied(text, X), sympy.Basic)
