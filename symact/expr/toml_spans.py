"""Where the keys and values of a TOML text stand, for messages that point at them.

In: text that `tomllib` has accepted. Out: path of keys and list positions -> span of offsets.
`tomllib` gives values without places; this scanner gives places without values.
"""

from __future__ import annotations

import contextlib
import re
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
Span: TypeAlias = tuple[int, int]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BARE = re.compile(r"[^,\]}\n#]*")


class Places:
    """Spans of keys and values.

    Attributes:
        keys: path -> span of the last key of that path.
        values: path -> span of the value.
    """

    def __init__(self, text: str):
        self.text = text
        self.keys: dict[Path, Span] = {}
        self.values: dict[Path, Span] = {}
        # Whatever is not reached has no place, and a message about it points at what encloses it.
        with contextlib.suppress(ValueError, RecursionError):
            self._document()

    def find(self, path: Path, key: bool = False) -> Span | None:
        """The span of the value at `path` (of its key if `key`), or of the nearest thing that encloses it."""
        while path:
            first, second = (self.keys, self.values) if key else (self.values, self.keys)
            if path in first or path in second:
                return first.get(path, second.get(path))
            path = path[:-1]
        return None

    def _document(self) -> None:
        at = self._blank(0)
        prefix: Path = ()
        while at < len(self.text):
            if self.text[at] == "[":
                brackets = 2 if self.text.startswith("[[", at) else 1
                prefix, at = self._key(at + brackets, ())
                at += brackets
            else:
                at = self._pair(at, prefix)
            at = self._blank(at)

    def _blank(self, at: int) -> int:
        match = _BLANK.match(self.text, at)
        return match.end() if match else at

    def _key(self, at: int, prefix: Path) -> tuple[Path, int]:
        path = prefix
        while True:
            match = _KEY.match(self.text, at)
            if match is None:
                raise ValueError("no key here")
            path = (*path, match[1].strip("\"'"))
            self.keys.setdefault(path, match.span(1))
            at = match.end()
            if not self.text.startswith(".", at):
                return path, at
            at += 1

    def _pair(self, at: int, prefix: Path) -> int:
        path, at = self._key(at, prefix)
        if not self.text.startswith("=", at):
            raise ValueError("no = here")
        return self._value(self._blank(at + 1), path)

    def _value(self, at: int, path: Path) -> int:
        start = at
        opening = self.text[at : at + 1]
        if opening in ("[", "{"):
            end = self._inside(at, path, "]" if opening == "[" else "}")
        else:
            match = (_STRING if opening in ("'", '"') else _BARE).match(self.text, at)
            if match is None:
                raise ValueError("no value here")
            end = at + len(match[0].rstrip())
        self.values[path] = (start, end)
        return end

    def _inside(self, at: int, path: Path, closing: str) -> int:
        at, count = self._blank(at + 1), 0
        while at < len(self.text) and self.text[at] != closing:
            at = self._blank(self._value(at, (*path, count)) if closing == "]" else self._pair(at, path))
            count += 1
            if self.text.startswith(",", at):
                at = self._blank(at + 1)
        return min(at + 1, len(self.text))
