"""The scripts of runs/, examples/ and tools/ import what exists, wherever the package has moved it."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(path for folder in ("runs", "examples", "tools") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_of_the_package_finds_its_name(script: Path) -> None:
    pytest.importorskip("triton") if "kernel_ptx" in script.parts else None
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("symact", "tests"):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_says_first_what_it_is_for(script: Path) -> None:
    assert ast.get_docstring(ast.parse(script.read_text()))
