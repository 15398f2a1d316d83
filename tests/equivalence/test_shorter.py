"""What does nothing is taken away, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from symact.equivalence.index.function_index import FunctionIndex
from symact.equivalence.shorter import shorter
from symact.expr.tree import parse
from symact.program.loading import load_grammar


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("add(zero(x),erfc(x))", "erfc(x)"),
        ("max(relu(x),zero(x))", "relu(x)"),
        ("mul(one(x),tanh(identity(x)))", "tanh(x)"),
        ("sum_n(zero(x),relu(x),zero(x))", "relu(x)"),
        ("add(relu(x),erfc(x))", "add(relu(x),erfc(x))"),
        ("add(tanh(x),one(x))", "add(tanh(x),one(x))"),
    ],
)
def test_idle_words_go_and_no_others(text, expected):
    assert str(shorter(parse(text, load_grammar("aquasurf")))) == expected


def test_what_is_left_of_any_expression_is_the_same_function():
    grammar = load_grammar("aquasurf")
    index, generator = FunctionIndex(grammar), np.random.default_rng(0)
    for name in list(grammar.spaces)[:2]:
        for _ in range(60):
            expr = grammar.space(name).sample(generator)
            assert index.add(shorter(expr)) == index.add(expr)
