"""The report is one page without scripts, whatever a study holds."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from symact.errors import InputError
from symact.expr.tree import Expr, parse
from symact.program.loading import load_grammar
from symact.records import Outcome, Status, Trial
from symact.report.page import StudyView, write_page

EVIL = "</td><script>alert(1)</script><img src=x onerror=alert(2)>"


def finished(text: str, *scores: float, number: int = 0, origin: str = "random") -> Trial:
    expr = parse(text, load_grammar("first"))
    outcomes = tuple(
        Outcome.finished(s, curve=[{"epoch": 1, "score": s / 2}, {"epoch": 2, "score": s}]) for s in scores
    )
    return Trial(expr, outcomes, origin, number)


def failure(text: str, number: int) -> Trial:
    return Trial(parse(text), (Outcome.failed(Status.crashed, EVIL),), "random", number)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.handlers: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.handlers.update(name for name, _ in attributes if name.startswith("on"))
        self.links.update(str(v) for name, v in attributes if name in ("src", "href", "xlink:href"))


def view(label: str = "study", extra: tuple[Trial, ...] = ()) -> StudyView:
    trials = [
        finished("relu(x)", 0.8, 0.82, 0.81, origin="baseline"),
        finished("mul(identity(x),sigmoid(x))", 0.9, 0.91, 0.92, number=1),
        failure("1/x", 2),
        *extra,
    ]
    return StudyView(label, trials, [], [("task", EVIL), ("machine", "a & b")])


def test_no_text_of_a_study_becomes_markup(tmp_path: Path):
    write_page([view(EVIL)], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert "script" not in tags.seen
    assert not {"img", "iframe", "object", "embed", "a", "link"} & tags.seen
    assert not tags.handlers
    assert "default-src 'none'" in text
    assert "alert(1)" in text


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path):
    write_page([view()], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert all(link.startswith("#") for link in tags.links)
    assert not re.findall(r"url\((?!#)", text)
    assert text.count("<svg") >= 6


def test_the_best_function_and_its_difference_are_told(tmp_path: Path):
    write_page([view()], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "mul(identity(x),sigmoid(x))" in text
    assert "+0.1000" in text
    assert "n = 3 paired seeds" in text


def test_a_study_in_which_all_failed_still_has_a_page(tmp_path: Path):
    write_page([StudyView("sad", [failure("1/x", 0)], [], [])], tmp_path / "page.html")
    assert "No function finished" in (tmp_path / "page.html").read_text()


def test_several_studies_are_compared_on_one_page(tmp_path: Path):
    sites = (Expr(load_grammar("first").operators["tanh"], (parse("x"),)), parse("relu(x)"))
    tuple_trial = Trial(sites, (Outcome.finished(0.95),), "mixture", 5)
    write_page([view("one"), view("two", (tuple_trial,))], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "Best score so far" in text
    assert "tanh(x) ; relu(x)" in text


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be written"):
        write_page([view()], tmp_path / "missing" / "page.html")
    with pytest.raises(InputError, match="at least one"):
        write_page([], tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
