"""The one exception family of symact.

Every message is written for the person who can act on it: what is wrong, where, and what to do
next. Nothing here knows any other room. The command line turns `exit_code` into the process' exit
code and prints the message as one clear line (the caret lines of a `FormulaError` follow it).
"""

from __future__ import annotations

from pathlib import Path


def printable(text: str, keep: str = "") -> str:
    """`text` with everything that a terminal would obey (escapes, directions, line ends) written out.

    Messages and tables quote the files of strangers.

    Args:
        text: any text.
        keep: characters to leave as they are.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def lasting(seconds: float) -> str:
    """A time in the unit that fits, for messages."""
    for unit, length in (("years", 365.25 * 86400), ("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"


class SymactError(Exception):
    """The work failed: exit code 1. Whatever the message quotes, it is printable."""

    exit_code = 1

    def __init__(self, message: object = ""):
        super().__init__(printable(str(message), "\n"))


class InputError(SymactError):
    """Arguments or a file are wrong: exit code 2."""

    exit_code = 2


class FormulaError(InputError):
    """A formula or expression text cannot be read.

    Attributes:
        reason: one sentence, what is wrong and what was expected.
        text: the offending text, or `""`.
        column: 0-based column in `text` where reading failed, or None.
        end: 0-based column after the offending part, or None.
    """

    def __init__(self, reason: str, text: str = "", column: int | None = None, end: int | None = None):
        self.reason, self.text, self.column, self.end = reason, text, column, end
        super().__init__(reason + caret(text, column, end))


class GrammarError(InputError):
    """A grammar file is wrong; the message names file, line, key and column, with a caret."""

    def __init__(
        self,
        reason: str,
        path: Path | str | None = None,
        key: str = "",
        line: int | None = None,
        text: str = "",
        column: int | None = None,
        end: int | None = None,
    ):
        self.reason, self.path, self.key, self.line, self.column = reason, path, key, line, column
        place = str(path) if path is not None else "grammar"
        if line is not None:
            place += f":{line}"
            if column is not None:
                place += f":{column + 1}"
        named = f" [{key}]" if key else ""
        super().__init__(f"{place}:{named} {reason}{caret(text, column, end)}")


def caret(text: str, column: int | None, end: int | None = None, width: int = 72) -> str:
    """Two lines to append to a message: the text, and a caret under the offending part.

    Long texts are cut to a window of `width` characters around the column. Returns `""` when there
    is no column to point at.
    """
    if column is None or not text:
        return ""
    line_start = text.rfind("\n", 0, column) + 1
    line_end = text.find("\n", column)
    line = text[line_start : line_end if line_end >= 0 else len(text)]
    column -= line_start
    end = column + 1 if end is None else max(column + 1, min(end - line_start, len(line)))
    start = max(0, column - width // 2)
    shown = "".join(c if c.isprintable() else " " for c in line[start : start + width])
    marks = "^" * max(1, min(end, start + width) - column)
    return f"\n    {shown}\n    {' ' * (column - start)}{marks}"


def counted(count: int, one: str, many: str = "") -> str:
    """So many of something in words: `1 function`, `2,000 functions`, `1 class` (`many="classes"`)."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
