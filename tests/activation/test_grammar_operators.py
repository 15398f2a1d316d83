"""Every operator of the shipped grammars, compiled: its values and slopes are those of its formula.

`atlas` is left out: hundreds of published functions, which `tests/catalog` compares with other libraries.
"""

from __future__ import annotations

import pytest

from symact.activation.check import check
from symact.expr.operators import Operator, Vocabulary
from symact.expr.tree import X_LEAF, Expr, parse
from symact.program.loading import load_grammar, shipped

# Two arguments that differ, so that an operator that mixed them up would show.
FIRST, SECOND = "tanh(x)", "sigmoid(x) + 0.5"

ROWS = [
    pytest.param(load_grammar(name), operator, id=f"{name}-{operator.name}")
    for name in sorted({*shipped()} - {"atlas"})
    for operator in load_grammar(name).operators.values()
]


@pytest.mark.parametrize(("grammar", "operator"), ROWS)
def test_an_operator_computes_its_formula_and_its_derivative(grammar: Vocabulary, operator: Operator):
    arguments = (X_LEAF,) if operator.arity == 1 else (parse(FIRST), parse(SECOND))
    report = check(Expr(operator, arguments))
    assert report.points > 0
    assert report.worst_value_error <= 1e-5, f"value at {report.at}"
    assert report.worst_gradient_error <= 1e-5, f"derivative at {report.at}"
