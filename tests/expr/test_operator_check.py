"""Whether an operator is finite somewhere is known when its grammar is loaded, without any library."""

from __future__ import annotations

import subprocess
import sys

import pytest

from symact.expr.grammar import load_grammar, parse_grammar, shipped
from symact.expr.operator_check import finite_share


def share(formula, interval=(-5.0, 5.0), kind="unary"):
    grammar = parse_grammar(f'name = "g"\n[{kind}]\nf = "{formula}"\n')
    return finite_share(grammar.operators["f"], interval)


@pytest.mark.parametrize(
    "formula", ["tanh(x)", "gelu(x)", "bessel_i0e(x)", "where(x > 0, x, exp(x))", "1", "erfcx(abs(x))"]
)
def test_a_function_that_is_defined_everywhere_is_finite_at_every_point(formula):
    assert share(formula) == 1.0


@pytest.mark.parametrize(("formula", "mirrored"), [("log(x)", "log(-x)"), ("sqrt(x)", "sqrt(-x)")])
def test_a_function_of_half_the_line_and_its_mirror_share_the_points(formula, mirrored):
    assert 0 < share(formula) < 1
    assert share(formula) + share(mirrored) == 1.0


def test_points_lie_in_the_interval():
    assert share("log(x)", (1.0, 2.0)) == 1.0
    assert share("log(x - 3)", (1.0, 2.0)) == 0.0
    assert share("exp(x)", (1000.0, 2000.0)) == 0.0


def test_two_arguments_are_tried_in_pairs():
    assert 0 < share("log(a - b)", kind="binary") < 1
    assert share("a + b", kind="binary") == 1.0


@pytest.mark.parametrize("name", list(shipped()))
def test_every_operator_that_is_shipped_is_finite_somewhere(name):
    grammar = load_grammar(name)
    assert all(finite_share(operator, grammar.interval) > 0 for operator in grammar.operators.values())


def test_loading_a_grammar_needs_no_evaluator():
    code = """
import sys, symact
symact.load_grammar("aquasurf")
print(sorted({"torch", "scipy", "symact.equivalence", "symact.program"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
