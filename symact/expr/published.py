"""The table of published activation functions: one row each, as the files in `symact/catalog/data` say it.

In: those files, TOML, one a family. Out: `published()`, key -> `Published`: name, formula, parameters, year and source;
and `gates()`, the same for functions of two inputs.
It is to formulas what `functions` is: `atlas.serf(x)` means the row `serf` at the default values of its parameters.
What may be said of a function (which others it equals, what it is near to) is the room `catalog`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from symact.expr.spelling import spellings

PREFIX = "atlas"
GATE = "gate"
FOLDER = Path(__file__).resolve().parents[1] / "catalog" / "data"
# All files of the table in one that is read fast; made by `python tools/atlas.py`.
PARSED = FOLDER / "rows.json"


@dataclass(frozen=True)
class Setting:
    """A parameter of a published function.

    Attributes:
        name: as its formula names it.
        default: the value in the paper or the library, exactly.
        low: lower end of the values that make sense.
        high: upper end.
    """

    name: str
    default: Fraction
    low: float
    high: float


@dataclass(frozen=True)
class Published:
    """A published activation function.

    Attributes:
        key: its name in formulas, `atlas.KEY(x)`.
        name: as its authors write it.
        family: the file that it stands in.
        formula: formula text in `x`, that of a gate in `x` and `g`, and its parameters, over the built-in functions.
        settings: its parameters, in order.
        source: `arXiv:...`, `doi:...` or an address: where it is defined, or the survey that lists it; of what symact
            found, `symact: ` and the page of this repository that says so.
        year: of first publication, or None where that is not known to us.
        by: first author, or "".
        aliases: what it is called elsewhere.
        trained: its parameters are learned with the weights of a network.
        reference: a class or function of another library that computes it, with arguments; or "".
        differs: in what that library departs from the source, or "".
        note: anything else that a reader must know.
        checked: keys of `symact.catalog.checks.FORMULA`: what the formula was compared with; empty: nothing.
        citation: a key of `symact.catalog.checks.CITATION`: what was seen of the source; "": nothing.
    """

    key: str
    name: str
    family: str
    formula: str
    source: str
    settings: tuple[Setting, ...] = ()
    year: int | None = None
    by: str = ""
    aliases: tuple[str, ...] = ()
    trained: bool = False
    reference: str = ""
    differs: str = ""
    note: str = ""
    checked: tuple[str, ...] = ()
    citation: str = ""

    @property
    def defaults(self) -> dict[str, Fraction]:
        """Its parameters at their default values."""
        return {setting.name: setting.default for setting in self.settings}

    @property
    def cited(self) -> str:
        """The name with its first author and year: `SiLU (Elfwing 2017)`."""
        origin = " ".join(filter(None, (self.by, str(self.year or ""))))
        return f"{self.name} ({origin})" if origin else self.name


@cache
def published() -> Mapping[str, Published]:
    """Every function of one number, by key, in the order of the files."""
    return {row.key: row for path in files() for row in _rows(path)}


@cache
def gates() -> Mapping[str, Published]:
    """Every gate, a function of `x` and `g`, by key."""
    return {row.key: row for row in _rows(FOLDER / f"{GATE}.toml")}


@cache
def files() -> tuple[Path, ...]:
    """The files of the functions of one number, one a family."""
    return tuple(path for path in sorted(FOLDER.glob("*.toml")) if path.stem != GATE)


@cache
def _named() -> Mapping[str, Published]:
    """Rows by key and, where that says one row only, by name and alias, without regard to case and blanks."""
    said: dict[str, list[Published]] = {}
    for row in published().values():
        for name in {_folded(text) for text in (row.name, *row.aliases)}:
            said.setdefault(name, []).append(row)
    return {**{name: found[0] for name, found in said.items() if len(found) == 1}, **published()}


def find_published(name: str) -> Published | None:
    """The row that a key, a name or an alias stands for, or None: `serf`, `SERF`, `Tanh linear unit`."""
    spelled = (*spellings(name), _folded(name))
    return next((row for text in spelled if (row := _named().get(text)) is not None), None)


def find_gate(name: str) -> Published | None:
    """The gate that a key, a name or an alias stands for, or None: `swiglu`, `gated tanh unit`."""
    folded = _folded(name)
    named = (row for row in gates().values() if folded in map(_folded, (row.key, row.name, *row.aliases)))
    return next(named, None)


def _folded(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _rows(path: Path) -> list[Published]:
    return [_row(path.stem, key, dict(row)) for key, row in _documents()[path.stem].items()]


@cache
def _documents() -> dict[str, dict[str, Any]]:
    """Family -> its rows as the files say them; from `PARSED` where that is of these files, for TOML is read slowly."""
    paths = sorted(FOLDER.glob("*.toml"))
    try:
        stored = json.loads(PARSED.read_text("utf-8"))
    except (OSError, ValueError):
        stored = {}
    if stored.get("digest") == _digest(paths):
        found: dict[str, dict[str, Any]] = stored["families"]
        return found
    return {path.stem: tomllib.loads(path.read_text("utf-8")) for path in paths}


def parsed() -> str:
    """The text of `PARSED`: the files of the table as JSON, with their digest."""
    paths = sorted(FOLDER.glob("*.toml"))
    families = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in paths}
    return (
        json.dumps({"digest": _digest(paths), "families": families}, ensure_ascii=False, separators=(",", ":")) + "\n"
    )


def _digest(paths: list[Path]) -> str:
    content = hashlib.sha256()
    for path in paths:
        content.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n"))
    return content.hexdigest()


def _row(family: str, key: str, row: dict[str, Any]) -> Published:
    settings = tuple(
        Setting(name, Fraction(str(value["default"])), *map(float, value["range"]))
        for name, value in row.pop("parameters", {}).items()
    )
    aliases, checked = tuple(row.pop("aliases", ())), tuple(row.pop("checked", ()))
    return Published(key, family=family, settings=settings, aliases=aliases, checked=checked, **row)
