"""`symact identify` and `symact atlas` print documents and 80-column text."""

from __future__ import annotations

import json

import pytest

from symact.commands import atlas
from symact.errors import InputError


def document(capsys):
    return json.loads(capsys.readouterr().out)


def test_identify_prints_its_document(capsys):
    atlas.show_matches("x/(1 + exp(-x))", None, True)
    printed = document(capsys)
    assert printed["expression"] == "x/(1 + exp(-x))"
    first = printed["matches"][0]
    assert (first["name"], first["year"], first["source"], first["kind"]) == (
        "SiLU",
        2017,
        "arXiv:1702.03118",
        "exact",
    )
    assert "swish-1" in first["aliases"]


@pytest.mark.parametrize("expression", ["x/(1 + exp(-x))", "-x*sigmoid(3*x) - 1", "tanh(x) + sin(x)/7"])
def test_identify_fits_into_80_columns(capsys, expression):
    atlas.show_matches(expression, None, False)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_the_list_can_be_narrowed(capsys):
    atlas.show_list("gated", "2020-2021", "tanh", True)
    rows = document(capsys)["functions"]
    assert {row["family"] for row in rows} == {"gated"}
    assert {row["year"] for row in rows} <= {2020, 2021}
    assert "tanh_exp" in {row["key"] for row in rows}


def test_one_function_is_shown_with_those_that_equal_it(capsys):
    atlas.show_one("TeLU", True)
    row = document(capsys)
    assert row["key"] == "telu"
    assert "tanh_exp" in row["same"]
    atlas.show_one("hardtanh", False)
    text = capsys.readouterr().out
    assert "relu6" in text
    assert max(map(len, text.splitlines())) <= 80


def test_wrong_names_and_years_are_refused():
    with pytest.raises(InputError, match="there are elu, gate, gated"):
        atlas.show_list("gates", None, None, False)
    with pytest.raises(InputError, match="expected a year"):
        atlas.show_list(None, "20x", None, False)
    with pytest.raises(InputError, match="no published function"):
        atlas.show_one("silux", False)


def test_gates_are_listed_and_shown_as_functions_are(capsys):
    atlas.show_list("gate", None, "sigmoid", True)
    rows = json.loads(capsys.readouterr().out)["functions"]
    assert {row["key"] for row in rows} >= {"glu", "gtu", "swiglu"}
    atlas.show_one("SwiGLU", False)
    shown = capsys.readouterr().out
    assert "x*sigmoid(x)*g" in shown
    assert "arXiv:2002.05202" in shown
    atlas.show_matches("x*sigmoid(x)*g", None, False)
    assert "SwiGLU (Shazeer 2020): swiglu(x, g)" in capsys.readouterr().out


def test_what_was_not_checked_says_so(capsys):
    atlas.show_one("eis_1", False)
    assert capsys.readouterr().out.count("not checked") == 2
