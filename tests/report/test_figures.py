"""Every figure is written twice, as SVG and PDF, under a name that is no path."""

from __future__ import annotations

from pathlib import Path

import pytest

from symact.errors import InputError
from symact.report.figures import write_figures
from tests.report.studies import EVIL, view
from tests.report.test_learned import study


def test_figures_come_as_svg_and_pdf(tmp_path: Path):
    written = write_figures([view(EVIL)], tmp_path / "figures")
    names = {path.stem for path in written}
    assert {"functions", "versus-relu", "search", "training", "map", "expression"} <= names
    for path in written:
        assert path.read_bytes()[:5] in (b"%PDF-", b"<?xml")
    assert sorted(written) == sorted((tmp_path / "figures").iterdir())


def test_several_studies_have_names_of_their_own_and_one_picture_together(tmp_path: Path):
    written = write_figures([view("../../a"), view("b")], tmp_path)
    assert {path.parent for path in written} == {tmp_path}
    assert {"best-so-far", "1-a-search", "2-b-search"} <= {path.stem for path in written}


def test_what_was_learned_is_drawn_too(tmp_path: Path):
    notes = {n: {"entropy": 2.0 - 0.1 * n} for n in range(6)}
    names = {path.stem for path in write_figures([study("rl", notes)], tmp_path)}
    assert {"learned-1-reward-1", "learned-1-entropy-of-the-policy-2"} <= names


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--figures"):
        write_figures([view()], tmp_path / "file" / "figures")
