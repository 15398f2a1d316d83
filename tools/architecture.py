"""How the package is built, measured from its imports: a table and a picture for docs/architecture.md.

    python tools/architecture.py              # rewrites docs/rooms.svg and the tables of docs/architecture.md
    python tools/architecture.py --record F   # writes the numbers of a checkout's package to F (the ones before)

A room is a folder or a file of `symact/`. A room, a folder or a file stands one floor above the highest that
it imports. `tests/test_imports.py` checks the order of the rooms with the functions here, and
fails when picture or tables are stale.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import networkx

ROOT = Path(__file__).resolve().parents[1]
BEFORE = ROOT / "tools" / "architecture_before.json"
PAGE, PICTURE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "rooms.svg"

# What a room is for, in the fewest words: shown in the picture, and in the table.
ROOMS = {
    "cli": "arguments",
    "commands": "what a subcommand does",
    "study": "the search loop",
    "bench": "tables, replay",
    "integrations": "other people's tools",
    "report": "tables, pictures, page",
    "execute": "processes, Ray",
    "tasks": "data, training, score",
    "export": "Python, ONNX, plots",
    "certify": "every input, every fact",
    "catalog": "published functions",
    "optimize": "ask and tell",
    "store": "trials on disk",
    "activation": "nn.Module",
    "equivalence": "the same function?",
    "backends": "torch, CPU, Triton",
    "program": "instructions, gradient",
    "expr": "text, grammar, space",
    "files": "written whole",
    "registry": "names of classes",
    "errors": "one family",
    "records": "Trial, Outcome",
    "arrays": "a type",
}
# Rooms of one file that the picture draws as one box: everybody may import them.
BASE = ("errors", "records", "arrays", "files", "registry")


def modules(package: Path) -> dict[str, Path]:
    """Dotted name -> file, for every file of a package."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> Iterator[str]:
    """Every dotted name that a file imports, at its head or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}: relative import")
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def imports(package: Path) -> networkx.DiGraph:
    """The files of a package, with an edge from each to every one that it imports."""
    files = modules(package)
    graph = networkx.DiGraph()
    graph.add_nodes_from(files)
    for name, path in files.items():
        # A package names its own modules; and the top of all is imported with everything.
        named = {target for target in imported(path) if target in files and target != package.name}
        graph.add_edges_from((name, target) for target in named - {name} if not target.startswith(name + "."))
    return graph


def room(module: str) -> str:
    """The room of a file, "" for the top of the package itself."""
    return [*module.split("."), ""][1]


def folder(module: str, files: Mapping[str, Path]) -> str:
    """The dotted folder that a file stands in."""
    return module if files[module].name == "__init__.py" else module.rpartition(".")[0]


def grouped(graph: networkx.DiGraph, label: Mapping[str, str]) -> networkx.DiGraph:
    """Groups of files, with an edge where any file of one imports a file of the other; "" is left out."""
    found = networkx.DiGraph()
    found.add_nodes_from(sorted({label[node] for node in graph} - {""}))
    edges = {(label[a], label[b]) for a, b in graph.edges}
    found.add_edges_from(sorted((a, b) for a, b in edges if a != b and a and b))
    return found


def rooms(graph: networkx.DiGraph) -> networkx.DiGraph:
    """The rooms, with an edge from each to every one that it imports."""
    return grouped(graph, {module: room(module) for module in graph})


def floors(graph: networkx.DiGraph) -> dict[str, int]:
    """The floor of each node: 1 where it imports nothing, else one above the highest that it imports."""
    levels: dict[str, int] = {}
    for node in reversed(list(networkx.topological_sort(graph))):
        levels[node] = 1 + max((levels[target] for target in graph.successors(node)), default=0)
    return levels


def measure(package: Path) -> dict[str, Any]:
    """Files, lines and floors of a package and of each of its rooms."""
    files, graph = modules(package), imports(package)
    lines = {name: len(path.read_text().splitlines()) for name, path in files.items()}
    found: dict[str, Any] = {}
    for name in sorted({room(module) for module in files} - {""}):
        inside = [module for module in files if room(module) == name]
        within = graph.subgraph(inside)
        found[name] = {
            "files": len(inside),
            "lines": sum(lines[module] for module in inside),
            "floors": max(floors(within).values()),
        }
    native = [path for path in package.rglob("*") if path.suffix in (".cpp", ".h")]
    return {
        "rooms": found,
        "files": len(files),
        "lines": sum(lines.values()),
        "floors": max(floors(rooms(graph)).values()),
        "longest": max(lines.values()),
        "native": {"files": len(native), "lines": sum(len(path.read_text().splitlines()) for path in native)},
    }


def table(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The rooms with their sizes, before and after, as Markdown."""
    order = [name for name in ROOMS if name in after["rooms"]]
    order += sorted(set(after["rooms"]) - set(order))
    order += sorted(set(before["rooms"]) - set(after["rooms"]))
    lines = [
        "| room | files before | after | lines before | after | floors inside, before | after |",
        "|---|---|---|---|---|---|---|",
    ]

    def row(name: str, one: Mapping[str, Any], two: Mapping[str, Any], keys: Iterable[str]) -> str:
        cells = (f"{side[key]:,}" if key in side else "" for key in keys for side in (one, two))
        return f"| {name} | " + " | ".join(cells) + " |"

    keys = ("files", "lines", "floors")
    lines += [row(f"`{n}`", before["rooms"].get(n, {}), after["rooms"].get(n, {}), keys) for n in order]
    lines.append(row("**Python, whole package; floors of rooms**", before, after, keys))
    lines.append(row("C++ sources", before["native"], after["native"], keys))
    return "\n".join(lines)


