"""Stored rows name functions by numbers of their own, in the order of meeting."""

from __future__ import annotations

import pytest

from symact.equivalence import FunctionIndex
from symact.expr.tree import from_document, parse
from symact.program.loading import load_grammar
from symact.store.functions import StoredFunctions

AQUASURF = load_grammar("aquasurf")


def expression(text: str):
    return parse(text, AQUASURF)


def test_numbers_are_given_in_the_order_of_meeting_whatever_the_index_knows():
    index = FunctionIndex(AQUASURF)
    for text in ("sin(x)", "cos(x)", "tanh(x)"):
        index.add(expression(text))
    functions, new = StoredFunctions(index), {}
    assert functions.record(expression("tanh(x)"), new) == "0"
    assert functions.record(expression("max(relu(x),zero(x))"), new) == "1"
    assert functions.record(expression("relu(x)"), new) == "1"
    assert functions.record((expression("relu(x)"), expression("sin(x)")), new) == "1,2"
    assert functions.record((expression("relu(x)"), expression("max(relu(x),zero(x))")), new) == "1"
    assert [from_document(new[number], AQUASURF) for number in sorted(new)] == [
        expression("tanh(x)"),
        expression("max(relu(x),zero(x))"),
        expression("sin(x)"),
    ]


@pytest.mark.parametrize("known", [(), ("relu(x)",), ("sin(x)", "max(relu(x),zero(x))", "cos(x)")])
def test_what_is_stored_is_recognized_by_an_index_that_knows_something_already(known):
    index = FunctionIndex(AQUASURF)
    for text in known:
        index.add(expression(text))
    stored = [(0, expression("tanh(x)")), (1, expression("relu(x)")), (2, expression("sin(x)"))]
    functions, new = StoredFunctions(index, stored), {}
    assert functions.record(expression("max(zero(x),relu(x))"), new) == "1"
    assert functions.read("2,1") == index.key((expression("sin(x)"), expression("relu(x)")))
    assert functions.record(expression("cos(x)"), new) == "3"
    assert list(new) == [3]


def test_a_function_that_is_not_stored_is_an_error():
    with pytest.raises(ValueError, match="'7' is not stored"):
        StoredFunctions(FunctionIndex(AQUASURF)).read("7")
