"""`symact compile GRAMMAR`: the table on disk is whole, whatever happens to the process that writes it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from symact.expr.grammar import load_grammar

_SHAPES = '["unary(binary(unary(x), unary(x)))"]'
_ROWS = 137_781
_TRIES = 8


def _compile(grammar: Path, output: Path) -> subprocess.Popen[bytes]:
    arguments = ["compile", str(grammar), "--equivalence", "sampled", "--output", str(output)]
    return subprocess.Popen([sys.executable, "-m", "symact.cli", *arguments], stderr=subprocess.DEVNULL)


def _killed_in_the_middle_of_writing(process: subprocess.Popen[bytes], output: Path) -> bool:
    """Kill the process as soon as a file of its in the output folder has grown; False when it was quicker."""
    before = output.stat()
    opened = Path(f"/proc/{process.pid}/fd")
    while process.poll() is None:
        with contextlib.suppress(OSError):
            for entry in opened.iterdir():
                if os.readlink(entry).startswith(str(output.parent)) and os.path.isfile(entry) and entry.stat().st_size:
                    process.kill()
                    process.wait()
                    return output.stat().st_ino == before.st_ino
        time.sleep(0.0005)
    return False


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="watches the process through /proc")
def test_sigkill_while_the_table_is_written_leaves_the_earlier_file_whole(tmp_path):
    text = load_grammar("aquasurf").text
    head, tail = text.split("[spaces]")
    grammar = tmp_path / "wide.toml"
    grammar.write_text(f"{head}[spaces]\nall = {_SHAPES}\n[identity]{tail.split('[identity]')[1]}")
    output = tmp_path / "out" / "wide.parquet"
    output.parent.mkdir()
    output.write_bytes(b"the table of an earlier run")
    for _ in range(_TRIES):
        if _killed_in_the_middle_of_writing(_compile(grammar, output), output):
            break
        output.write_bytes(b"the table of an earlier run")
    else:
        raise AssertionError(f"the process was never caught writing in {_TRIES} tries")
    assert output.read_bytes() == b"the table of an earlier run"
    assert [entry.name for entry in output.parent.iterdir()] == ["wide.parquet"]
    assert _compile(grammar, output).wait() == 0
    assert parquet.read_table(output).num_rows == _ROWS
