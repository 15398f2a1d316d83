"""`identify` imports little: what it does not need would cost most of its time."""

from __future__ import annotations

import subprocess
import sys

LITTLE = """
import sys
from symact.commands.atlas import show_matches
show_matches("x*(1 + tanh(x))/2", None, False)
heavy = {"torch", "scipy", "networkx", "matplotlib", "pandas", "pyarrow", "sklearn", "pydantic"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_identify_imports_neither_torch_nor_scipy_nor_what_draws():
    done = subprocess.run([sys.executable, "-c", LITTLE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SiLU" in done.stdout
