"""A certificate as one page of HTML: no scripts, nothing from elsewhere, light or dark as the reader has it."""

from __future__ import annotations

from html import escape
from typing import Any

from symact.certify.page import sections

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6b7c; --line: #dbe2ea; --paper: #ffffff; --good: #11693b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf0; --soft: #9fb0c0; --line: #33404d; --paper: #14191f; --good: #6fd39b; }
}
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.1rem; margin: 2rem 0 0.25rem; }
dl { display: grid; grid-template-columns: 9rem 1fr; margin: 0; border-top: 1px solid var(--line); }
dt, dd { margin: 0; padding: 0.35rem 0; border-bottom: 1px solid var(--line); }
dt { color: var(--soft); padding-right: 1rem; } dd { font-variant-numeric: tabular-nums; }
dd.held { color: var(--good); font-weight: 600; }
@media (max-width: 36rem) {
  body { padding: 1rem; } dl { grid-template-columns: 1fr; }
  dt { border-bottom: 0; padding-bottom: 0; } dd { padding-top: 0; }
}
"""


def web_page(document: dict[str, Any]) -> str:
    """The document of a certificate as HTML."""
    (title, first), *rest = sections(document)
    held = document["verdict"].startswith("every value and slope")
    parts = [f"<h1>{escape(title)}</h1>", _list(first, held)]
    for heading, rows in rest:
        parts += [f"<h2>{escape(heading)}</h2>", _list(rows)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>"
    )


def _list(rows: list[tuple[str, str]], held: bool = False) -> str:
    lines = []
    for label, text in rows:
        good = ' class="held"' if held and label == "verdict" else ""
        lines.append(f"<dt>{escape(label)}</dt><dd{good}>{escape(text)}</dd>")
    return "<dl>\n" + "\n".join(lines) + "\n</dl>"
