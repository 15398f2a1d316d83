"""Each row of docs/results.md links to a page that is there, and gives a command whose script is there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "results.md").read_text()
ROWS = [
    cells
    for line in TEXT.splitlines()
    if line.startswith("| ") and (cells := line.strip("| ").split(" | "))[0] != "claim"
]


def test_every_row_has_all_columns_and_says_how_many_seeds() -> None:
    assert len(ROWS) > 8
    assert {len(row) for row in ROWS} == {6}
    assert all(row[3].strip() for row in ROWS)


def test_every_row_links_to_a_page_that_is_there() -> None:
    for claim, *_ in ROWS:
        (target,) = re.findall(r"\]\(([^)]+)\)", claim)
        assert (ROOT / "docs" / target).resolve().is_file(), claim


def test_every_command_runs_a_script_that_is_there() -> None:
    for row in ROWS:
        words = [word for word in shlex.split(row[-1].strip("`")) if word != "python"]
        assert (ROOT / words[0]).is_file(), row[-1]


FIGURES = {
    "image-fit": "mul(abs(gaussian((1.5*x))),triple((1.5*x)))",
    "ood-feynman": "average(swish(elu(x)),hardswish(x))",
    "ood-harmonic": "add(swish(swish(x)),square(x))",
    "ood-polynomial": "average(identity(scale((1.5*x))),square((1.5*x)))",
}


@pytest.mark.parametrize("family", FIGURES)
def test_the_figures_of_the_finals_are_those_that_were_recorded(family: str) -> None:
    document = json.loads((ROOT / "runs" / "discovery" / family / "results.json").read_text())
    assert document["seeds"] == 20
    for problem in ("search", "test"):
        found = document[problem]["differences"][FIGURES[family]]
        if family == "ood-harmonic" and problem == "test":
            found = document[problem]["differences"]["selu(identity(square(x)))"]  # another is the best there
        assert "{:+.3f} [{:.3f}, {:.3f}]".format(*found[:3]) in TEXT
    published = document["search"]["published"]["differences"][FIGURES[family]]
    assert "{:+.3f} [{:.3f}, {:.3f}]".format(*published[:3]) in TEXT