# The picture.

BOX, HEIGHT, LANE, GAP, STEP, MARGIN = 158, 46, 14, 26, 88, 24
FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
COLOURS = {
    "language": ("#e8f0fe", "#3b6fd4"),
    "compiler": ("#e6f4ea", "#2e8b57"),
    "search": ("#fef3e2", "#c77b14"),
    "surface": ("#f3e8fd", "#8445bd"),
    "base": ("#f1f3f4", "#7a7f85"),
}
KIND = {
    **dict.fromkeys(("expr",), "language"),
    **dict.fromkeys(("program", "equivalence", "backends", "activation", "export", "certify", "catalog"), "compiler"),
    **dict.fromkeys(("tasks", "store", "optimize", "execute", "study", "bench"), "search"),
    **dict.fromkeys(("report", "commands", "cli", "integrations"), "surface"),
}


def drawn(graph: networkx.DiGraph) -> networkx.DiGraph:
    """What the picture shows: the base as one box, the start-up file left out, and no edge that others imply."""
    label = {name: "base" if name in BASE else name for name in graph}
    label.update({name: "" for name in graph if name.startswith("__")})
    shown = grouped(graph, label)
    return networkx.transitive_reduction(shown)


def laned(graph: networkx.DiGraph) -> tuple[networkx.DiGraph, dict[str, int], dict[tuple[str, str], list[str]]]:
    """The same graph with a lane on every floor that a long edge passes; the floors; each edge as a chain."""
    level, chains = floors(graph), {}
    found = networkx.DiGraph()
    found.add_nodes_from(graph)
    for a, b in sorted(graph.edges):
        lanes = [f"{a}>{b}@{k}" for k in range(level[a] - 1, level[b], -1)]
        level.update({lane: level[a] - 1 - k for k, lane in enumerate(lanes)})
        chains[a, b] = [a, *lanes, b]
        networkx.add_path(found, chains[a, b])
    return found, level, chains


def width(name: str) -> float:
    """Of a box, or of a lane that an edge takes past the boxes of a floor."""
    return LANE if "@" in name else 2 * BOX if name == "base" else BOX


def crossings(rows: list[list[str]], graph: networkx.DiGraph) -> int:
    """How many pairs of lines cross between neighbouring floors."""
    count = 0
    for upper, lower in itertools.pairwise(reversed(rows)):
        at = {name: k for k, name in enumerate(lower)}
        ends = [sorted(at[target] for target in graph.successors(name) if target in at) for name in upper]
        pairs = [(k, end) for k, found in enumerate(ends) for end in found]
        count += sum(i < k and end > other for i, end in pairs for k, other in pairs)
    return count


def arranged(graph: networkx.DiGraph, level: Mapping[str, int]) -> list[list[str]]:
    """The floors from bottom to top, each in an order with few crossings (Sugiyama's barycentres)."""
    rows = [sorted(name for name in graph if level[name] == k) for k in range(1, max(level.values()) + 1)]
    best, fewest = [list(row) for row in rows], crossings(rows, graph)
    for turn in range(24):
        upwards = turn % 2 == 0
        for k in range(1, len(rows)) if upwards else range(len(rows) - 2, -1, -1):
            fixed = rows[k - 1] if upwards else rows[k + 1]
            at = {name: (i + 0.5) / len(fixed) for i, name in enumerate(fixed)}

            def centre(name: str, at: Mapping[str, float] = at) -> float:
                near = [at[other] for other in (*graph.successors(name), *graph.predecessors(name)) if other in at]
                return sum(near) / len(near) if near else 0.5

            rows[k].sort(key=lambda name: (round(centre(name), 6), name))
        if (now := crossings(rows, graph)) < fewest:
            best, fewest = [list(row) for row in rows], now
    return best


