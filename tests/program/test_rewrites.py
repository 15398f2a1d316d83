"""Every row of the table of rewrites is an identity, fires, and settles."""

from __future__ import annotations

import itertools
import math
import re

import mpmath
import pytest
from mpmath import mp, mpf

from symact.program.builder import Emitter
from symact.program.mpmath_values import MEANING
from symact.program.patterns import Pattern, Term
from symact.program.rewrites import REWRITES, Rewrite

VARIABLES = ("u", "v", "w", "z")
SAMPLES = {"u": (0.31, -0.7, 2.9, -3.3, 17.0, -26.0), "v": (-0.41, 1.7), "w": (1.0, 0.0), "z": (0.9,)}
PAIRS = (
    (2.25, 1.5),
    (0.49, 0.7),
    (0.16, -0.4),
    (2.25, -2.25),
    (-2.25, 1.5),
    (-4.0, -0.25),
    (0.5, 2.0),
    (0.25, 0.75),
    (3e200, -6e200),
)
CONSTANTS = [
    *({"c": c, "d": d} for c, d in PAIRS),
    *({"c": c, "d": sign * c * math.pi / 2} for c in (0.5, -2.0) for sign in (1.0, -1.0)),
]


class Constants:
    """What a row's condition asks of a Program where variables are inputs."""

    def __init__(self, constants: dict[str, float]):
        self.constants = constants

    def number(self, name: str) -> float | None:
        return self.constants.get(name)

    def operation(self, name: str) -> None:
        return None

    def is_parameter(self, name: str) -> bool:
        return True


def allowed(row: Rewrite) -> list[dict[str, float]]:
    """The constants that a row admits."""
    names = {name: name for name in (*VARIABLES, "c", "d")}
    return [c for c in CONSTANTS if row.when is None or row.when(Constants(c), names)]


def build(builder: Emitter, term: Term, values: dict[str, int]) -> int:
    return builder.instantiate(term, values)


def value(term: Term, values: dict[str, mpf]) -> mpf:
    if isinstance(term, str):
        return values[term]
    if isinstance(term, float):
        return mpf(term)
    return MEANING[term.name](*[value(argument, values) for argument in term.arguments])


def meaning_or_nan(term: Term, values: dict[str, mpf]) -> mpf:
    try:
        return value(term, values)
    except ZeroDivisionError:
        return mpf("nan")


@pytest.mark.parametrize("row", REWRITES, ids=lambda row: row.text)
def test_both_sides_are_equal(row: Rewrite) -> None:
    compared = 0
    with mp.workprec(400):
        for constants, u, v, w, z in itertools.product(allowed(row), *(SAMPLES[name] for name in VARIABLES)):
            values = {name: mpf(number) for name, number in {**constants, "u": u, "v": v, "w": w, "z": z}.items()}
            left, right = meaning_or_nan(row.pattern, values), meaning_or_nan(row.replacement, values)
            if mpmath.isnan(left) or not mpmath.isfinite(left):
                continue
            compared += 1
            # Constants in the table are float64, series have 15 digits.
            assert abs(left - right) <= 2e-13 * max(abs(left), mpf("1e-3")), (values, left, right)
    assert compared


# Rows with a series or a fraction near a removable singularity, and up to which |u| they take it.
SERIES = [
    (row, float(e[1])) for row in REWRITES if (e := re.search(r"/.*->.*where\(abs\(u\) < (\d[.\d]*), ", row.text))
]


@pytest.mark.parametrize(("row", "edge"), SERIES, ids=lambda p: p.text if isinstance(p, Rewrite) else None)
def test_a_form_near_0_is_float64_up_to_where_it_ends(row: Rewrite, edge: float) -> None:
    """In value and slope; its constants are rounded to float64, and a slope has a digit less."""
    with mp.workdps(60):
        for u in (0.999 * edge, -0.999 * edge):

            def side(term: Term, u: mpf) -> mpf:
                return value(term, {"u": mpf(u), "v": mpf("0.7"), "w": mpf(1), "z": mpf("0.9")})

            for order, bound in ((0, 1e-15), (1, 1e-14)):
                exact, found = (
                    mpmath.diff(lambda u, term=term: side(term, u), mpf(u), order)
                    for term in (row.pattern, row.replacement)
                )
                assert abs(found - exact) <= bound * abs(exact), (u, order)


def test_there_are_such_forms() -> None:
    assert len(SERIES) >= 5


@pytest.mark.parametrize("row", REWRITES, ids=lambda row: row.text)
def test_the_row_fires_and_its_result_is_settled(row: Rewrite) -> None:
    for constants in allowed(row):
        plain = Emitter(VARIABLES, stable=False)
        values = {**dict(zip(VARIABLES, range(4), strict=True)), **{k: plain.const(c) for k, c in constants.items()}}
        program = plain.build(build(plain, row.pattern, values))
        stable = Emitter(program.inputs)
        rewritten = stable.build(*stable.inline(program, (0, 1, 2, 3)))
        again = Emitter(program.inputs)
        assert again.build(*again.inline(rewritten, (0, 1, 2, 3))).operations == rewritten.operations
        if rewritten != program:
            return
    pytest.fail("the row never fires")


def test_patterns_read_as_mathematics() -> None:
    row = next(row for row in REWRITES if row.text.strip().startswith("exp(u) - 1 "))
    assert row.pattern == Pattern("add", (Pattern("exp", ("u",)), -1.0))
    assert row.replacement == Pattern("expm1", ("u",))


def test_a_negative_factor_is_a_minus_sign() -> None:
    builder = Emitter(("x",))
    twice = builder.emit("mul", 0, builder.const(2.0))
    opposite = builder.emit("mul", 0, builder.const(-2.0))
    ratio = builder.emit("div", builder.emit("sigmoid", twice), builder.emit("sigmoid", opposite))
    assert str(builder.build(ratio)).endswith("exp(%2)\nreturn %3")


def test_constants_fold_to_the_correctly_rounded_number() -> None:
    builder = Emitter(("x",))
    assert builder.number(builder.emit("sqrt", builder.const(2.0))) == math.sqrt(2.0)
    assert builder.number(builder.emit("log", builder.const(0.0))) is None
