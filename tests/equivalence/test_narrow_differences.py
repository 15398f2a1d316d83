"""Functions that differ where no sample point is, or by little, are not merged; and what is undefined there is seen."""

from __future__ import annotations

import pyarrow as pa
import pytest

from symact.equivalence import FunctionIndex, enumerate_classes
from symact.expr.grammar import Grammar
from symact.program.loading import parse_grammar

NARROW = "[identity]\ninterval = [-5, 5]\n"
PARAMETER = "[parameters]\nbeta = { init = 1.0 }\n"


def grammar(unary: str, identity: str = "", parameters: str = "") -> Grammar:
    lines = "\n".join(f'f{number} = "{formula}"' for number, formula in enumerate(unary.split("; ")))
    return parse_grammar(
        f'name = "narrow"\n{parameters}[unary]\n{lines}\n[binary]\nsub = "a - b"\nadd = "a + b"\n'
        f'[spaces]\nsingle = ["unary(x)"]\npairs = ["binary(unary(x), unary(x))"]\n{identity}'
    )


def classes(table: pa.Table) -> dict[str, int]:
    return dict(zip(table["expression"].to_pylist(), table["class_id"].to_pylist(), strict=True))


DIFFERENT = {
    "beyond the last sample point": ("x; where(x > 97, x + 1e-6, x)", "", ""),
    "analytic and small": ("x; x + 4e-6*exp(-(x - 53)**2)", "", ""),
    "hidden by something large": ("x; where(x > 4.9, x + 1e-6, x); sinh(x)", NARROW, ""),
    "by a parameter": ("x; x + where(x > 4.9, 1e-7*beta, 0)", NARROW, PARAMETER),
    "a narrow spike": ("x; x + where(x > 1.234, where(x < 1.23401, 1e-3, 0), 0)", NARROW, ""),
    "near a jump": ("x; sign(x); where(abs(x) < 1e-4, 0, x)", NARROW, ""),
    "too small for float64": ("0; where(x > 97, 1e-305*x, 0)", "", ""),
    "too large for float64": ("1e299*x**2; 1e299*where(x > 97, 2*x**2, x**2)", "", ""),
}


@pytest.mark.parametrize(("unary", "identity", "parameters"), DIFFERENT.values(), ids=DIFFERENT)
def test_small_and_narrow_differences_are_differences(unary: str, identity: str, parameters: str) -> None:
    own = grammar(unary, identity, parameters)
    count = len(unary.split("; "))
    assert len(set(classes(enumerate_classes(own, "single")).values())) == count
    found = classes(enumerate_classes(own, "pairs"))
    # f - g, and f + g but for the order; every f - f is 0.
    zero = "0; " in unary
    assert len(set(found.values())) == (4 if zero else count * (count - 1) + 1 + count * (count + 1) // 2)
    index = FunctionIndex(own)
    assert [index.add(expr) for expr in own.space("pairs")] == list(found.values())


def test_the_index_does_not_depend_on_what_was_asked_before() -> None:
    own = grammar("x; x + where(x > 1.234, where(x < 1.23401, 1e-3, 0), 0)", NARROW)
    same, other = list(own.space("pairs"))[:2]
    index = FunctionIndex(own)
    assert [index.add(same), index.add(other)] == [0, 1]


@pytest.mark.parametrize(
    ("formula", "identity", "parameters", "domain"),
    [
        ("sqrt(abs(x - 53) - 3.5)", "", "", "partly"),
        ("sqrt(4.9 - x)", NARROW, "", "partly"),
        ("log(x + 4.93)", NARROW, "", "partly"),
        ("sqrt(beta + 2.97) + x", NARROW, PARAMETER, "partly"),
        ("sqrt(5.1 - x)", NARROW, "", "everywhere"),
        ("x/(x**2 - 2)", NARROW, "", "everywhere"),
        ("sqrt(x - (x/3)*3)", "", "", "everywhere"),
        ("sqrt(1 - sin(x)**2 - cos(x)**2)", "", "", "everywhere"),
    ],
)
def test_domains_are_looked_for_between_the_sample_points(
    formula: str, identity: str, parameters: str, domain: str
) -> None:
    own = grammar(f"x; {formula}", identity, parameters)
    assert enumerate_classes(own, "single")["domain"].to_pylist()[1] == domain
    assert enumerate_classes(own, "pairs")["domain"].to_pylist()[1] == domain
    assert FunctionIndex(own).domain(list(own.space("single"))[1]) == domain
