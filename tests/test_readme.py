"""What the README and the pages in docs/ promise holds: its Python runs, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "runs").glob("*/README.md"))]


@pytest.mark.slow
def test_the_python_example_runs(tmp_path: Path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert blocks
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "BasicBlock" in done.stdout or "relu" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_recorded_run_tells_how_it_was_made():
    for folder in sorted((ROOT / "runs").iterdir()):
        if folder.is_dir() and folder.name != "examples" and any(folder.glob("*.py")):
            text = (folder / "README.md").read_text() if (folder / "README.md").exists() else ""
            assert "python" in text or "symact" in text, f"runs/{folder.name} has no README with its command"


def test_the_two_commands_are_targets_of_the_makefile():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    promised = set(re.findall(r"^ +make (\w+)", (ROOT / "README.md").read_text(), re.M))
    assert promised == {"search", "test"}
    assert promised <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text()
