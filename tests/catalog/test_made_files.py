"""What is made from the table is made from the table as it is."""

from __future__ import annotations

import pytest

from symact.catalog.index import index
from symact.catalog.left_out import LEFT_OUT
from symact.expr.published import PARSED, find_gate, find_published, parsed
from symact.program.loading import load_grammar
from tools import atlas


def test_the_table_that_is_read_fast_is_current():
    assert PARSED.read_text("utf-8") == parsed(), "stale: run python tools/atlas.py"


def test_the_page_is_current():
    assert atlas.PAGE.read_text() == atlas.page(index()), "stale: run python tools/atlas.py"


def test_the_grammar_is_current():
    assert atlas.GRAMMAR.read_text() == atlas.grammar(index()), "stale: run python tools/atlas.py"


def test_the_grammar_has_a_space_of_all_functions():
    loaded = load_grammar("atlas")
    assert loaded.space().count() == len(loaded.of_kind("unary")) >= len(index().classes)
    assert loaded.operators["silu"].text == "x*sigmoid(x)"


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_has_a_reason_and_is_not_in_the_table(name):
    assert all(LEFT_OUT[name])
    assert find_published(name) is find_gate(name) is None
