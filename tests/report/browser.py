"""A real browser for the tests of the page: Debian's `chromium` or any that is installed, driven by Playwright."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser; the test is skipped, saying why, where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install -e '.[test]'")
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("needs a browser: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


class Visit:
    """A page that was opened, and everything that a good page does not do: complain, or ask for something.

    Attributes:
        page: Playwright's page.
        complaints: messages of the console and errors of scripts.
        requests: addresses that were asked for, without the page's own.
    """

    def __init__(self, browser: Any, address: str, width: int = 1280, scheme: str = "light"):
        self.address = address
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
        )
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        self.page.wait_for_selector("#page section")
        self.settle()

    def settle(self) -> None:
        """Let what was begun be drawn."""
        self.page.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")

    def foreign(self) -> list[str]:
        """Requests to anywhere but the page itself and what it made."""
        return [url for url in self.requests if url != self.address and not url.startswith(("blob:", "data:"))]

    def close(self) -> None:
        """Leave the page."""
        self.context.close()


def address(path: Path) -> str:
    """Where the browser finds a file."""
    return path.resolve().as_uri()


def stored(text: str) -> dict[str, Any]:
    """The document in the text of a page, with the rows that its script makes of columns."""
    found = re.search(r'<script type="text/plain" id="data">([A-Za-z0-9+/=]*)</script>', text)
    assert found is not None
    shown = json.loads(gzip.decompress(base64.b64decode(found[1])))
    for study in shown["studies"]:
        columns = study["rows"]
        study["rows"] = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return shown
