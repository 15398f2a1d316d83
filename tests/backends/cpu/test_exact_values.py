"""What the float64 kernels give where a result is exactly a number of float64, or all but that: just this number."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from functools import cache

import mpmath
import pytest
import torch

from symact.activation.module import CompiledFunction
from symact.expr.tree import parse
from symact.program.instructions import INSTRUCTIONS
from symact.program.mpmath_values import MEANING, fold
from tests.backends.cpu.test_kernel import BINARY, LIBRARY, UNARY, isa, single

__all__ = ["isa"]
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="no C++ compiler here")

SIZES = [0.0, 5e-324, 1e-320, 2.3e-308, 1e-300, 1e-200, 1e-30, *(k * 2.0**-56 for k in range(1, 9)), 1e-17, 0.125, 0.25]
SIZES += [0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 8.0, 9.0, 16.0, 24.0, 27.0, 30.0, 40.0, 100.0, 745.0, 750.0, 1024.0]
SIZES += [1e5, 1e10, 2.0**52 + 1.0, 2.0**53, 1e17, 1e100, 1e200, 1e300, sys.float_info.max]
POINTS = [side * size for size in SIZES for side in (1.0, -1.0)]
# Of a unit in the last place: so close to a number of float64, a result is taken for it.
NEAR = mpmath.mpf(2) ** -8
INF, NAN = math.inf, math.nan
# At -inf and inf.
LIMITS = {
    **dict.fromkeys(("abs", "cosh", "logcosh", "hypot1"), (INF, INF)),
    **dict.fromkeys(("floor", "sinh", "asinh"), (-INF, INF)),
    **dict.fromkeys(("sign", "tanh", "erf"), (-1.0, 1.0)),
    **dict.fromkeys(("sigmoid", "ndtr"), (0.0, 1.0)),
    **dict.fromkeys(("exp", "softplus"), (0.0, INF)),
    **dict.fromkeys(("sqrt", "log", "log1p"), (NAN, INF)),
    **dict.fromkeys(("sin", "cos", "tan", "sinc", "sinc_grad"), (NAN, NAN)),
    **dict.fromkeys(("logsigmoid", "log_ndtr", "erfcx_grad"), (-INF, -0.0)),
    **dict.fromkeys(("i0e", "i1e_ratio", "i0e_minus_i1e"), (0.0, 0.0)),
    "neg": (INF, -INF),
    "expm1": (-1.0, INF),
    "atan": (-math.pi / 2, math.pi / 2),
    "erfc": (2.0, 0.0),
    "erfcx": (INF, 0.0),
    "i1e": (-0.0, 0.0),
}
# These keep the sign of a zero, or lose it, whatever they are beside it.
SIGNS_OF_ZERO = {"sqrt": (0.0, -0.0), "floor": (0.0, -0.0), "sign": (0.0, 0.0)}


@cache
def exact_values(name: str) -> list[tuple[float, float]]:
    """Points of an operation, and the results there that have to be right to the last bit."""
    found = []
    with mpmath.mp.workprec(1200):
        for point in POINTS:
            value = MEANING[name](mpmath.mpf(point))
            if mpmath.isnan(value):
                found.append((point, NAN))
            elif abs(value) >= mpmath.mpf(2) ** 1024:
                found.append((point, math.copysign(INF, value)))
            elif point == 0 and value == 0:
                beside = MEANING[name](mpmath.mpf(math.copysign(1e-300, point)))
                usual = math.copysign(0.0, beside)
                found.append((point, SIGNS_OF_ZERO.get(name, (usual, usual))[math.copysign(1.0, point) < 0]))
            else:
                rounded = float(value)
                if abs(value - rounded) <= NEAR * mpmath.mpf(math.ulp(rounded)):
                    # Of what is too small for mpmath only the limit has a sign.
                    signed = value if value else LIMITS[name][point > 0] if abs(point) > 1e50 else 1.0
                    found.append((point, math.copysign(rounded, signed)))
    return found


def same(found: float, wanted: float) -> bool:
    """Whether two numbers are the same, signs of zeros included."""
    if math.isnan(wanted):
        return math.isnan(found)
    return found == wanted and math.copysign(1.0, found) == math.copysign(1.0, wanted)


@pytest.mark.parametrize("name", UNARY)
def test_results_that_are_numbers_of_float64_are_exact(name, isa):
    rows = exact_values(name)
    values = single(name).forward(torch.tensor([point for point, _ in rows], dtype=torch.float64)).tolist()
    wrong = [
        (point, value, wanted) for (point, wanted), value in zip(rows, values, strict=True) if not same(value, wanted)
    ]
    assert not wrong, f"{name}: point, found, wanted: {wrong}"


@pytest.mark.parametrize("name", UNARY)
def test_values_at_infinities_are_the_limits(name, isa):
    values = single(name).forward(torch.tensor([-INF, INF], dtype=torch.float64)).tolist()
    assert all(map(same, values, LIMITS[name])), f"{name}: {values}"


def test_every_operation_has_limits():
    assert set(LIMITS) == set(UNARY)


def arithmetic(name: str, a: float, b: float) -> float:
    """A binary operation as Python's floats and rationals have it."""
    if name in ("max", "min"):
        return NAN if a != a or b != b else max(a, b) if name == "max" else min(a, b)
    if name == "div" and b == 0:
        return NAN if a == 0 or a != a else math.copysign(INF, a) * math.copysign(1.0, b)
    if name == "pow":
        try:
            return math.pow(a, b)
        except OverflowError:
            return -INF if a < 0 and b % 2 == 1 else INF
        except ValueError:
            return NAN if a else (math.copysign(INF, a) if b % 2 == 1 else INF)
    plain = {
        "add": float.__add__,
        "sub": float.__sub__,
        "mul": float.__mul__,
        "div": float.__truediv__,
        "lt": float.__lt__,
        "le": float.__le__,
        "eq": float.__eq__,
    }
    return float(plain[name](a, b))


