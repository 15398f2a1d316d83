"""The rooms stand in order: imports run one way, without a cycle, and each room keeps to itself."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import networkx
import pytest

from tools import architecture

PACKAGE = Path(__file__).parents[1] / "symact"

# A room may import the rooms of lower floors, and itself; rooms of one floor never each other.
FLOORS = (
    ("errors", "records", "arrays"),
    ("files", "registry"),
    ("expr",),
    ("program",),
    ("equivalence", "backends"),
    ("catalog", "optimize", "store", "activation"),
    ("tasks", "export", "certify"),
    ("execute", "report"),
    ("study",),
    ("bench", "integrations"),
    ("commands",),
    ("cli",),
    ("__main__",),
)

# The same for the folders and the files of a room that has folders.
INSIDE = {
    "equivalence": (
        ("terms", "parallel"),
        ("numeric",),
        ("exact",),
        ("rules",),
        ("engine",),
        ("index",),
        ("screening", "shorter"),
        ("table",),
    ),
    "backends": (("torch_helpers", "layout"), ("torch_source",), ("cpu", "triton"), ("select", "onnx_operations")),
}

NEVER = {
    "tasks": {"store", "optimize"},
    "store": {"backends"},
}
NO_TORCH = ("errors", "records", "files", "registry", "expr", "program", "equivalence", "store")

MODULES = architecture.modules(PACKAGE)
GRAPH = architecture.imports(PACKAGE)
EDGES = sorted(edge for edge in GRAPH.edges if architecture.room(edge[1]))


def floor(name: str, floors: tuple[tuple[str, ...], ...]) -> int:
    return next(level for level, names in enumerate(floors) if name in names)


def part(module: str) -> str:
    """The folder, or the file, directly inside the room of a module."""
    return [*module.split("."), "", ""][2]


def test_every_module_lives_in_a_room_with_a_floor():
    assert set(architecture.rooms(GRAPH)) <= {name for names in FLOORS for name in names}
    for room, floors in INSIDE.items():
        parts = {part(module) for module in MODULES if architecture.room(module) == room} - {""}
        assert parts == {name for names in floors for name in names}, f"{room}/ has other folders and files"


@pytest.mark.parametrize(("module", "target"), EDGES)
def test_an_import_never_climbs(module: str, target: str):
    above, below = architecture.room(module), architecture.room(target)
    if above and above != below:
        assert floor(below, FLOORS) < floor(above, FLOORS), f"{module} imports {target}"
        assert below not in NEVER.get(above, ()), f"{module} may not know {target}"
    elif above in INSIDE and part(module) != part(target) and part(module) and part(target):
        here, there = (floor(part(name), INSIDE[above]) for name in (module, target))
        assert there < here, f"{module} imports {target}"


def test_there_is_no_import_cycle():
    cycles = [sorted(group) for group in networkx.strongly_connected_components(GRAPH) if len(group) > 1]
    assert not cycles


@pytest.mark.parametrize("room", sorted(architecture.rooms(GRAPH)))
def test_there_is_no_cycle_among_the_folders_of_a_room(room: str):
    inside = GRAPH.subgraph(module for module in GRAPH if architecture.room(module) == room)
    folders = architecture.grouped(inside, {module: part(module) for module in inside})
    assert networkx.is_directed_acyclic_graph(folders)


def test_no_class_name_is_defined_twice():
    found = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                found[node.name].append(module)
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


@pytest.mark.parametrize("module", [m for m in MODULES if architecture.room(m) in NO_TORCH])
def test_the_rooms_of_text_need_no_torch(module: str):
    assert not {name.split(".")[0] for name in architecture.imported(MODULES[module])} & {"torch", "torchvision"}


@pytest.mark.parametrize("module", MODULES)
def test_every_file_says_what_it_is_for(module: str):
    text = MODULES[module].read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{module} has no docstring"
