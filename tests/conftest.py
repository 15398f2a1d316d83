"""What several rooms' tests share: the command line in this process."""

from __future__ import annotations

import sys

import pytest

from symact import cli


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
