"""Lists of published functions: each name is of a row, and what AQuaSurF found is known however it is written."""

from __future__ import annotations

import pytest

from runs.transfer.transfer import AQUASURF, FOUND
from symact.catalog.lists import LISTS, listed
from symact.catalog.matches import identify
from symact.errors import InputError
from symact.expr.published import published


@pytest.mark.parametrize("name", LISTS)
def test_a_list_has_rows_of_the_table_each_once(name):
    keys = LISTS[name]
    assert len(set(keys)) == len(keys)
    assert set(keys) <= set(published())
    assert set(listed(name)) <= {f"atlas.{key}(x)" for key in keys}


def test_the_table_on_coatnet_has_sixteen_functions_of_which_three_were_found():
    assert len(LISTS["coatnet"]) == len(listed("coatnet")) == 16
    assert sum(published()[key].family == "searched" for key in LISTS["coatnet"]) == 3


def test_a_family_is_a_list_and_what_is_neither_is_refused_with_what_there_is():
    rows = [key for key, row in published().items() if row.family == "searched"]
    assert 0 < len(listed("searched")) <= len(rows)
    with pytest.raises(InputError, match="common, aquasurf, coatnet, or of the families elu"):
        listed("nothing")


FORMULAS = [text for source, texts in FOUND.values() if source == AQUASURF for text in texts]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_aquasurf_found_is_known_as_the_study_of_transfer_writes_it(text):
    exact = {match.row.key for match in identify(text) if match.kind == "exact"}
    assert any(key.startswith("aquasurf_") for key in exact), exact


def test_of_what_symact_found_the_gate_is_a_row_and_the_others_were_known():
    assert identify("sin(3*x)*sin(g)")[0].row.key == "sine_gate"
    slope = identify("4.5*x*exp(-(6*x)**2)")[0]
    assert (slope.row.key, slope.kind) == ("gaussian_derivative", "affine")
    assert identify("(1.5*x + (1.5*x)**2)/2")[0].row.key in {"square", "squ"}
