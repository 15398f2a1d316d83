"""Every formula of the shipped grammars' operators, compiled: its values and slopes are right.

`atlas` is left out: hundreds of published functions, which `tests/catalog` compares with other libraries.
"""

from __future__ import annotations

import pytest

from symact.activation.check import check
from symact.expr.operators import Operator
from symact.expr.tree import X_LEAF, Expr, parse
from symact.program.loading import load_grammar, shipped

# Two arguments that differ, so that an operator that mixed them up would show.
FIRST, SECOND = "tanh(x)", "sigmoid(x) + 0.5"

OPERATORS = {  # A formula that several grammars have is checked once.
    (operator.kind, operator.formula, operator.parameters): operator
    for name in sorted({*shipped()} - {"atlas"})
    for operator in load_grammar(name).operators.values()
}


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=lambda operator: operator.name)
def test_an_operator_computes_its_formula_and_its_derivative(operator: Operator):
    arguments = (X_LEAF,) if operator.arity == 1 else (parse(FIRST), parse(SECOND))
    report = check(Expr(operator, arguments))
    assert report.points > 0
    assert report.worst_value_error <= 1e-5, f"value at {report.at}"
    assert report.worst_gradient_error <= 1e-5, f"derivative at {report.at}"
