"""`Piece`: one thing that code can change for the whole process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import is_
from typing import Any


@dataclass(frozen=True)
class Piece:
    """One thing that code can change for the whole process.

    Attributes:
        name: of the thing, for a person.
        read: its present value.
        write: sets it to a value that `read` gave before; it may raise anything.
        same: whether a later value (the second) is as good as the first.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    same: Callable[[Any, Any], bool] = lambda before, after: bool(before == after)


def same_names(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether every name stands for what it stood for."""
    return before.keys() <= after.keys() and all(map(is_, before.values(), map(after.get, before)))
