"""What the README and the pages in docs/ promise holds: its Python runs, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "runs").rglob("README.md"))]


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


def test_every_recorded_run_has_a_row_in_the_index_with_a_command_that_exists():
    rows = [row.split(" | ") for row in (ROOT / "runs" / "README.md").read_text().splitlines() if row.startswith("| [")]
    named = [re.search(r"\[(\w+)\]\((\w+)/README\.md\)", row[0]).groups() for row in rows]
    assert [name for name, _ in named] == [folder for _, folder in named]
    assert [folder for _, folder in named] == sorted(path.name for path in (ROOT / "runs").iterdir() if path.is_dir())
    for _, question, answer, command, date in rows:
        assert question.endswith("?"), "it asks nothing"
        assert len(answer) < 400, "an answer is short; the page has the rest"
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \|", date)
        words = command.strip("`").split()
        script = words[1] if words[0] == "python" and words[1] != "-m" else words[0]
        script = words[2].replace(".", "/") + ".py" if words[:2] == ["python", "-m"] else script
        assert (ROOT / script).is_file(), command


def test_the_two_commands_are_targets_of_the_makefile():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    promised = set(re.findall(r"^ +make (\w+)", (ROOT / "README.md").read_text(), re.M))
    assert promised == {"search", "test"}
    assert promised <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text()
