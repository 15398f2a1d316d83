"""`atlas.NAME(x)` in formulas means the published function."""

from __future__ import annotations

import pytest

from symact.errors import FormulaError
from symact.expr.tree import parse, to_sympy


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("atlas.serf(x)", "x*erf(softplus(x))"),
        ("2*atlas.SERF(x - 1)", "2*((x - 1)*erf(softplus(x - 1)))"),
        ("atlas.swish(x)", "x*sigmoid(1*x)"),
        ("atlas.swish(x, beta=2)", "x*sigmoid(2*x)"),
        ("atlas.stanh(x)", "1.7159*tanh(2/3*x)"),
    ],
)
def test_a_published_function_is_its_formula(text, meant):
    assert str(to_sympy(parse(text)).doit()) == str(to_sympy(parse(meant)).doit())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("atlas.nothing(x)", "no published function"),
        ("atlas.serf(x, beta=1)", "it has no parameters"),
        ("atlas.swish(x, gamma=1)", "its parameters are beta"),
        ("atlas.swish(x, x)", "takes one argument"),
        ("atlas.swish()", "takes one argument"),
        ("atlas.swish", "expected a number"),
        ("os.path(x)", "expected a number"),
        ("atlas.swish.real(x)", "expected a number"),
        ("atlas.swish(x, **x)", "takes no"),
    ],
)
def test_what_is_none_is_refused_with_its_reason(text, reason):
    with pytest.raises(FormulaError, match=reason):
        parse(text)
