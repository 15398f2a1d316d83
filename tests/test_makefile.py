"""The Makefile says commands that a shell understands, with PyTorch's CPU wheels and without."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def said(target: str, wheels: str, folder: Path) -> str:
    command = ["make", "--dry-run", f"VENV={folder / 'environment'}", f"TORCH={wheels}", target]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("wheels", ["default", "cpu"])
@pytest.mark.parametrize("target", ["help", "search", "test", "docs", "lint", "clean"])
def test_every_command_can_be_read_by_a_shell(target, wheels, tmp_path):
    found = subprocess.run(["sh", "-n"], input=said(target, wheels, tmp_path), capture_output=True, text=True)
    assert not found.stderr
    assert found.returncode == 0


def test_the_cpu_wheels_have_the_bounds_of_the_package_and_are_installed_first(tmp_path):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    (torch,) = [r for r in setup["options"]["install_requires"].split() if r.startswith("torch>")]
    commands = said("search", "cpu", tmp_path).splitlines()
    (wheels,) = [n for n, command in enumerate(commands) if f"'{torch}'" in command]
    (package,) = [n for n, command in enumerate(commands) if command.endswith("-e .")]
    assert "https://download.pytorch.org/whl/cpu" in commands[wheels]
    assert wheels < package
    assert "download.pytorch.org" not in said("search", "default", tmp_path)
