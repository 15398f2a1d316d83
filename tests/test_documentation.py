"""The pages in docs/ hold: Python runs, commands print what is shown, options exist, the site builds."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
import typer

import symact
from symact import cli

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
# Pages whose Python is run by the tests of the room that they tell of.
ELSEWHERE = {
    "compare.md": "tests/study/test_documentation.py",
    "integrations.md": "tests/study/test_documentation.py",
    "take_home.md": "tests/export/test_files.py",
    "tasks.md": "tests/tasks/test_documentation.py",
}
RUNNABLE = [page for page in PAGES if "```python" in page.read_text() and page.name not in ELSEWHERE]
SHOWN = [(page, block) for page in PAGES for block in re.findall(r"```console\n(\$ .*?)```", page.read_text(), re.S)]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "documented"}
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S)):
        exec(compile(block, f"{page.name}, block {number + 1}", "exec"), names)


def test_every_public_name_stands_in_the_python_reference():
    page = (DOCS / "reference.md").read_text()
    listed = {
        found.rpartition(".")[2] for found in re.findall(r"^::: (\S+)|`symact\.(\w+)`", page, re.M) for found in found
    }
    assert set(symact.__all__) - {"__version__"} <= listed


def test_every_other_page_with_python_is_run_by_a_test_that_names_it():
    for page, test in ELSEWHERE.items():
        assert page in (ROOT / test).read_text(), f"{test} does not run {page}"


@pytest.mark.parametrize(("page", "block"), SHOWN, ids=[f"{page.name}-{n}" for n, (page, _) in enumerate(SHOWN)])
def test_a_command_prints_what_the_page_shows(page: Path, block: str, symact):
    command, _, expected = block.partition("\n")
    code, out, err = symact(*shlex.split(command)[2:])
    assert code == 0, err
    assert out.rstrip() == expected.rstrip()


def commands() -> list[tuple[str, list[str]]]:
    """Every line of a page that calls symact, with its words."""
    found, fence = [], None
    for page in PAGES:
        for line in page.read_text().splitlines():
            if line.startswith("```"):
                fence = line[3:] if fence is None else None
                continue
            call = re.match(r"(?:    |\$ )?(symact .*)", line)
            if call is None or (line.startswith("symact") and fence not in ("", "sh")):
                continue
            for part in call[1].split("; "):
                words = shlex.split(part, comments=True)
                if len(words) > 1 and words[0] == "symact":
                    found.append((page.name, words[1:]))
    return found


def test_every_command_and_option_in_the_pages_exists():
    app = typer.main.get_command(cli.app)
    assert len(commands()) > 20
    for page, words in commands():
        command = app
        while hasattr(command, "commands") and words:
            assert words[0] in command.commands, f"{page}: symact {' '.join(words)}"
            command, words = command.commands[words[0]], words[1:]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help", "--debug"}
        for word in words:
            if re.match(r"--?[a-z]", word):
                assert word.partition("=")[0] in known, f"{page}: {command.name} has no {word}"


def test_every_page_has_a_place_in_the_navigation():
    named = set(re.findall(r": ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M))
    assert named == {page.name for page in PAGES}


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path, monkeypatch):
    for package in ("material", "mkdocstrings"):
        pytest.importorskip(package, reason="needs mkdocs: pip install -e '.[docs]'")
    import subprocess

    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "tutorial.html").exists()
    assert "https://fonts" not in (tmp_path / "site" / "index.html").read_text()
