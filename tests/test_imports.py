"""The rooms stand in order: imports run one way, without a cycle, and each room keeps to itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "symact"

# A room may import the rooms of lower floors, and itself; rooms of one floor never each other.
FLOORS = (
    ("errors", "records", "arrays"),
    ("files", "registry"),
    ("expr",),
    ("program",),
    ("equivalence", "backends"),
    ("optimize", "store", "activation"),
    ("tasks", "export"),
    ("execute",),
    ("report",),
    ("study",),
    ("bench",),
    ("commands",),
    ("cli",),
    ("__main__",),
)

NEVER = {
    "commands": {"cli"},
    "errors": {"records"},
    "tasks": {"store", "optimize"},
    "store": {"backends"},
    "report": {"optimize", "execute"},
}
NO_TORCH = ("errors", "records", "files", "registry", "expr", "program", "equivalence", "store")


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def floor(name: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if name in rooms)


def edges() -> list[tuple[str, str]]:
    return [
        (module, target)
        for module, path in MODULES.items()
        for target in sorted(imported(path))
        if target in MODULES and target != module and room(target)
    ]


def test_every_module_lives_in_a_room_with_a_floor():
    rooms = {name for names in FLOORS for name in names}
    assert {room(module) for module in MODULES if room(module)} <= rooms


@pytest.mark.parametrize(("module", "target"), edges())
def test_an_import_never_climbs(module: str, target: str):
    above, below = room(module), room(target)
    if not above or above == below:
        return
    assert floor(below) < floor(above), f"{module} imports {target}"
    assert below not in NEVER.get(above, ()), f"{module} may not know {target}"


def test_there_is_no_import_cycle():
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for module, target in edges():
        if not target.startswith(module + "."):
            graph[module].add(target)
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module in done:
            return
        for target in graph[module]:
            visit(target, (*trail, module))
        done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in NO_TORCH])
def test_the_rooms_of_text_need_no_torch(module: str):
    assert not {name.split(".")[0] for name in imported(MODULES[module])} & {"torch", "torchvision"}


@pytest.mark.parametrize("module", MODULES)
def test_every_file_says_what_it_is_for(module: str):
    text = MODULES[module].read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{module} has no docstring"
