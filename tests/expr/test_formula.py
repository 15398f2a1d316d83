"""Formula text becomes unevaluated SymPy, or an error with its column; nothing is ever executed."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.errors import FormulaError
from symact.expr.formula import (
    MAXIMUM_DEPTH,
    MAXIMUM_LENGTH,
    Measure,
    applied,
    calls_in,
    expand_definition,
    parse_formula,
    read,
)
from symact.expr.functions import FUNCTIONS, A, B, X


@pytest.mark.parametrize("text", ["x - x", "x/x", "exp(log(x))", "0*x", "x + x", "sqrt(x**2)"])
def test_nothing_is_simplified(text):
    formula = parse_formula(text)
    assert formula.has(X)
    assert formula.doit() != formula or text == "sqrt(x**2)"


@settings(max_examples=60, deadline=None)
@given(st.decimals(0, 10**6, allow_nan=False, allow_infinity=False, places=9))
def test_a_decimal_is_the_exact_number_that_it_spells(number):
    assert parse_formula(f"{number:f}") == sympy.Rational(f"{number:f}")


def test_powers_of_e_are_exp():
    assert parse_formula("e**x").func is sympy.exp
    assert parse_formula("2**x").func is sympy.Pow


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "x.real", "(lambda: x)()", "[x for x in (1,)]", "x if x else 1", "x := 1", "f'{x}'", "'x'",
        "x[0]", "print(x)", "exec('x')", "x; x", "await x", "*x", "max(*x)", "max(key=x)", "True", "None", "1j", "...",
    ],
)  # fmt: skip
def test_what_is_no_formula_is_refused(text):
    with pytest.raises(FormulaError):
        parse_formula(text)


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("x + y", 4, "y"),
        ("tanh(x, x)", 0, "takes 1 argument, got 2"),
        ("max(x)", 0, "2 or more arguments"),
        ("x*sigmod(x)", 2, "sigmoid"),
        ("where(x, 1, 2)", 6, "comparison"),
        ("x(1)", 0, "x*"),
    ],
)
def test_an_error_points_at_its_column(text, column, reason):
    with pytest.raises(FormulaError) as error:
        parse_formula(text)
    assert error.value.column == column
    assert reason in error.value.reason


@pytest.mark.parametrize(
    "text",
    ["(" * (MAXIMUM_DEPTH + 1) + "x" + ")" * (MAXIMUM_DEPTH + 1), "-" * 200 + "x", "x" * (MAXIMUM_LENGTH + 1), ""],
)
def test_what_is_too_deep_too_long_or_empty_is_refused(text):
    with pytest.raises(FormulaError):
        parse_formula(text)


def test_names_and_calls_of_the_caller_come_first():
    found = parse_formula(
        "tanh(beta)", {"beta": sympy.Integer(7)}.get, lambda name, count: (lambda u: u + 1) if name == "tanh" else None
    )
    assert found == 8
    assert calls_in(read("max(tanh(x), f(1))")) == [("max", 0, 3), ("tanh", 4, 8), ("f", 13, 14)]


@pytest.mark.parametrize("name", [name for name, row in FUNCTIONS.items() if row.definition and row.arity])
def test_a_definition_is_in_its_arguments(name):
    row = FUNCTIONS[name]
    u, v, w = sympy.symbols("u v w", real=True)
    arguments = (u, v, w)[: row.arity]
    assert expand_definition(row, *arguments).free_symbols <= set(arguments)


def test_a_formula_of_the_table_takes_its_arguments_by_place():
    assert applied("a - b", B, A) == B - A
    assert applied("x**2", sympy.Integer(3)).doit() == 9


def test_size_is_that_of_the_written_out_tree_counted_once_per_part():
    tree = X
    for _ in range(200):
        tree = sympy.Add(tree, tree, evaluate=False)
    assert Measure().of(tree) == (2**201 - 1, 201)
