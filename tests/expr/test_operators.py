"""Operators, parameters, limits: what makes two of them equal, and what a vocabulary knows."""

from __future__ import annotations

import copy
import pickle

import pytest

from symact.expr.operators import INPUTS, NO_GRAMMAR, Parameter, variable
from symact.expr.tree import parse
from symact.program.loading import parse_grammar

TEXT = """
name = "g"
[parameters]
beta = { init = 2.0, positive = true }
[constants]
eps = 0.5
[unary]
act = "tanh(beta*x) + eps"
zero = "0"
[binary]
add = "a + b"
[nary]
sum_n = "add"
[limits]
forbid = ["act(act)"]
"""
GRAMMAR = parse_grammar(TEXT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tanh(beta*x)", "sin(beta*x)"),
        ("eps = 0.5", "eps = 0.25"),
        ("init = 2.0", "init = 3.0"),
        ("positive = true", "positive = false"),
    ],
)
def test_an_operator_of_one_name_that_means_something_else_is_another(old, new):
    other = parse_grammar(TEXT.replace(old, new)).operators["act"]
    assert other != GRAMMAR.operators["act"]
    assert other.name == "act"
    assert len({other, GRAMMAR.operators["act"]}) == 2


def test_an_operator_read_again_is_the_same():
    again = parse_grammar(TEXT)
    assert all(again.operators[name] == operator for name, operator in GRAMMAR.operators.items())
    assert hash(again.operators["act"]) == hash(GRAMMAR.operators["act"])


@pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copy_is_equal_and_an_input_stays_itself(travel):
    operator = GRAMMAR.operators["act"]
    assert travel(operator) == operator
    assert travel(operator).formula == operator.formula
    assert all(travel(variable(name)) is variable(name) for name in INPUTS)


def test_arity_follows_the_kind():
    found = {name: operator.arity for name, operator in GRAMMAR.operators.items()}
    assert found == {"act": 1, "zero": 1, "add": 2, "sum_n": None}
    assert [variable(name).arity for name in INPUTS] == [0, 0]


def test_an_operator_that_does_not_mention_its_argument_is_total():
    assert [GRAMMAR.operators[name].total for name in ("zero", "act", "add")] == [True, False, False]


def test_limits_forbid_in_one_order_alone():
    assert GRAMMAR.inside("act").here == {"act"}
    assert GRAMMAR.inside("zero").here == frozenset()
    assert GRAMMAR.inside("zero", GRAMMAR.inside("act")).here == frozenset(), "only direct nesting"
    assert [operator.name for operator in GRAMMAR.of_kind("unary")] == ["act", "zero"]


def test_a_positive_parameter_has_a_positive_symbol():
    assert Parameter("b", positive=True).symbol.is_positive
    assert Parameter("b").symbol.is_positive is None
    assert Parameter("b").symbol.is_real


def test_without_a_grammar_there_are_the_built_in_functions_alone():
    assert NO_GRAMMAR.operators == {}
    assert str(parse("relu(x)", NO_GRAMMAR)) == "relu(x)"
