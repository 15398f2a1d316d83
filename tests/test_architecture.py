"""docs/architecture.md shows the rooms as they are; `python tools/architecture.py` draws and measures them again."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import networkx
import pytest

from tools import architecture

ROOMS = architecture.rooms(architecture.imports(architecture.ROOT / "symact"))
BOX = "{http://www.w3.org/2000/svg}rect"
WORDS = "{http://www.w3.org/2000/svg}text"


def test_the_picture_in_docs_is_that_of_the_imports():
    assert architecture.PICTURE.read_text() == architecture.picture(ROOMS), "stale: run python tools/architecture.py"


def test_the_table_in_docs_has_a_row_for_every_room_before_and_now():
    before = json.loads(architecture.BEFORE.read_text())
    _, _, rest = architecture.PAGE.read_text().partition("<!-- made by tools/architecture.py -->")
    named = re.findall(r"^\| `(\w+)` \|", rest, re.M)
    assert sorted(named) == sorted({*before["rooms"], *ROOMS}), "stale: run python tools/architecture.py"


def test_no_box_of_the_picture_covers_another_and_every_room_has_words():
    root = ElementTree.fromstring(architecture.PICTURE.read_text())
    boxes = [[float(box.get(key)) for key in ("x", "y", "width", "height")] for box in root.iter(BOX) if box.get("x")]
    for i, (x, y, width, height) in enumerate(boxes):
        for left, top, wide, high in boxes[:i]:
            assert x >= left + wide or left >= x + width or y >= top + high or top >= y + height
    words = {text.text for text in root.iter(WORDS)}
    shown = [name for name in ROOMS if name not in architecture.BASE and not name.startswith("__")]
    assert {*shown, *(architecture.ROOMS[name] for name in shown)} <= words


@pytest.mark.parametrize("page", ["architecture.md", "identity.md"])
def test_files_that_a_page_names_are_there(page):
    named = set(re.findall(r"`(\w+/[\w/]+\.(?:py|h|cpp))`", (architecture.PAGE.parent / page).read_text()))
    missing = {path for path in named if not any((root / path).is_file() for root in ROOTS)}
    assert not missing


ROOTS = (architecture.ROOT, architecture.ROOT / "symact", architecture.ROOT / "symact/backends/cpu/src")


def _entries(name: str) -> set[str]:
    """The files that have an entry for an instruction: a row of a table, or the C++ function of its name."""
    package = architecture.ROOT / "symact"
    listed = (package / "backends/cpu/src/operations.h").read_text()
    function = re.search(rf"X\({name}, (\w+)\)", listed)[1]
    of_python = re.compile(rf'"{name}":|_native\("{name}"|\*\(.*"{name}"')
    of_cpp = re.compile(rf"X\({name}, |(F|D) {function}\(")
    texts = {path: path.read_text() for path in package.rglob("*.*") if path.suffix in (".py", ".h", ".cpp")}
    found = (path for path, text in texts.items() if (of_python if path.suffix == ".py" else of_cpp).search(text))
    return {path.relative_to(package).as_posix() for path in found}


# What an instruction could do without: a longer range on the CPU, a polynomial of its own on GPUs.
BESIDES = {"floor": (), "atan": ("extended_range.py", "polynomials.py")}


@pytest.mark.parametrize("name", BESIDES)
def test_an_instruction_has_entries_in_the_files_that_docs_list_and_at_most_ten(name):
    _, _, rest = architecture.PAGE.read_text().partition("  * *An instruction*")
    listed, _, _ = rest.partition(": 10 files")
    named = set(re.findall(r"`([\w/]+\.(?:py|h|cpp))`", listed))
    named.remove("kernels.cpp")
    assert len(named) == 10
    found = {path for path in _entries(name) if path.rpartition("/")[2] not in BESIDES[name]}
    # What is one vector instruction stands with the kernels.
    assert {path.rpartition("src/")[2].replace("kernels.cpp", "functions.h") for path in found} == named


@pytest.fixture
def package(tmp_path):
    files = {
        "__init__.py": "",
        "low.py": '"""Low."""\n',
        "mid/__init__.py": "",
        "mid/a.py": "from made.mid import b\nimport made.low\n",
        "mid/b.py": "def late():\n    from made.low import x\n",
        "top.py": "from made.mid.a import f\n",
    }
    for name, text in files.items():
        path = tmp_path / "made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "made"


def test_floors_and_lines_are_counted(package):
    found = architecture.measure(package)
    assert found["rooms"]["mid"] == {"files": 3, "lines": 4, "floors": 2}
    assert (found["files"], found["lines"], found["floors"]) == (6, 6, 3)


def test_imports_inside_functions_count_and_a_package_does_not_import_its_own_modules(package):
    graph = architecture.imports(package)
    assert ("made.mid.b", "made.low") in graph.edges
    assert not any(source == "made.mid" for source, _ in graph.edges)
    assert sorted(architecture.rooms(graph).edges) == [("mid", "low"), ("top", "mid")]


def test_a_cycle_has_no_floors(package):
    (package / "low.py").write_text("import made.top\n")
    with pytest.raises(networkx.NetworkXUnfeasible):
        architecture.floors(architecture.rooms(architecture.imports(package)))
