"""What the tests of the subcommands share: the command line in this process, and a tiny search."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from symact import cli

TASK = f"{Path(__file__).parents[1] / 'execute' / 'stub_tasks.py'}:Quick"
sys.path.append(str(Path(__file__).parents[1] / "execute"))


@pytest.fixture
def symact(monkeypatch, capsys, tmp_path):
    """Run the command line in this process, in an empty folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["symact", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def tiny(tmp_path):
    """A grammar of three functions, none of them a baseline."""
    path = tmp_path / "tiny.toml"
    path.write_text(
        'name = "tiny"\n[unary]\nsine = "sin(x)"\ncube = "x**3"\narc = "atan(x)"\n[spaces]\nall = ["unary(x)"]\n'
    )
    return str(path)


@pytest.fixture
def task():
    """A task that scores at once."""
    return TASK
