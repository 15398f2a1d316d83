"""Candidates with a function per site as one line: what is written is read back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.errors import FormulaError
from symact.expr.per_site import grouped_text, parse_candidate
from symact.expr.tree import candidate_text, parse

FUNCTIONS = [parse(text) for text in ("relu(x)", "x*sigmoid(x)", "-tanh(x)")]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(FUNCTIONS), min_size=1, max_size=8))
def test_a_line_is_read_as_it_was_written(functions):
    candidate = functions[0] if len(functions) == 1 else tuple(functions)
    assert parse_candidate(candidate_text(candidate)) == candidate
    assert parse_candidate(grouped_text(candidate)) == candidate


def test_functions_at_several_sites_are_written_once():
    a, b, c = FUNCTIONS
    assert grouped_text((a, a, b, a)) == "1-2, 4: relu(x) ; 3: x*sigmoid(x)"
    assert grouped_text((a, b, c)) == "relu(x) ; x*sigmoid(x) ; -tanh(x)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1: relu(x) ; tanh(x)", "does not say which sites it is for"),
        ("1: relu(x) ; 1-2: tanh(x)", "site 1 has two functions"),
        ("1: relu(x) ; 3: tanh(x)", "numbered from 1 without gaps"),
        ("relu(x) ; ", "empty"),
    ],
)
def test_a_line_that_is_no_candidate_says_why(text, message):
    with pytest.raises(FormulaError, match=message):
        parse_candidate(text)
