"""Formulas as papers print them mean what the plain text means; what is ambiguous is refused at its place."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.errors import FormulaError
from symact.expr.formula import parse_formula
from symact.expr.spelling import spellings
from symact.expr.tree import parse, to_sympy
from symact.optimize import function_features
from symact.program.loading import load_grammar, parse_grammar

AQUASURF = load_grammar("aquasurf")
RAMACHANDRAN = load_grammar("ramachandran")


def products(factors):
    """Two factors side by side where the first does not call the second: a space keeps names apart."""
    apart = factors.filter(lambda a: a[0].endswith(")"))
    return st.one_of(factors, st.builds(lambda a, b: (f"{a[0]}{b[0]}", f"{a[1]}*{b[1]}"), apart, factors))


# (as printed, plain): operands that may be multiplied without a sign, and whole terms.
FACTORS = st.recursive(
    st.sampled_from([("x", "x"), ("e", "e"), ("\u03c0", "pi"), ("(x)", "x")]),
    lambda inner: st.one_of(
        st.builds(
            lambda name, a: (f"{name[0]}({a[0]})", f"{name[1]}({a[1]})"),
            st.sampled_from([("ELU", "elu"), ("SiLU", "swish"), ("Tanh", "tanh"), ("sin", "sin")]),
            inner,
        ),
        st.builds(lambda a, b: (f"min{{{a[0]}, {b[0]}}}", f"min({a[1]}, {b[1]})"), inner, inner),
        st.builds(lambda a, b: (f"({a[0]} + {b[0]})", f"({a[1]} + {b[1]})"), inner, inner),
        st.builds(lambda a: (f"(|{a[0]}|)", f"abs({a[1]})"), inner),
        st.builds(lambda n, a: (f"({n}{a[0]})", f"({n}*{a[1]})"), st.sampled_from(["2", "0.5", "3 "]), products(inner)),
        st.builds(lambda a: (f"({a[0]}^{{-x}})", f"({a[1]})**(-x)"), inner.filter(lambda a: a[0] != "e")),
        st.builds(lambda a: (f"({a[0]}\u00b2)", f"({a[1]})**2"), inner),
    ),
    max_leaves=6,
)


TERMS = st.one_of(
    products(FACTORS),
    st.builds(lambda a, b: (f"-2{a[0]}/{b[0]}", f"-(2*{a[1]})/{b[1]}"), FACTORS, FACTORS),
    st.builds(
        lambda a, b: (f"{a[0]}\u00b7{b[0]} \u2212 3|{a[0]}|", f"{a[1]}*{b[1]} - 3*abs({a[1]})"), FACTORS, FACTORS
    ),
    st.builds(lambda a: (f"where({a[0]} \u2265 0, {a[0]}, x^2)", f"where({a[1]} >= 0, {a[1]}, x**2)"), FACTORS),
)


POINTS = np.array([-2.5, -1.25, -0.375, 0.375, 1.5, 2.5], dtype=np.float32)


@settings(max_examples=300, deadline=None)
@given(TERMS)
def test_a_printed_formula_means_the_plain_one(pair: tuple[str, str]) -> None:
    with patch.dict(function_features.AXES, {1: (POINTS,)}):
        printed, plain = function_features.outputs([parse(text) for text in pair])
    assert np.allclose(printed, plain, rtol=1e-4, equal_nan=True), pair


@settings(max_examples=200, deadline=None)
@given(TERMS, st.sampled_from([None, AQUASURF, RAMACHANDRAN]))
def test_a_printed_formula_prints_as_it_is_written_and_is_read_back(pair, grammar) -> None:
    expr = parse(f"  {pair[0]} ", grammar)
    assert not expr.is_formula or str(expr) == pair[0]
    again = parse(str(expr), grammar)
    assert again == expr
    assert to_sympy(again) == to_sympy(expr)


@settings(max_examples=200, deadline=None)
@given(FACTORS, FACTORS, st.sampled_from(["1/", "x/", "x^", "x**", "x/-", "e^-", "2x^"]))
def test_a_product_without_a_sign_after_a_division_or_a_power_is_refused_at_its_place(left, right, before) -> None:
    first = f"({left[0]})"
    text = f"{before}{first}{right[0]}"
    with pytest.raises(FormulaError, match="can be read in two ways") as error:
        parse(text)
    assert error.value.column == len(before) + len(first)
    assert parse(f"{before}({first}{right[0]})").is_formula


@settings(max_examples=200, deadline=None)
@given(
    TERMS, st.sampled_from([" + ", "\u00b7", "\u00d7", "\u2212 2"]), st.sampled_from(["qq", "qq(x)", "x(1)", "|qq|"])
)
def test_an_error_points_into_the_text_as_it_was_written(pair, sign, wrong) -> None:
    text = f"{pair[0]}{sign}{wrong}"
    with pytest.raises(FormulaError) as error:
        parse(text)
    start = len(pair[0] + sign) + wrong.startswith("|")
    assert error.value.column == start
    assert text[start : error.value.end] == (wrong if wrong == "x(1)" else "qq")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("x^2", "x**2"),
        ("-x^2", "-(x**2)"),
        ("x^2^3", "x**(2**3)"),
        ("2x", "2*x"),
        ("2 x", "2*x"),
        ("2x^2", "2*(x**2)"),
        ("3x/2", "3*x/2"),
        ("2x*3x", "2*x*3*x"),
        ("2e3", "2000"),
        ("2e", "2*e"),
        ("2(x+1)", "2*(x+1)"),
        ("(x+1)(x-1)", "(x+1)*(x-1)"),
        ("2sin(x)cos(x)", "2*sin(x)*cos(x)"),
        ("x tanh(softplus(x))", "x*tanh(softplus(x))"),
        ("x/(1+e^{-x})", "x/(1+exp(-x))"),
        ("||x|-1|", "abs(abs(x)-1)"),
        ("x/|x|", "x/abs(x)"),
        ("2|x|", "2*abs(x)"),
        ("|x|\u00b2", "abs(x)**2"),
        ("x\u207b\u00b9", "x**-1"),
        ("x\u00b9\u2070", "x**10"),
        ("max{0, min{1, x}}", "max(0, min(1, x))"),
        ("where(|x| \u2264 1 and x \u2260 0, x, 2x)", "where(abs(x) <= 1 and x != 0, x, 2*x)"),
        ("x\u221a(x)", "x*sqrt(x)"),
        ("0x1F", "31"),
    ],
)
def test_what_papers_print(text: str, plain: str) -> None:
    assert parse_formula(text) == parse_formula(plain)


@pytest.mark.parametrize(
    ("text", "reason", "column"),
    [
        ("1/2x", "can be read in two ways", 3),
        ("x^2x", "can be read in two ways", 3),
        ("x\u00b2x", "can be read in two ways", 2),
        ("sin^2(x)", "can be read in two ways", 5),
        ("|x|x|x|", "can be read in two ways", 3),
        ("x(1)", "'x' is no function; a product is written x*(...)", 0),
        ("2pi(x)", "'pi' is no function", 1),
        ("x 2", "not a formula", 2),
        ("1 2", "not a formula", 2),
        ("0x", "not a formula", 1),
        ("sin x", "a function needs an argument", 0),
        ("|x", "| has no partner", 0),
        ("x + |", "| has no partner", 4),
        ("min{x, 1)", ") stands here; } would close", 8),
        ("min(x, 1}", "} stands here; ) would close", 8),
        ("x}", "} stands here, and nothing is open", 1),
        ("\u03bb*x", "cannot stand in a formula", 0),
        ("x\u200b", "cannot stand in a formula", 1),
    ],
)
def test_what_is_unclear_is_refused_with_its_column(text: str, reason: str, column: int) -> None:
    with pytest.raises(FormulaError) as error:
        parse(text)
    assert reason in error.value.reason
    assert error.value.column == column


NAMES = {
    "ELU": "elu",
    "ReLU": "relu",
    "RELU": "relu",
    "SELU": "selu",
    "GELU": "gelu",
    "SiLU": "swish",
    "Swish": "swish",
    "Mish": "mish",
    "Softplus": "softplus",
    "SoftPlus": "softplus",
    "Softsign": "softsign",
    "LeakyReLU": "leakyrelu",
    "HardSigmoid": "hard_sigmoid",
    "Hardsigmoid": "hardsigmoid",
    "HardSwish": "hardswish",
    "Hardswish": "hardswish",
    "LogSigmoid": "logsigmoid",
    "Log_Sigmoid": "logsigmoid",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Erf": "erf",
    "arcSinh": "asinh",
}


@pytest.mark.parametrize(("name", "meant"), NAMES.items())
def test_names_of_papers(name: str, meant: str) -> None:
    assert parse_formula(f"{name}(x)") == parse_formula(f"{meant}(x)")
    assert spellings(name)[0] == name


def test_operators_of_a_grammar_are_meant_before_built_in_functions_of_a_looser_spelling() -> None:
    assert parse("max(ReLU(x),cosh(ELU(x)))", AQUASURF) == parse("max(relu(x),cosh(elu(x)))", AQUASURF)
    assert parse("HardSigmoid(x)", AQUASURF) == parse("hard_sigmoid(x)", AQUASURF)
    assert parse("SiLU(x)", AQUASURF).is_formula, "the operator is called swish there"


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("(x > 0)*x", "where(x > 0, 1, 0)*x"),
        ("x*(x > 0) - 2(x < -1)", "x*where(x > 0, 1, 0) - 2*where(x < -1, 1, 0)"),
        ("[x > 0]*x", "where(x > 0, 1, 0)*x"),
        ("x > 0 and x < 2", "where(x > 0 and x < 2, 1, 0)"),
        ("where(not (x > 0), 0, x)", "where(x <= 0, 0, x)"),
        ("where(~(x > 0), 0, x)", "where(x <= 0, 0, x)"),
        ("where(!(x > 0), 0, x)", "where(x <= 0, 0, x)"),
        ("where(\u00ac(x > 0 or x < -1), 0, x)", "where(x <= 0 and x >= -1, 0, x)"),
        ("where(not (x == 0 and x != 1), 0, x)", "where(x != 0 or x == 1, 0, x)"),
        ("where((x > 0) & (x < 2), x, 0)", "where(x > 0 and x < 2, x, 0)"),
        ("where(x > 0 && x < 2, x, 0)", "where(x > 0 and x < 2, x, 0)"),
        ("where(x > 0 \u2227 x < 2, x, 0)", "where(x > 0 and x < 2, x, 0)"),
        ("where(x < 0 \u2228 x > 2, x, 0)", "where(x < 0 or x > 2, x, 0)"),
        ("where(x != 0, x, 1)", "where(not (x == 0), x, 1)"),
        ("x if x > 0 else 0.01*x", "where(x > 0, x, 0.01*x)"),
        ("\u221ax + \u221a2*x", "sqrt(x) + sqrt(2)*x"),
        ("2\u221a(x + 3)", "2*sqrt(x + 3)"),
        ("x % 2 + x//3", "mod(x, 2) + floor(x/3)"),
        ("sgn(x)*\u0393(x + 4)", "sign(x)*gamma(x + 4)"),
    ],
)
def test_conditions_roots_and_remainders_are_read_as_people_write_them(written: str, plain: str) -> None:
    assert to_sympy(parse(written)) == to_sympy(parse(plain))


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("where(x > 0 & x < 1, x, 0)", "write and"),
        ("where((x < 0) | (x > 1), x, 0)", "comparisons are joined by `or`"),
        ("where(x, 1, 2)", r"as in where\(x > 0"),
        ("~x", r"as in where\(x > 0"),
        ("\u221asin(x)", "in parentheses"),
        ("\u221ax\u00b2", "in parentheses"),
        ("\u230ax\u230b", r"write floor\(x\)"),
        ("digamma(x)", "the derivative of lgamma"),
        ("erfinv(x)", "no such function"),
        ("LambertW(x)", "no such function"),
    ],
)
def test_what_is_not_read_says_what_to_write(text: str, remedy: str) -> None:
    with pytest.raises(FormulaError, match=remedy):
        parse(text)


def test_a_parameter_called_gamma_is_no_function() -> None:
    grammar = parse_grammar('[parameters]\ngamma = {}\n[unary]\nf = "gamma*x"')
    with pytest.raises(FormulaError, match="a product is written"):
        parse("gamma(x + 1)", grammar)
    assert [p.name for p in parse("gamma*x", grammar).parameters] == ["gamma"]
