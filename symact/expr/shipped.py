"""The grammar files that come with symact: where they are, and which of them declare a parameter."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path


def shipped() -> dict[str, Path]:
    """The grammars that come with symact: name -> file."""
    package = Path(__file__).resolve().parents[1]
    # In a wheel the folder lies inside the package, in a checkout (or an editable install) beside it.
    folder = next((f for f in (package / "grammars", package.parent / "grammars") if f.is_dir()), None)
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*.toml"))}


@cache
def declaring(parameter: str) -> tuple[str, ...]:
    """The names of the shipped grammars that declare a parameter of this name."""
    texts = {name: path.read_text(encoding="utf-8") for name, path in shipped().items()}
    return tuple(name for name, text in texts.items() if parameter in tomllib.loads(text).get("parameters", {}))
