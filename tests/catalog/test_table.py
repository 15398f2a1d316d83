"""The table of published functions: every row can be used and says where it comes from."""

from __future__ import annotations

import re

import numpy as np
import pytest

from symact.catalog.checks import CITATION, FORMULA, UNCHECKED, citation_check, formula_check
from symact.catalog.curves import curves
from symact.catalog.rows import expression_of, family_of, row_of
from symact.errors import InputError
from symact.expr.published import Published, find_gate, find_published, gates, published
from symact.program.pipeline import lower

ROWS = list(published().values())
SOURCE = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:10\.\d{4,9}/\S+|https?://\S+|symact: docs/\w+\.md")
# Rows with a pole on the real line, or undefined on a part of it.
PARTLY = {"logarithmic", "eis_1", "colu", "cauchy", "tanhsoft_3", "psf", "hclsh"}
SURVEY = "arXiv:2402.09092"
POINTS = np.linspace(-20.0, 20.0, 401) + 0.0123


def test_there_are_as_many_as_promised():
    assert len(ROWS) >= 250


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_a_row_is_complete(row):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", row.key)
    assert row.name
    assert SOURCE.fullmatch(row.source), row.source
    assert row.year is None or 1940 < row.year < 2027
    assert row.by == "" or row.year, "an author has a year"
    for setting in row.settings:
        assert setting.low <= float(setting.default) <= setting.high
        assert re.search(rf"\b{setting.name}\b", row.formula)
    assert {p.name for p in family_of(row.key).parameters} == {s.name for s in row.settings}


@pytest.mark.parametrize("row", [*ROWS, *gates().values()], ids=lambda row: row.key)
def test_a_row_says_how_it_was_checked(row):
    assert set(row.checked) <= set(FORMULA)
    assert row.citation in {"", *CITATION}
    assert row.checked or formula_check(row) == UNCHECKED
    assert row.citation or citation_check(row) == UNCHECKED
    if row.reference and not row.differs:
        assert {"echoAI": "echo"}.get(library := row.reference.split(".")[0], library) in row.checked


@pytest.mark.parametrize("row", [*ROWS, *gates().values()], ids=lambda row: row.key)
def test_an_arxiv_number_is_of_the_year_of_the_row(row):
    number = re.fullmatch(r"arXiv:(\d\d)(\d\d)\.\d+", row.source)
    if number and row.source != SURVEY:
        assert 1 <= int(number[2]) <= 12
        assert row.year is None or abs(row.year - 2000 - int(number[1])) <= 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_a_row_compiles_and_is_finite_where_it_is_defined(row):
    assert lower(expression_of(row.key)).outputs
    values = curves([expression_of(row.key)], POINTS)[0]
    assert np.isfinite(values).any()
    assert row.key in PARTLY or np.isfinite(values).all(), POINTS[~np.isfinite(values)]


def test_rows_are_found_by_key_name_and_alias_in_any_spelling():
    assert row_of("serf") is row_of("SERF") is row_of("Serf")
    assert row_of("Scaled tanh").key == "stanh"
    assert row_of("relu2").key == "relu_squared"
    assert find_published("no such function") is None
    with pytest.raises(InputError, match="no published function"):
        row_of("no such function")


def test_a_gate_is_found_as_a_function_is():
    assert find_gate("SwiGLU") is find_gate("swiglu") is row_of("SiLU gate")
    assert not set(gates()) & set(published())
    assert find_published("swiglu") is None


def test_a_citation_is_the_name_with_author_and_year():
    assert row_of("silu").cited == "SiLU (Elfwing 2017)"
    assert Published("a", "A", "f", "x", "").cited == "A"
