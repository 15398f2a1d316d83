"""A hook of mkdocs: links from a page in docs/ to a file outside it (`../runs/arena/README.md`) lead to the repository.

In the repository such links work as they stand; the site has no files outside docs/, so it names the file as code
and leaves the link out. `mkdocs.yml` names this file.
"""

from __future__ import annotations

import re
from typing import Any

OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The text of a page with links out of docs/ as names of files."""
    return OUTSIDE.sub(lambda found: f"{found[1]} (`{found[2]}`)", markdown)
