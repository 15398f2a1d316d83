"""`symact identify` and `symact atlas`: which published function it is, and what has been published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symact.catalog.checks import citation_check, formula_check
from symact.errors import InputError
from symact.expr.published import GATE, Published, gates, published
from symact.report import console

if TYPE_CHECKING:
    from symact.expr.grammar import Grammar

_KINDS = {
    "exact": "the same function",
    "affine": "an affine map, a*f(b*x + c) + d*x + e, of",
    "near": "no published function; nearest on a standard normal sample",
}
_OF_GATES = "function of two inputs; in symact.Gate as the formula"
_WIDTH = 80


def show_matches(expression: str, grammar: str | None, as_json: bool) -> None:
    """Print which published functions an expression is, or is near to.

    Raises:
        InputError: the expression or the grammar cannot be read.
    """
    from symact.catalog.matches import identify

    text = expression.strip()
    found = identify(text, None if grammar is None else _loaded(grammar))
    if as_json:
        console.document({"expression": text, "matches": [match.document() for match in found]})
        return
    kind = ""
    for match in found:
        if match.kind != kind:
            console.say(_KINDS[kind := match.kind])
        at = ", ".join(f"{name} = {value}" for name, value in match.settings.items())
        said = match.form if kind == "affine" else f"RMS {match.distance:.2g}" if kind == "near" else at
        if match.row.family == GATE:
            said = ", ".join(filter(None, (match.form, said)))
        lines = [f"  {match.row.cited}" + " plus a line" * match.line, f"      {match.row.source}"]
        lines[0] += f": {said}" if said else ""
        if kind == "affine":
            lines[0] += "" if match.evidence == "exact" else " (numeric: by a fit alone)"
        for line in lines:
            for number, part in enumerate(console.folded(line, _WIDTH).split("\n")):
                console.say(part if number == 0 else f"      {part}")


def _loaded(grammar: str) -> Grammar:
    # Not everyone names a grammar, and pydantic reads them.
    from symact.program.loading import load_grammar

    return load_grammar(grammar)


def show_list(family: str | None, year: str | None, find: str | None, as_json: bool) -> None:
    """Print the published functions that are asked for.

    Raises:
        InputError: there is no such family, or `year` is none.
    """
    known = [*published().values(), *gates().values()]
    rows = [row for row in known if _wanted(row, family, _years(year), find)]
    families = sorted({row.family for row in known})
    if family is not None and family not in families:
        raise InputError(f"--family {family}: there are {', '.join(families)}")
    if as_json:
        console.document({"functions": [_document(row) for row in rows]})
        return
    console.listing([(row.key, str(row.year or ""), row.formula) for row in rows], ("name", "year", "formula"), _WIDTH)
    console.say(f"{len(rows)} of {len(known)} published functions; `symact atlas NAME` says more of one")


def show_one(name: str, as_json: bool) -> None:
    """Print what is known of one published function.

    Raises:
        InputError: none is called so.
    """
    from symact.catalog.rows import row_of

    row = row_of(name)
    relatives = _relatives(row) if row.family != GATE else {"same": [], "affine": [], "map": ""}
    if as_json:
        console.document({**_document(row), **relatives})
        return
    settings = [f"{s.name} = {s.default} [{s.low:g}, {s.high:g}]" for s in row.settings]
    facts = {
        "in formulas": f"atlas.{row.key}(x)" if row.family != GATE else _of_gate(row.key),
        "formula": row.formula,
        "parameters": "; ".join(settings) + (" (trained)" if row.trained else ""),
        "year": row.year,
        "by": row.by,
        "source": row.source,
        "also called": ", ".join(row.aliases),
        "family": row.family,
        "same function": ", ".join(relatives["same"]),
        "affine map": relatives["map"],
        "affine maps": ", ".join(relatives["affine"]),
        "computed by": row.reference,
        "differs": row.differs,
        "note": row.note,
        "compared with": formula_check(row),
        "citation": citation_check(row),
    }
    console.say(row.cited)
    for fact, said in facts.items():
        for at, part in enumerate(console.folded(str(said or ""), _WIDTH - 16).split("\n") if said else ()):
            console.say(f"  {fact if at == 0 else '':<13} {part}")


def _of_gate(key: str) -> str:
    """How a gate is written: as its formula, and by name where the grammar of gates has it."""
    return _OF_GATES + (", in the grammar `gates` by name" if key in _loaded("gates").operators else "")


def _relatives(row: Published) -> dict[str, Any]:
    """Keys of the same function and of its affine maps, and how it is a map of the simplest of these."""
    from symact.catalog.index import index

    known = index()
    number = known.class_of(row.key)
    found = known.classes[number]
    base = known.classes[found.base]
    mapped = [c.first.key for n, c in enumerate(known.classes) if c.base == found.base and n != number]
    others = [key for key in found.keys if key != row.key]
    form = "" if found.map is None else found.map.form(base.first.key)
    return {"same": others, "affine": mapped, "map": form}


def _wanted(row: Published, family: str | None, years: tuple[int, int] | None, find: str | None) -> bool:
    said = " ".join((row.key, row.name, *row.aliases, row.formula, row.source, row.by, row.note)).lower()
    return (
        (family is None or row.family == family)
        and (years is None or (row.year is not None and years[0] <= row.year <= years[1]))
        and (find is None or find.lower() in said)
    )


def _years(year: str | None) -> tuple[int, int] | None:
    if year is None:
        return None
    first, _, last = year.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal()):
        raise InputError(f"--year {year}: expected a year, or the first and the last, as in 2018-2020")
    return int(first), int(last or first)


def _document(row: Published) -> dict[str, Any]:
    return {
        "key": row.key,
        "name": row.name,
        "aliases": list(row.aliases),
        "formula": row.formula,
        "parameters": [{"name": s.name, "default": float(s.default), "range": [s.low, s.high]} for s in row.settings],
        "trained": row.trained,
        "year": row.year,
        "by": row.by,
        "source": row.source,
        "family": row.family,
        "note": row.note,
        "formula_checked": [*row.checked],
        "citation_checked": row.citation,
    }
