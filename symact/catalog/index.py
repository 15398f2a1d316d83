"""The index of the table: which rows are one function, which are affine maps of another, and their curves.

It is made from the files of the table by `python tools/atlas.py` and shipped beside them, as `index.npz`, with their
digest. Where the files have changed since, it is made on the spot, without the affine maps, which take half a minute.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from symact import files
from symact.arrays import Array
from symact.catalog.affine import Affine, affine
from symact.catalog.curves import NORMAL, Bending, bending, curves
from symact.catalog.rows import VOCABULARY, expression_of
from symact.equivalence.engine.classes import EVIDENCE
from symact.equivalence.index.function_index import FunctionIndex
from symact.expr.published import FOLDER, Published, published

PATH = FOLDER / "index.npz"
# Of what is stored here, beside the rows.
_VERSION = "2"
_SURVEY, _SURVEYED = "arXiv:2402.09092", 2023


@dataclass(frozen=True)
class Class:
    """The rows that are one function at their default values.

    Attributes:
        keys: of the rows, first published first.
        evidence: by what they were merged and told apart from others: `proved`, `certified` or `numeric`.
        shape: where the function bends.
        base: number of the class that it is an affine map of; its own where there is no simpler one.
        map: that map, or None.
    """

    keys: tuple[str, ...]
    evidence: str
    shape: Bending
    base: int
    map: Affine | None

    @property
    def first(self) -> Published:
        """The row that was published first."""
        return published()[self.keys[0]]


@dataclass(frozen=True)
class Index:
    """All classes.

    Attributes:
        classes: numbered by first publication.
        curves: ``(classes, points)`` values at the points `curves.NORMAL`, stored as float32.
    """

    classes: tuple[Class, ...]
    curves: Array

    def class_of(self, key: str) -> int:
        """The number of the class of a row."""
        return next(number for number, found in enumerate(self.classes) if key in found.keys)


@cache
def index() -> Index:
    """The index that is shipped, or, where that is of other files, one without affine maps."""
    return _read() or make(maps=False)


def age(row: Published) -> tuple[int, bool, int]:
    """Rows sort by it: first published first.

    What the survey of February 2024 lists without a year known to us was published before it. Of one year, rows with a
    source of their own come first, and then short formulas.
    """
    surveyed = row.source == _SURVEY
    return row.year or (_SURVEYED if surveyed else 9999), surveyed, len(row.formula)


def make(maps: bool = True) -> Index:
    """Compare all rows.

    Args:
        maps: look for affine maps, too.
    """
    rows = sorted(published().values(), key=age)
    found = FunctionIndex(VOCABULARY)
    members: dict[int, list[str]] = {}
    for row in rows:
        members.setdefault(found.add(expression_of(row.key)), []).append(row.key)
    evidence = found.evidence()
    groups = list(members.values())
    values = curves([expression_of(keys[0]) for keys in groups], NORMAL)
    shapes = [bending(expression_of(keys[0])) for keys in groups]
    bases = dict(_maps(groups, shapes)) if maps else {}
    classes = tuple(
        Class(tuple(keys), EVIDENCE[evidence[n]], shapes[n], *bases.get(n, (n, None))) for n, keys in enumerate(groups)
    )
    return Index(classes, values)


def _maps(groups: list[list[str]], shapes: list[Bending]) -> Iterator[tuple[int, tuple[int, Affine]]]:
    """For every class that is an affine map of a simpler one: its number, that one's, and the map."""
    bases: list[int] = []
    for number in sorted(range(len(groups)), key=lambda n: _simplicity(groups[n])):
        target = expression_of(groups[number][0])
        for base in bases:
            made = affine(target, expression_of(groups[base][0]), (shapes[number], shapes[base]), slow=True)
            if made is not None:
                yield number, (base, made)
                break
        else:
            bases.append(number)


def _simplicity(keys: list[str]) -> tuple[bool, int]:
    """Bases of affine maps are sought in this order: without constants of their own, then first published first."""
    rows = [published()[key] for key in keys]
    return all(row.settings or re.search(r"\d\.\d", row.formula) for row in rows), min(map(age, rows))[0]


def digest() -> str:
    """SHA-256 of what the index depends on in the rows of the table, in hexadecimal."""
    content = hashlib.sha256(_VERSION.encode())
    for row in published().values():
        settings = "|".join(f"{s.name}:{s.default}:{s.low}:{s.high}" for s in row.settings)
        content.update(f"{row.key}|{row.formula}|{settings}|{row.year}|{row.source}\n".encode())
    return content.hexdigest()


def write(found: Index) -> None:
    """Write the index beside the files of the table."""
    classes = found.classes
    columns = {
        "digest": np.array(digest()),
        "keys": np.array(["|".join(c.keys) for c in classes]),
        "evidence": np.array([c.evidence for c in classes]),
        "curves": found.curves.astype(np.float32),
        "sizes": np.array([(c.shape.middle, c.shape.width, c.shape.bounded) for c in classes], float),
        "places": np.array([c.shape.places for c in classes]).astype(np.float32),
        "signs": np.array([c.shape.signs for c in classes]).astype(np.float32),
        "base": np.array([c.base for c in classes]),
        "constants": np.array(["|".join(c.map.constants) if c.map else "" for c in classes]),
        "decided": np.array([c.map.evidence if c.map else "" for c in classes]),
        "residual": np.array([c.map.residual if c.map else 0.0 for c in classes]),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **columns)
    content = buffer.getvalue()
    files.write_file(PATH, lambda path: path.write_bytes(content))


def _read() -> Index | None:
    try:
        with np.load(PATH, allow_pickle=False) as stored:
            columns = dict(stored)
    except (OSError, ValueError):
        return None
    if str(columns["digest"]) != digest():
        return None
    classes = []
    for n, keys in enumerate(columns["keys"]):
        middle, width, bounded = columns["sizes"][n]
        bends = Bending(middle, width, columns["places"][n], columns["signs"][n], bool(bounded))
        constants = str(columns["constants"][n])
        made = None
        if constants:
            a, b, c, d, e = constants.split("|")
            made = Affine((a, b, c, d, e), str(columns["decided"][n]), float(columns["residual"][n]))
        names = tuple(str(keys).split("|"))
        classes.append(Class(names, str(columns["evidence"][n]), bends, int(columns["base"][n]), made))
    return Index(tuple(classes), columns["curves"].astype(float))
