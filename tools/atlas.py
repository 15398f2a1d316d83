"""Compare all published functions and write what is made from their table: `python tools/atlas.py`.

Writes `symact/catalog/data/rows.json` (the table, to be read fast) and `index.npz` (classes, affine maps, curves),
`docs/atlas.md` (who is whose rediscovery) and `grammars/atlas.toml` (a space of all of them). Run it after a change of
a file in `symact/catalog/data`; it takes half a minute. Tests say when it is due.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from symact.catalog.checks import CITATION, FORMULA
from symact.catalog.index import Class, Index, age, index, make, write
from symact.catalog.left_out import LEFT_OUT
from symact.catalog.rows import VOCABULARY
from symact.equivalence.index.function_index import FunctionIndex
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.published import FOLDER, GATE, PARSED, Published, gates, parsed, published
from symact.expr.tree import parse

ROOT = Path(__file__).resolve().parents[1]
PAGE, GRAMMAR = ROOT / "docs" / "atlas.md", ROOT / "grammars" / "atlas.toml"


def page(known: Index) -> str:
    """The text of docs/atlas.md."""
    return "\n".join(_page(known)) + "\n"


def _page(known: Index) -> Iterator[str]:
    rows, classes = published(), known.classes
    several = [found for found in classes if len(found.keys) > 1]
    maps = [found for found in classes if found.map is not None]
    decided = sum(found.map is not None and found.map.evidence == "exact" for found in maps)
    yield "# The atlas of published activation functions"
    yield ""
    yield (
        f"{len(rows)} functions of one real number and {len(gates())} gates, functions of two, as `symact atlas` lists "
        f"them. At their default parameters the former are {len(classes)} different functions; up to an affine map, "
        f"{len(classes) - len(maps)}. `symact identify EXPRESSION` says which of them an expression is, "
        "`symact atlas NAME` all that is known of one. "
        "What symact itself found has the source `symact`. "
        "This page is made by `python tools/atlas.py` from `symact/catalog/data`."
    )
    yield ""
    yield (
        "Functions are compared on [-30, 30] by the rules of [identity.md](identity.md): two that differ at single "
        "points alone, such as a branch at 0 that is written with `>` or with `>=`, are the same; what `proved` says "
        "holds beyond the interval, too, in the tails; the other kinds of evidence say nothing about them."
    )
    yield ""
    yield "## How rows were checked"
    yield ""
    yield from _checks([*rows.values(), *gates().values()])
    yield "## One function under several names"
    yield ""
    yield (
        "Exactly the same function at default parameters, first published first. `proved`: by rewriting rules, "
        "`certified`: in ball arithmetic."
    )
    yield ""
    yield "| first | the same function | evidence |"
    yield "|---|---|---|"
    for found in several:
        first, *others = (rows[key] for key in found.keys)
        yield f"| {first.cited} | {', '.join(row.cited for row in others)} | {found.evidence} |"
    yield ""
    yield "## One family under several names"
    yield ""
    yield "The same formula in `x` and parameters, up to the names of these, for all values between 0.2 and 0.9."
    yield ""
    yield "| first | the same family |"
    yield "|---|---|"
    for keys in families():
        first, *others = (rows[key] for key in keys)
        yield f"| {first.cited} | {', '.join(row.cited for row in others)} |"
    yield ""
    yield "## One function up to an affine map"
    yield ""
    yield (
        "a f(b x + c) + d x + e is what the layers before and after a function can make of it. Each row is one "
        f"function and its maps. Of {len(maps)} maps the identity engine decided {decided} exactly; the constants of "
        "those marked `fit` are no simple numbers, and the fit leaves less than 1e-10 of the spread on [-8, 8]."
    )
    yield ""
    yield "| f | maps |"
    yield "|---|---|"
    groups: dict[int, list[Class]] = defaultdict(list)
    for found in maps:
        groups[found.base].append(found)
    for base, members in sorted(groups.items()):
        name = classes[base].first.key
        shown = "; ".join(_mapped(found, name) for found in members)
        yield f"| {classes[base].first.cited} | {shown} |"
    yield ""
    yield "## All functions"
    yield ""
    yield (
        "In formulas a function is called `atlas.NAME(x)`; gates are written out, or called by name in the grammar "
        "`gates`. "
        "*Compared* and *citation* are the words of the tables above. A year is that of first publication; where it is "
        "not known to us there is none, and what the survey lists was published by 2023."
    )
    families_of_one = Counter(row.family for row in rows.values())
    for family, count in [*families_of_one.items(), (GATE, len(gates()))]:
        yield ""
        yield f"### `{family}`: {_about(family)} ({count})"
        yield ""
        yield "| name | function | formula | source; compared; citation |"
        yield "|:---|:---|:---|:---|"
        for row in (*rows.values(), *gates().values()):
            if row.family == family:
                at = ", ".join(f"{s.name} = {_shown(s.default)}" for s in row.settings)
                formula = f"`{row.formula}`" + (f", {at}" if at else "")
                said = f"{', '.join(row.checked) or '-'}; {row.citation or '-'}"
                yield f"| `{row.key}` | {row.cited} | {formula} | {_link(row.source)}; {said} |"
    yield ""
    yield "## Where a library or the survey departs from the function"
    yield ""
    for row in rows.values():
        if row.differs:
            yield f"* {row.name} (`{row.reference}`): {row.differs}."
        elif "survey prints" in row.note:
            yield f"* {row.name}: {row.note}."
    yield ""
    yield "## Left out"
    yield ""
    yield "| function | because | source |"
    yield "|---|---|---|"
    for name, (reason, source) in LEFT_OUT.items():
        yield f"| {name} | {reason} | {_link(source)} |"


def _checks(rows: list[Published]) -> Iterator[str]:
    """The two tables of what was checked, with counts."""
    compared, cited = sum(bool(row.checked) for row in rows), sum(bool(row.citation) for row in rows)
    several = sum(len(row.checked) > 1 for row in rows)
    yield (
        f"No paper was read in full. Of {len(rows)} formulas {compared} were compared with something outside this "
        f"project, {several} of them with more than one; {len(rows) - compared} were not and are marked `-`. Of the "
        f"citations something was seen for {cited}. The survey is Kunc and Klema 2024, arXiv:2402.09092; the libraries "
        "that follow it have errors of their own, of which those that were found are listed below."
    )
    yield ""
    yield "| compared | with | rows |"
    yield "|---|---|---|"
    for key, said in FORMULA.items():
        yield f"| {key} | {said} | {sum(key in row.checked for row in rows)} |"
    yield f"| - | nothing | {len(rows) - compared} |"
    yield ""
    yield "| citation | what was seen | rows |"
    yield "|---|---|---|"
    for key, said in CITATION.items():
        yield f"| {key} | {said} | {sum(key == row.citation for row in rows)} |"
    yield f"| - | nothing | {len(rows) - cited} |"
    yield ""


def _about(family: str) -> str:
    """What the first line of the file of a family says it is, as the words of a heading."""
    with (FOLDER / f"{family}.toml").open(encoding="utf-8") as lines:
        said = next(lines).lstrip("# ").rstrip(".\n").partition(":")[0].partition(".")[0]
    return said[0].lower() + said[1:]


def _shown(value: Fraction) -> str:
    """A default as people write it: `0.000001`, not `1/1000000`; a fraction where decimals do not end."""
    decimal = f"{float(value):.17g}" if value.denominator == 1 else f"{float(value)!r}"
    return decimal if Fraction(decimal) == value else str(value)


def _mapped(found: Class, base: str) -> str:
    assert found.map is not None
    fit = "" if found.map.evidence == "exact" else " (fit)"
    return f"{found.first.cited} = `{found.map.form(base)}`{fit}"


def _link(source: str) -> str:
    if source.startswith("arXiv:"):
        return f"[{source}](https://arxiv.org/abs/{source[6:]})"
    if source.startswith("doi:"):
        return f"[{source}](https://doi.org/{source[4:]})"
    if source.startswith("symact: docs/"):
        return f"[symact]({source[13:]})"
    return f"[{source.split('/')[2]}]({source})"


def families() -> list[tuple[str, ...]]:
    """Rows that are one family over their parameters, first published first; of several rows each."""
    found = FunctionIndex(VOCABULARY)
    members: dict[int, list[str]] = defaultdict(list)
    for row in sorted(published().values(), key=age):
        if row.settings:
            parameters = {s.name: Parameter(s.name, init=1.0, range=(0.2, 0.9)) for s in row.settings}
            members[found.add(parse(row.formula, Vocabulary(parameters=parameters)))].append(row.key)
    return [tuple(keys) for keys in members.values() if len(keys) > 1]


def grammar(known: Index) -> str:
    """The text of grammars/atlas.toml: one operator a function, parameters that are trained as learnable ones."""
    rows = published()
    first = [rows[found.keys[0]] for found in known.classes]
    kept = {row.key for row in first} | {row.key for row in rows.values() if row.trained and row.settings}
    parameters, constants, unary = [], [], []
    for row in (row for row in rows.values() if row.key in kept):
        formula = row.formula
        for setting in row.settings:
            name = f"{row.key}_{setting.name}"
            formula = re.sub(rf"\b{setting.name}\b", name, formula)
            value = float(setting.default)
            if row.trained:
                parameters.append(f"{name} = {{ init = {value!r}, range = [{setting.low!r}, {setting.high!r}] }}")
            else:
                constants.append(f"{name} = {value!r}")
        unary.append(f'{row.key} = "{formula}"')
    lines = [
        "# Every published activation function: made by `python tools/atlas.py` from symact/catalog/data.",
        "# Of functions that are the same at their fixed parameters the first published one stands for all.",
        'name   = "atlas"',
        'source = "docs/atlas.md; most are listed by Kunc & Klema 2024, arXiv:2402.09092"',
        "",
        "[parameters]",
        *parameters,
        "",
        "[constants]",
        *constants,
        "",
        "[unary]",
        *unary,
        "",
        "[binary]",
        'add = "a + b"',
        'sub = "a - b"',
        'mul = "a*b"',
        'max = "max(a, b)"',
        'min = "min(a, b)"',
        "",
        "[spaces]",
        'published = ["unary(x)"]',
        'pairs     = ["binary(unary(x), unary(x))"]',
        'composed  = ["unary(unary(x))"]',
        "",
        "[identity]",
        "interval = [-30, 30]",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make everything anew."""
    PARSED.write_text(parsed(), encoding="utf-8")
    write(make())
    index.cache_clear()
    PAGE.write_text(page(index()), encoding="utf-8")
    GRAMMAR.write_text(grammar(index()), encoding="utf-8")


if __name__ == "__main__":
    main()
