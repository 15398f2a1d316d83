"""Normal forms: equal by arithmetic means one object, and what cancels leaves its domain."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.equivalence.rules.form import NOT_NEGATIVE, NOT_POSITIVE, Form, FormTable, leads_with_minus, ratio
from symact.equivalence.rules.matching import program_of_side
from symact.equivalence.rules.normal_form import NormalForms
from symact.equivalence.rules.products import multiplied
from symact.equivalence.rules.sums import added, scaled

NORMAL = NormalForms()


def form(text: str) -> Form:
    """Of a formula in a, b and c, which stand for x, tanh(x) and cosh(x)."""
    inputs = [NORMAL.variables[0], NORMAL.call("tanh", NORMAL.variables[0]), NORMAL.call("cosh", NORMAL.variables[0])]
    return NORMAL.program(program_of_side(text), inputs)


EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", "c", "2", "1/3", "0"]),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["+", "-", "*"]), inner, inner).map(lambda t: f"({t[1]} {t[0]} {t[2]})"),
        inner.map(lambda text: f"(-{text})"),
        st.tuples(st.sampled_from(["abs", "exp", "sin"]), inner).map(lambda t: f"{t[0]}({t[1]})"),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, EXPRESSIONS, EXPRESSIONS)
def test_the_laws_of_arithmetic_are_identities_of_forms(p, q, r):
    assert form(f"{p} + {q}") is form(f"{q} + {p}")
    assert form(f"{p}*{q}") is form(f"{q}*{p}")
    assert form(f"({p} + {q}) + {r}") is form(f"{p} + ({q} + {r})")
    assert form(f"{p} - {q}") is form(f"-({q} - {p})")
    assert form(f"({p} + {q}) - {q}") is form(p)
    assert form(f"2*({p} + {q})") is form(f"2*{p} + 2*{q}")
    assert form(f"max({p}, {q})") is form(f"max({q}, {p})")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("a*(b + c)", "a*b + a*c", True),
        ("(a + b)**2", "a**2 + 2*a*b + b**2", True),
        ("a/a", "1", True),
        ("log(a) - log(a)", "0", False),
        ("exp(a)*exp(b)", "exp(a + b)", True),
        ("sqrt(a)**2", "a", False),
        ("sqrt(c)**2", "c", True),
        ("max(a, 0) + min(a, 0)", "a", True),
        ("sigmoid(-a)", "1 - sigmoid(a)", True),
        ("abs(a*sin(a))", "abs(a)*abs(sin(a))", True),
        ("a**b", "exp(b*log(a))", False),
        ("c**b", "exp(b*log(c))", True),
        ("where(a > 0, b, b)", "b", True),
        ("sin(a)**2 + cos(a)**2", "1", True),
    ],
)
def test_forms_are_one_where_the_functions_are_and_have_one_domain(first, second, same):
    assert (form(first) is form(second)) is same


@pytest.mark.parametrize("text", ["log(a)", "sqrt(a)", "log(a) - log(a)", "0*log(a)", "log(a)/log(a)", "a**b"])
def test_a_partial_function_has_tags_and_a_total_one_none(text):
    assert form(text).tags
    assert not form("tanh(a) + abs(a)").tags


def test_what_is_nowhere_defined_spreads():
    assert form("log(-1 - a*a)").kind == "nowhere"
    for text in ("log(-1 - a*a) + b", "b*log(-1 - a*a)", "exp(log(-1 - a*a))", "max(b, log(-1 - a*a))", "b/0"):
        assert form(text).kind == "nowhere"


@pytest.mark.parametrize(
    ("text", "sign", "nonzero"),
    [
        ("c", NOT_NEGATIVE, True),
        ("-c", NOT_POSITIVE, True),
        ("a*a", NOT_NEGATIVE, True),
        ("abs(sin(a)) + 1", NOT_NEGATIVE, True),
        ("a", 0, True),
        ("exp(a)*c", NOT_NEGATIVE, True),
        ("-exp(a) - c", NOT_POSITIVE, True),
    ],
)
def test_the_sign_is_known_where_it_follows_from_the_parts(text, sign, nonzero):
    found = form(text)
    assert (found.sign, found.nonzero) == (sign, nonzero)


@given(st.fractions(-20, 20, max_denominator=20), st.fractions(-20, 20, max_denominator=20))
def test_numbers_are_added_and_multiplied_exactly(p, q):
    table = FormTable()
    first, second = table.const(p), table.const(q)
    assert added(table, ((first, 1), (second, 1))) is table.const(p + q)
    assert multiplied(table, NORMAL.call, ((first, 1), (second, 2))) is table.const(p * q * q)
    assert scaled(table, table.variables[0], p) is added(table, ((table.variables[0], p + q), (table.variables[0], -q)))


def test_a_ratio_is_found_and_a_leading_minus_seen():
    assert ratio(form("3*a + 6*b"), form("a + 2*b")) == 3
    assert ratio(form("a/2"), form("a")) == Fraction(1, 2)
    assert ratio(form("a + 1"), form("a + 2")) is None
    assert leads_with_minus(form("a - b")) is not leads_with_minus(form("b - a"))


def test_a_form_has_the_same_key_in_every_table():
    other = NormalForms()
    program = program_of_side("exp(a)*tanh(b) + log(c)")
    found = [
        n.program(program, [n.variables[0], n.call("sin", n.variables[0]), n.call("cosh", n.variables[0])])
        for n in (NORMAL, other)
    ]
    assert found[0] is not found[1]
    assert found[0].key == found[1].key
