"""The table of functions: every row reads, prints, pickles, and stands in the manual."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from symact.expr import functions
from symact.expr.tree import X_LEAF, parse, to_sympy
from symact.program.loading import load_grammar

MANUAL = Path(__file__).resolve().parents[2] / "docs" / "grammar.md"
MARK = "<!-- table: symact.expr.functions -->\n"


def manual_table() -> str:
    """The table of the manual, as the rows of the package give it."""
    lines = ["", "| function | arguments | also written | definition |", "|---|---|---|---|"]
    for row in functions.FUNCTIONS.values():
        aliases = ", ".join(f"`{alias}`" for alias in row.aliases)
        definition = f"`{row.definition}`" if row.definition else ""
        lines.append(f"| `{row.name}` | {row.arity or '2 or more'} | {aliases} | {definition} |")
    lines.append("| `where` | 3 |  | `where(condition, then, otherwise)` |")
    return "\n".join(lines) + "\n"


def test_the_manual_lists_every_function() -> None:
    assert MANUAL.read_text().partition(MARK)[2] == manual_table()


@pytest.mark.parametrize("name", [n for n in functions.names() if n != "where"])
def test_every_name_and_alias_is_read_by_its_row(name: str) -> None:
    row = functions.resolve(name)
    assert row is not None
    arguments = ",".join(["x"] * (row.arity or 3))
    assert to_sympy(parse(f"{name}({arguments})")) == to_sympy(parse(f"{row.name}({arguments})"))


def test_no_alias_is_a_name() -> None:
    aliases = [alias for row in functions.FUNCTIONS.values() for alias in row.aliases]
    assert len(set(aliases)) == len(aliases)
    assert not set(aliases) & set(functions.FUNCTIONS)


def test_the_functions_of_the_design_are_there() -> None:
    promised = (
        "abs sign sqrt exp expm1 log log1p sin cos tan sinh cosh tanh asinh atan sigmoid logsigmoid softplus relu elu "
        "selu swish gelu mish softsign hardsigmoid hardswish erf erfc erfcx ndtr log_ndtr logcosh "
        "i0e i1e sinc heaviside max "
        "min where Abs pow silu arcsinh arctan hard_sigmoid log_sigmoid bessel_i0e bessel_i1e leakyrelu"
    )
    assert set(promised.split()) <= set(functions.names())


def test_copies_of_an_expression_are_the_expression() -> None:
    for expr in (X_LEAF, parse("max(relu(x),elu(x))", load_grammar("aquasurf")), parse("gelu(x) + i0e(x)")):
        assert copy.deepcopy(expr) is copy.copy(expr) is expr
        again = pickle.loads(pickle.dumps(expr))
        assert again == expr
        assert (again.size, str(again)) == (expr.size, str(expr))
    assert pickle.loads(pickle.dumps(X_LEAF)) is X_LEAF


def test_a_pickled_expression_keeps_its_domain() -> None:
    expr = parse("exp(log(x)) + where(x > 0, sqrt(x)**2, gelu(x)) + 0.1*x/x")
    again = pickle.loads(pickle.dumps(expr))
    assert again.operator.formula == expr.operator.formula
    assert str(to_sympy(again)) == str(to_sympy(expr))
