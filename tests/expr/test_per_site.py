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
    assert grouped_text((a, b, c)) == "1: relu(x) ; 2: x*sigmoid(x) ; 3: -tanh(x)"


@st.composite
def lines_with_numbers(draw):
    """Parts such as `1, 3-2`, whose ranges may be reversed, overlap and leave sites out."""
    ranges = st.tuples(st.integers(0, 4), st.integers(0, 4))
    parts = st.tuples(st.lists(ranges, min_size=1, max_size=2), st.sampled_from(FUNCTIONS))
    return draw(st.lists(parts, min_size=1, max_size=3))


@settings(deadline=None, max_examples=300)
@given(lines_with_numbers())
def test_a_numbered_line_says_every_site_once_or_is_refused(line):
    named = [(site, function) for ranges, function in line for a, b in ranges for site in range(a, b + 1)]
    text = " ; ".join(f"{', '.join(f'{a}-{b}' for a, b in ranges)}: {function}" for ranges, function in line)
    forward = all(a <= b for ranges, _ in line for a, b in ranges)
    if forward and sorted(site for site, _ in named) == list(range(1, len(named) + 1)):
        functions = tuple(function for _, function in sorted(named, key=lambda each: each[0]))
        assert parse_candidate(text) == (functions if len(functions) > 1 else functions[0])
    else:
        with pytest.raises(FormulaError):
            parse_candidate(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3-1: relu(x) ; 1: tanh(x)", "sites 3-1: a range begins with the smaller number"),
        ("1: tanh(x) ; 1: tanh(x)", "site 1 has two functions"),
        ("1-2, 2: tanh(x)", "sites 1-2, 2: a site is named twice"),
        ("1: relu(x) ; tanh(x)", "does not say which sites it is for"),
        ("1: relu(x) ; 1-2: tanh(x)", "site 1 has two functions"),
        ("1: relu(x) ; 3: tanh(x)", "numbered from 1 without gaps"),
        ("relu(x) ; ", "empty"),
    ],
)
def test_a_line_that_is_no_candidate_says_why(text, message):
    with pytest.raises(FormulaError, match=message):
        parse_candidate(text)
