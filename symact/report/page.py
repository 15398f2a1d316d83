"""Studies -> one self-contained HTML page that can be read offline and mailed.

The page is a fixed document with a fixed script. What came from a study stands in it as compressed JSON in base64, and
becomes text and numbers, never markup; its content security policy allows the page's own script and styles by their
hashes, and no connection. The charts are uPlot's (MIT, `vendor/`): 51 KB where plotly.js-basic takes 1.2 MB, and it
draws ten thousand points without a pause.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from symact.errors import InputError, printable
from symact.files import write_text
from symact.report.document import Told, document
from symact.report.view import StudyView

SCRIPTS = ("charts.js", "curves.js", "running.js", "table.js", "map.js", "panels.js", "page.js")


def write_page(studies: Sequence[StudyView], output: Path, told: Told = lambda done, total, note: None) -> None:
    """Write the report of one or more studies.

    Args:
        studies: what is shown.
        output: the file.
        told: is called with how many trials are done, of how many, and what is being made.

    Raises:
        InputError: no study, or `output` cannot be written.
    """
    if not studies:
        raise InputError("a report needs at least one run folder")
    write_text(output, page(document(studies, told=told)))


def page(shown: dict[str, Any], live: bool = False) -> str:
    """The page that shows a document.

    Args:
        shown: what `document` gives.
        live: it asks the server that it came from for news.
    """
    styles, script = _read("vendor/uPlot.min.css") + _read("templates/page.css"), _script()
    source = "'self'" if live else "'none'"
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(styles)}'; img-src data: blob:; "
        f"base-uri 'none'; form-action 'none'; connect-src {source}"
    )
    title = "symact: " + ", ".join(study["label"] for study in shown["studies"])
    parts = {
        "POLICY": policy,
        "TITLE": html.escape(printable(title)),
        "STYLES": styles,
        "DATA": base64.b64encode(gzip.compress(data(shown | {"live": live}).encode(), mtime=0)).decode(),
        "SCRIPT": script,
    }
    before, *rest = _read("templates/page.html").split("@@")
    # Each part is put in once and never looked at again: what it holds cannot stand for another part.
    return before + "".join(parts[piece] if place % 2 == 0 else piece for place, piece in enumerate(rest))


def data(shown: dict[str, Any]) -> str:
    """A document as JSON, its rows as columns: what is alike stands together, and is compressed to two thirds."""
    studies = [study | {"rows": columns(study["rows"])} for study in shown["studies"]]
    return json.dumps(shown | {"studies": studies}, allow_nan=False, separators=(",", ":"))


def columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns, null for what a row does not have; `rowsOf` in `table.js` makes rows of them again."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


@cache
def _script() -> str:
    own = "\n".join(_read(f"templates/{name}") for name in SCRIPTS)
    return f"{_read('vendor/uPlot.iife.min.js')}\n(() => {{\n'use strict';\n{own}\nstart();\n}})();"


@cache
def _read(name: str) -> str:
    return resources.files("symact.report").joinpath(*name.split("/")).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