SPECIAL = [
    0.0,
    -0.0,
    0.5,
    -0.5,
    1.0,
    -1.0,
    2.0,
    -2.0,
    3.0,
    -3.0,
    4.0,
    1e-300,
    2.0**53 - 1.0,
    1e300,
    -1e300,
    INF,
    -INF,
    NAN,
]
PAIRS = [(a, b) for a in SPECIAL for b in SPECIAL]


def of_pairs(name: str, pairs: list[tuple[float, float]]) -> list[float]:
    a, b = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    return single(name).backward(b, a)[0].tolist()


@pytest.mark.parametrize("name", BINARY)
def test_arithmetic_in_float64_is_exact_signs_of_zeros_included(name, isa):
    for (a, b), value in zip(PAIRS, of_pairs(name, PAIRS), strict=True):
        assert same(value, arithmetic(name, a, b)), f"{name}({a}, {b}) = {value}, not {arithmetic(name, a, b)}"


@pytest.mark.parametrize(("name", "taken"), [("sum_rest", Fraction.__add__), ("product_rest", Fraction.__mul__)])
def test_rests_in_float64_are_exact(name, taken, isa):
    numbers = [0.0, 0.5, 1.0, -1.0, 1 / 3, -1e-5 / 7, 2.0**53 - 1.0, 1e10 / 3, 2.0**-60]
    pairs = [(a, b) for a in numbers for b in numbers]
    for (a, b), value in zip(pairs, of_pairs(name, pairs), strict=True):
        exact = taken(Fraction(a), Fraction(b))
        assert Fraction(value) == exact - Fraction(float(exact)), f"{name}({a}, {b}) = {value}"


def test_sines_of_sums_in_float64_are_exact_at_zero(isa):
    pairs = [(0.0, 0.0), (-0.0, -0.0), (1e-300, 0.0), (-1e-300, 0.0), (0.0, 1e-300)]
    assert list(map(str, of_pairs("sin_sum", pairs))) == ["0.0", "-0.0", "1e-300", "-1e-300", "1e-300"]
    assert of_pairs("cos_sum", pairs) == [1.0] * 5


def test_all_operations_are_looked_at():
    assert {*UNARY, *BINARY, "sum_rest", "product_rest", "sin_sum", "cos_sum", "const", "where"} == set(INSTRUCTIONS)


def test_what_cancels_a_value_that_is_exact_is_zero_at_zero(isa):
    x = torch.zeros(3, dtype=torch.float64)
    for text in ("sqrt(erfcx(x) - 1)", "sqrt(erfc(x) - 1)", "sqrt(ndtr(x) - 1/2)"):
        assert CompiledFunction(parse(text))(x).tolist() == [0.0] * 3


def test_the_slope_of_sinc_is_folded_right_where_its_parts_cancel_most():
    assert fold("sinc_grad", [-3e-200]) == pytest.approx(1e-200, rel=1e-15)