def placed(rows: list[list[str]], graph: networkx.DiGraph) -> dict[str, float]:
    """The horizontal place of each box and lane: near what it is joined to, and apart from its neighbours."""
    at: dict[str, float] = {}
    for row in rows:
        x = 0.0
        for name in row:
            at[name] = x + width(name) / 2
            x += width(name) + GAP
        at.update({name: at[name] - x / 2 for name in row})
    for turn in range(400):
        for row in rows if turn % 2 else reversed(rows):
            for name in row:
                near = [at[other] for other in (*graph.successors(name), *graph.predecessors(name))]
                at[name] += 0.5 * (sum(near) / len(near) - at[name])
            for _ in row:  # both give way, so that the whole does not drift
                for one, other in itertools.pairwise(row):
                    short = (width(one) + width(other)) / 2 + GAP - (at[other] - at[one])
                    at[one] -= max(0.0, short) / 2
                    at[other] += max(0.0, short) / 2
    left = min(at[name] - width(name) / 2 for name in at)
    return {name: x - left + MARGIN for name, x in at.items()}


def picture(graph: networkx.DiGraph) -> str:
    """The rooms as SVG: each above what it imports."""
    shown = drawn(graph)
    full, level, chains = laned(shown)
    x = placed(arranged(full, level), full)
    total = max(x[name] + width(name) / 2 for name in x) + MARGIN
    height = 2 * MARGIN + STEP * (max(level.values()) - 1) + HEIGHT
    y = {name: MARGIN + HEIGHT / 2 + STEP * (max(level.values()) - level[name]) for name in full}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total:.0f} {height}" font-family="{FONT}">',
        f'<rect width="{total:.0f}" height="{height}" fill="#ffffff"/>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0.5 L7,4 L0,7.5 Z" fill="#8a9099"/></marker></defs>',
    ]
    for chain in chains.values():
        parts.append(f'<path d="{_line(chain, x, y, full)}" fill="none" stroke="#8a9099" marker-end="url(#tip)"/>')
    for name in sorted(shown):
        fill, line = COLOURS[KIND.get(name, "base")]
        words = ", ".join(other for other in BASE if other in graph) if name == "base" else name
        note = "what every room may import" if name == "base" else ROOMS.get(name, "")
        left, top = x[name] - width(name) / 2, y[name] - HEIGHT / 2
        parts += [
            f'<rect x="{left:.0f}" y="{top:.0f}" width="{width(name):.0f}" height="{HEIGHT}" rx="7" '
            f'fill="{fill}" stroke="{line}" stroke-width="1.4"/>',
            _text(words, x[name], y[name] - 4, 'font-size="14" font-weight="bold" fill="#202124"'),
            _text(note, x[name], y[name] + 14, 'font-size="11" fill="#5f6368"'),
        ]
    return "\n".join([*parts, "</svg>\n"])


def _text(words: str, x: float, y: float, look: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle" {look}>{escape(words)}</text>'


def _line(chain: list[str], x: Mapping[str, float], y: Mapping[str, float], graph: networkx.DiGraph) -> str:
    """A smooth line down its lanes; the lines of one box begin, and end, side by side."""

    def port(name: str, other: str, others: Iterable[str]) -> float:
        order = sorted(others, key=lambda node: (x[node], node))
        return x[name] + 18 * (order.index(other) - (len(order) - 1) / 2)

    a, *_, b = chain
    points = [(port(a, chain[1], graph.successors(a)), y[a] + HEIGHT / 2)]
    for lane in chain[1:-1]:
        points += [(x[lane], y[lane] - HEIGHT / 2), (x[lane], y[lane] + HEIGHT / 2)]
    points.append((port(b, chain[-2], graph.predecessors(b)), y[b] - HEIGHT / 2 - 2))
    path = f"M{points[0][0]:.0f},{points[0][1]:.0f}"
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        bend = (y2 - y1) / 2
        path += f" C{x1:.0f},{y1 + bend:.0f} {x2:.0f},{y2 - bend:.0f} {x2:.0f},{y2:.0f}"
    return path


def page(text: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The page with its table made again; the rest stays."""
    begin, end = "<!-- made by tools/architecture.py -->", "<!-- end -->"
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"{PAGE.name}: no place for the table; it stands between {begin} and {end}")
    return f"{head}{begin}\n\n{table(before, after)}\n\n{end}{tail}"


def main() -> None:
    """Write the picture and the table, or record numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--package", type=Path, default=ROOT / "symact", help="another checkout's symact/")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the numbers there, and nothing else")
    arguments = parser.parse_args()
    measured = measure(arguments.package)
    if arguments.record:
        arguments.record.write_text(json.dumps(measured, indent=1) + "\n")
        return
    PICTURE.write_text(picture(rooms(imports(arguments.package))))
    PAGE.write_text(page(PAGE.read_text(), json.loads(BEFORE.read_text()), measured))


if __name__ == "__main__":
    main()
