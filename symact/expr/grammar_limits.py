"""The [limits] of a grammar file, read and checked.

In: the table as TOML has it, and the grammar's operators. Out: `Limits`. What is wrong is told through
the reader's `fail`, which knows the place in the file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from symact.expr.operators import Limits, Operator
from symact.expr.shape import MAXIMUM_DEPTH

KEYS = ("max_depth", "max_size", "max_argument_size", "forbid")
_NESTING = re.compile(r"\s*([A-Za-z_]\w*)\s*\(\s*(\.\.\.)?\s*([A-Za-z_]\w*)\s*\)\s*")


class Fail(Protocol):
    """How the reader of a grammar refuses one."""

    def __call__(
        self, reason: str, *keys: str | int, key: bool = False, part: tuple[int, int | None] | None = None
    ) -> NoReturn:
        """Raise a `GrammarError` at the value of `keys`, at the key itself, or at a part of the string there."""


def read_limits(table: Mapping[str, Any], operators: Mapping[str, Operator], fail: Fail) -> Limits:
    """The limits that a table of known keys says."""
    return _LimitsReader(table, operators, fail).read()


class _LimitsReader:
    def __init__(self, table: Mapping[str, Any], operators: Mapping[str, Operator], fail: Fail):
        self.table, self.operators, self.fail = table, operators, fail

    def read(self) -> Limits:
        depth, size = self._most("max_depth"), self._most("max_size")
        if depth is not None and depth > MAXIMUM_DEPTH:
            self.fail(
                f"expected at most {MAXIMUM_DEPTH}, the depth to which expressions are read", "limits", "max_depth"
            )
        forbid = self.table.get("forbid", [])
        if not isinstance(forbid, list) or not all(isinstance(pair, str) for pair in forbid):
            self.fail('expected a list of outer(inner), as in ["exp(exp)"]', "limits", "forbid")
        pairs = [self._pair(index, pair) for index, pair in enumerate(forbid)]
        direct, deep = (frozenset((o, i) for o, i, below in pairs if below == wanted) for wanted in (False, True))
        return Limits(depth, size, direct, deep, self._argument_sizes())

    def _most(self, key: str) -> int | None:
        value = self.table.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.fail("expected a whole number of operators, 1 or more", "limits", key)
        return value

    def _pair(self, index: int, text: str) -> tuple[str, str, bool]:
        """The outer operator, the inner one, and whether the inner one is forbidden at any depth."""
        here = ("limits", "forbid", index)
        match = _NESTING.fullmatch(text)
        if match is None:
            self.fail(
                "expected outer(inner), two operator names, as in exp(exp), or outer(...inner), at any depth", *here
            )
        for group in (1, 3):
            self._operator(match[group], *here, part=match.span(group))
        return match[1], match[3], match[2] is not None

    def _argument_sizes(self) -> dict[str, tuple[int, ...]]:
        here = ("limits", "max_argument_size")
        sizes = self.table.get("max_argument_size", {})
        if not isinstance(sizes, dict):
            self.fail("expected operators with sizes, as in { sin = 3, pow = [5, 0] }", *here)
        return {name: self._argument_size(name, value) for name, value in sizes.items()}

    def _argument_size(self, name: str, value: Any) -> tuple[int, ...]:
        here = ("limits", "max_argument_size", name)
        arity = self._operator(name, *here, key=True).arity
        most = value if isinstance(value, list) else [value]
        if not all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in most):
            self.fail("expected a whole number of operators, or 0 where the argument is x", *here)
        if isinstance(value, list) and len(value) != arity:
            takes = {None: "any number of arguments", 1: "1 argument"}.get(arity, f"{arity} arguments")
            wanted = "one number for all" if arity is None else f"{arity} in the list, or one number for all"
            self.fail(f"{name!r} takes {takes}; expected {wanted}", *here)
        return tuple(most)

    def _operator(
        self, name: str, *keys: str | int, key: bool = False, part: tuple[int, int] | None = None
    ) -> Operator:
        if name not in self.operators:
            close = difflib.get_close_matches(name, self.operators, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            self.fail(f"unknown operator {name!r}{hint}", *keys, key=key, part=part)
        return self.operators[name]
