"""The pages of a certificate: text and HTML say the same, and nothing of a user's becomes markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from symact.certify.page import page, sections
from symact.certify.web_page import web_page

FOLDER = Path(__file__).resolve().parents[2] / "runs" / "certificates"
RECORDED = [path for path in sorted(FOLDER.glob("*.json")) if "float32" not in path.name]


class Words(HTMLParser):
    """What a browser shows of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.said.append(data)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_recorded_pages_are_those_of_their_documents(path: Path) -> None:
    assert path.with_suffix(".txt").read_text() == page(json.loads(path.read_text())) + "\n"


def test_the_page_for_browsers_says_what_the_text_says_and_asks_for_nothing() -> None:
    document = json.loads((FOLDER / "silu.json").read_text())
    words = Words()
    words.feed(web_page(document))
    shown = set(words.said)
    for heading, rows in sections(document):
        assert heading in shown
        assert {part for row in rows for part in row} <= shown
    assert not words.tags & {"script", "link", "img", "iframe"}


def test_text_of_a_user_is_no_markup() -> None:
    document = json.loads((FOLDER / "silu.json").read_text())
    assert "<script>" not in web_page({**document, "expression": "<script>alert(1)</script>"})
