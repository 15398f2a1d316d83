"""The shipped grammars and the atlas are found in a wheel, in an editable install and in the checkout."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from symact.expr.published import gates, published
from symact.program.loading import load_grammar, shipped

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "grammars").glob("*.toml"))
# The dependencies come last on the path, after what is tested.
SHOW = (
    f"import sys; sys.path.append({sysconfig.get_path('purelib')!r}); "
    "import symact; from symact.program.loading import load_grammar, shipped; "
    "print(symact.__file__); print(*shipped()); print(load_grammar('aquasurf').space('bench').count())"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build reads, so that building leaves nothing in the working tree."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    for name in ("symact", "grammars"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def _pip(*arguments: str, python: Path | None = None) -> None:
    where = ["--python", str(python)] if python else []
    command = [
        sys.executable,
        "-m",
        "pip",
        *where,
        *arguments,
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run(command, check=True, env=environment, timeout=300)


def _show(python: Path | str, path: str, folder: Path) -> list[str]:
    result = subprocess.run(
        [str(python), "-c", SHOW],
        env={**os.environ, "PYTHONPATH": path},
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return result.stdout.splitlines()


def _symact(unpacked: Path, *arguments: str) -> str:
    """What the command line of a wheel says, away from the checkout."""
    command = f"import sys; sys.path.append({sysconfig.get_path('purelib')!r}); from symact.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments],
        env={**os.environ, "PYTHONPATH": str(unpacked), "COLUMNS": "132"},
        cwd=unpacked.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout


def test_a_wheel_carries_the_grammars_and_the_atlas_inside_the_package(checkout: Path, tmp_path: Path) -> None:
    _pip("wheel", str(checkout), "--wheel-dir", str(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    known = len(published()) + len(gates())
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(wheel).extractall(unpacked)
    assert sorted(p.name for p in unpacked.iterdir() if p.suffix != ".dist-info") == ["symact"]
    file, names, count = _show(sys.executable, str(unpacked), tmp_path)
    assert Path(file).is_relative_to(unpacked)
    assert names.split() == NAMES
    assert count == "5103"
    assert f"{known} of {known} published functions" in _symact(unpacked, "atlas")
    assert "SiLU (Elfwing 2017)" in _symact(unpacked, "identify", "x*sigmoid(x)")
    assert "SwiGLU" in _symact(unpacked, "identify", "x*sigmoid(x)*g")


def test_the_package_names_every_file_of_data_that_it_reads() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for package, patterns in setup["options.package_data"].items():
        folder = ROOT.joinpath("grammars" if package == "symact.grammars" else package.replace(".", "/"))
        named = {path for pattern in patterns.replace("\n", ",").split(",") for path in folder.glob(pattern.strip())}
        for inside in {path.parent for path in named} - {folder}:
            assert {path for path in inside.iterdir() if path.is_file()} <= named, inside


def test_an_editable_install_finds_the_grammars_beside_the_package(checkout: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    _pip("install", "--editable", str(checkout), python=python)
    file, names, count = _show(python, "", tmp_path)
    assert Path(file).is_relative_to(checkout)
    assert names.split() == NAMES
    assert count == "5103"


def test_the_checkout_finds_its_own_grammars() -> None:
    assert sorted(shipped()) == NAMES
    assert load_grammar("aquasurf").path == ROOT / "grammars" / "aquasurf.toml"


def test_setup_names_every_package_folder() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = set(setup["options"]["packages"].split()) - {"symact.grammars"}
    folders = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "symact").rglob("__init__.py")}
    assert named == folders
