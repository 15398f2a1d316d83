"""The page needs nothing from elsewhere, and whatever a study holds stays text in it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from symact.errors import InputError
from symact.report import page
from symact.report.document import document
from symact.report.page import write_page
from symact.report.view import StudyView
from tests.report.browser import stored
from tests.report.studies import EVIL, failure, view


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes.update(name for name, _ in attributes)


def test_no_text_of_a_study_becomes_markup(tmp_path: Path):
    write_page([view(EVIL)], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.seen.count("script") == 2
    assert not {"img", "iframe", "object", "embed", "a", "link"} & set(tags.seen)
    assert not {name for name in tags.attributes if name.startswith("on") or name in ("src", "href")}
    assert "<img" not in text


@pytest.mark.parametrize(
    "evil", [EVIL, "<!--<script>", "]]>", "\u2028 & > <", "@@SCRIPT@@", "{{ title }}", "\x00\x1b[31m"]
)
def test_the_data_is_read_back_as_it_was_written(evil: str):
    shown = document([view()])
    shown["studies"][0]["label"] = evil
    assert stored(page.page(shown))["studies"][0]["label"] == evil


def test_rows_are_written_as_columns_and_read_back_with_null_for_what_they_lack():
    given, found = document([view()])["studies"][0]["rows"], stored(page.page(document([view()])))["studies"][0]["rows"]
    assert [{name: value for name, value in row.items() if value is not None} for row in found] == [
        {name: value for name, value in row.items() if value is not None} for row in given
    ]
    assert {name for row in given for name in row} == {name for row in found for name in row}


def test_making_a_page_tells_how_far_it_is(tmp_path: Path):
    told: list[tuple[int, int, str]] = []
    both = [view("first"), view("second")]
    write_page(both, tmp_path / "page.html", lambda *now: told.append(now))
    done = [done for done, _, _ in told]
    total = sum(len(one.trials) for one in both)
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] < total
    assert {total for _, total, _ in told} == {total}


def test_the_policy_names_the_pages_own_script_and_styles_alone():
    text = page.page(document([view()]))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    assert "connect-src 'none'" in policy[1]
    assert not re.search(r"unsafe|http|\*", policy[1])
    for kind, pattern in (("script-src", r"<script>(.*?)</script>"), ("style-src", r"<style>(.*?)</style>")):
        body = re.search(pattern, text, re.S)
        assert body is not None
        digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy[1]


def test_the_library_is_small_and_comes_with_its_licence_and_version():
    folder = Path(page.__file__).parent / "vendor"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 100_000
    assert "MIT" in (folder / "uPlot.LICENSE").read_text()
    assert re.match(
        r"/\*! https://github.com/leeoniya/uPlot \(v[\d.]+\) \*/", (folder / "uPlot.iife.min.js").read_text()
    )


def test_a_page_is_the_same_whenever_it_is_written():
    assert page.page(document([view()])) == page.page(document([view()]))


def test_a_study_in_which_all_failed_still_has_a_page(tmp_path: Path):
    write_page([StudyView("sad", [failure("1/x", 0)], [], [])], tmp_path / "page.html")
    assert document([StudyView("sad", [failure("1/x", 0)], [], [])])["studies"][0]["best"] is None


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be written"):
        write_page([view()], tmp_path / "missing" / "page.html")
    with pytest.raises(InputError, match="at least one"):
        write_page([], tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
