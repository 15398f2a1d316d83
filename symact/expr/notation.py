"""Mathematics as papers print it -> the plain ASCII that Python's `ast` reads, with every column remembered.

In: a formula such as `2x^2`, `min{0, x}`, `x·σ(x)` or `|x|`. Out: the same in `+ - * / **`, calls and parentheses,
and for each character the column it came from, so that an error points into the text as it was written. A product
without a sign is read where it can mean one thing only. After a division or a power it cannot (`1/2x`), and is refused.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Sequence

from symact.errors import FormulaError

# One character of a paper -> what it says. Greek letters are the names that grammars spell out.
CHARACTERS = {
    "\u00b7": "*",  # middle dot
    "\u22c5": "*",  # dot operator
    "\u00d7": "*",  # multiplication sign
    "\u2217": "*",  # asterisk operator
    "\u2212": "-",  # minus sign
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2260": "!=",
    "\u221a": "sqrt",
    "\u2227": "and",
    "\u2228": "or",
    "\u00ac": "~",
    "\u03b1": "alpha",
    "\u03b2": "beta",
    "\u03b3": "gamma",
    "\u03b4": "delta",
    "\u03b8": "theta",
    "\u03bc": "mu",
    "\u03c0": "pi",
    "\u03c1": "rho",
    "\u03c3": "sigma",
    "\u03c4": "tau",
    "\u03c6": "phi",
    "\u03c9": "omega",
    "\u03a6": "Phi",
    "\u0393": "gamma",
}
_RAISED = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b"
_SUPERSCRIPTS = str.maketrans(_RAISED, "0123456789-")
_FOREIGN = re.compile(f"[^ -~{_RAISED}{''.join(CHARACTERS)}]")

_TOKEN = re.compile(
    r"(?P<space> +)"
    r"|(?P<number>(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    rf"|(?P<raised>[{_RAISED}]+)"
    r"|(?P<open>[({])|(?P<close>[)}])|(?P<bar>\|)"
    r"|(?P<joint>&&)|(?P<unequal>!=)"
    r"|(?P<power>\*\*|\^)|(?P<divide>//?)"
    r"|(?P<sign>[-+])"
    r"|(?P<other>.)",
    re.DOTALL,
)
# Where there is none of this there is nothing to rewrite.
_PRINTED = re.compile(r"[^ -~]|[\^{}|!]|&&|[\d)] *[A-Za-z_(]|\w +\w")
# Kinds of tokens, and tokens, that Python has another word for.
_WRITTEN = {"joint": " and ", "unequal": "!=", "!": "~"}
_COMPARISON = re.compile("[<>=]")
_ROOT = "\u221a"
# Characters that only call a function -> how it is written.
_ELSEWHERE = {
    "\u230a": "floor(x)",
    "\u230b": "floor(x)",
    "\u2308": "ceil(x)",
    "\u2309": "ceil(x)",
    "\u221b": "cbrt(x)",
}
_PARTNER = {"(": ")", "{": "}", "|": "|"}
# What may stand on the left and on the right of a product without a sign.
_LEFT = frozenset({"number", "name", "close", "raised"})
_RIGHT = frozenset({"name", "open", "bar"})


def plain(text: str) -> tuple[str, Sequence[int]]:
    """A formula in plain ASCII, and the column in `text` of each of its characters.

    Raises:
        FormulaError: a character that cannot stand in a formula, a bracket without its partner, or a product
            without a sign that can be read in two ways.
    """
    foreign = _FOREIGN.search(text)
    if foreign is not None:
        how = _ELSEWHERE.get(foreign.group())
        remedy = f"; write {how}" if how else ""
        raise FormulaError(
            f"the character {foreign.group()!r} cannot stand in a formula{remedy}", text, foreign.start()
        )
    return _NotationReader(text).read() if _PRINTED.search(text) else (text, range(len(text)))


class _NotationReader:
    """One pass over the tokens of a formula.

    Attributes:
        brackets: the open ones, each with its column and the binary operator that stands before it.
        last: kind of the token before, without spaces; `""` at the beginning, `"bar"` for a closing one.
        word: that token.
        rooted: whether the next token was read with the root before it.
        before: the binary operator before the factors that are being read: `divide`, `power` or another.
    """

    def __init__(self, text: str):
        self.text = text
        self.written: list[str] = []
        self.columns: list[int] = []
        self.brackets: list[tuple[str, int, str]] = []
        self.last, self.word, self.before = "", "", ""
        self.rooted = False

    def read(self) -> tuple[str, list[int]]:
        tokens = list(self._tokens())
        for place, (column, kind, word) in enumerate(tokens):
            if self.rooted:
                self.rooted = False
            elif word == "sqrt" and self.text[column] == _ROOT:
                self._take_root(column, [token for token in tokens[place + 1 : place + 4] if token[1] != "space"])
            elif kind == "space":
                self._write(word, column, len(word))
            elif kind == "bar" and self._closes():
                self._close(word, column)
            else:
                self._join(kind, word, column)
                self._take(kind, word, column)
        if self.brackets and self.brackets[-1][0] != "(":
            opening, column, _ = self.brackets[-1]
            raise FormulaError(f"{opening} has no partner", self.text, column)
        return "".join(self.written), self.columns

    def _tokens(self) -> Iterator[tuple[int, str, str]]:
        """(column, kind, word) of each token; characters of papers are replaced."""
        for match in _TOKEN.finditer(self.text):
            kind, word = str(match.lastgroup), match.group()
            if kind == "other" and word in CHARACTERS:
                meant = CHARACTERS[word]
                found = _TOKEN.match(meant)
                kind, word = "other" if found is None else str(found.lastgroup), meant
            if kind in _WRITTEN or word in _WRITTEN:
                kind, word = "other", _WRITTEN.get(kind) or _WRITTEN[word]
            if kind == "name" and keyword.iskeyword(word):
                kind = "other"  # `and`, `or`; the others are refused later
            yield match.start(), kind, word

    def _write(self, written: str, column: int, width: int = 1) -> None:
        """Add to the plain text what stands at `column`, character by character where it is `width` wide."""
        self.written.append(written)
        same = width == len(written)
        self.columns.extend(range(column, column + width) if same else [column] * len(written))

    @property
    def _after_operand(self) -> bool:
        return self.last in _LEFT or self.last == "bar"

    def _closes(self) -> bool:
        """Whether a bar ends an absolute value."""
        return self._after_operand and bool(self.brackets) and self.brackets[-1][0] == "|"

    def _join(self, kind: str, word: str, column: int) -> None:
        """Write the sign of a product that the text leaves out."""
        if kind not in _RIGHT or not self._after_operand:
            return
        if self.last == "name" and kind == "open":
            return  # a call, as in max(a, b) or max{a, b}
        if self.last == "number" and self.word == "0" and word[0] in "xXbBoO" and not self._spaced:
            return  # 0x1F is a number
        if self.before in ("divide", "power") or self.last in ("bar", "raised"):
            raise FormulaError(
                f"a product without a sign can be read in two ways here; write * before {word!r}, or parentheses",
                self.text,
                column,
                column + len(word),
            )
        self._write("*", column)

    @property
    def _spaced(self) -> bool:
        return bool(self.written) and self.written[-1].isspace()

    def _take(self, kind: str, word: str, column: int) -> None:
        if kind == "open":
            self.brackets.append((word, column, self.before))
            self._write("(", column)
            self.before = ""
        elif kind == "bar":
            self.brackets.append((word, column, self.before))
            self._write("abs(", column)
            self.before, kind = "", "open"
        elif kind == "close":
            self._close(word, column)
            return
        elif kind == "raised":
            self._write(f"**({word.translate(_SUPERSCRIPTS)})", column)
        elif kind == "power":
            self._write("**", column, len(word))
            self.before = "power"
        else:
            if kind in ("divide", "other") or (kind == "sign" and self._after_operand):
                self.before = kind
            original = self.text.startswith(word, column)
            self._write(word, column, len(word) if original else 1)
        self.last, self.word = kind, word

    def _take_root(self, column: int, following: Sequence[tuple[int, str, str]]) -> None:
        """The root of what is in parentheses, or of the number or name behind the sign."""
        kinds = [kind for _, kind, _ in following]
        self._join("name", "sqrt", column)
        if kinds[:1] == ["open"]:
            self._take("name", "sqrt", column)
        elif kinds[:1] in (["number"], ["name"]) and kinds[1:2] not in (["open"], ["power"], ["raised"]):
            place, _, word = following[0]
            self._write("sqrt(", column)
            self._write(word, place, len(word))
            self._write(")", place)
            self.last, self.word, self.rooted = "close", ")", True
        else:
            raise FormulaError("write what the root is taken of in parentheses", self.text, column)

    def _close(self, word: str, column: int) -> None:
        opening, _, before = self.brackets.pop() if self.brackets else ("", 0, "")
        if (opening or word != ")") and _PARTNER.get(opening) != word:
            wanted = f"; {_PARTNER[opening]} would close" if opening else ", and nothing is open"
            if opening == "|" and _COMPARISON.search(self.text):
                wanted += "; comparisons are joined by `or`"
            raise FormulaError(f"{word} stands here{wanted}", self.text, column)
        self._write(")", column)
        self.last, self.word, self.before = "bar" if word == "|" else "close", word, before
