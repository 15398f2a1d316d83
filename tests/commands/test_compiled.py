"""`symact compile GRAMMAR`: the table on disk is whole, whatever happens to the process that writes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

# Runs `symact` with a writer that stops in the middle of the file, says so, and goes on when it is told to.
_STOPS_HALFWAY = """
import sys
import pyarrow.parquet as parquet

whole = parquet.write_table

def write_table(table, path, **options):
    with open(path, "wb") as file:
        file.write(b"half of a table")
        file.flush()
        print("halfway", flush=True)
        sys.stdin.readline()
    whole(table, path, **options)

parquet.write_table = write_table
from symact.cli import main
sys.argv = ["symact", "compile", "ramachandran", "--equivalence", "sampled", "--output", sys.argv[1]]
main()
"""


def _halfway(output: Path) -> subprocess.Popen[str]:
    """A real `symact compile` that has begun to write its table and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", _STOPS_HALFWAY, str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "halfway\n"
    return process


@pytest.mark.parametrize("earlier", [b"the table of an earlier run", None])
def test_sigkill_while_the_table_is_written_leaves_the_earlier_file_whole(
    tmp_path: Path, earlier: bytes | None
) -> None:
    output = tmp_path / "table.parquet"
    if earlier is not None:
        output.write_bytes(earlier)
    process = _halfway(output)
    process.kill()
    process.communicate()
    assert (output.read_bytes() if output.exists() else None) == earlier
    assert list(tmp_path.iterdir()) == [output] * (earlier is not None)


def test_the_table_takes_the_place_of_the_earlier_file_when_it_is_whole(tmp_path: Path) -> None:
    output = tmp_path / "table.parquet"
    output.write_bytes(b"the table of an earlier run")
    process = _halfway(output)
    process.communicate("go on\n", timeout=300)
    assert process.returncode == 0
    assert parquet.read_table(output).num_rows > 1000
    assert list(tmp_path.iterdir()) == [output]
