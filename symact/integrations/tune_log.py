"""The file of a tuned search: what it was begun with, and one line per training, on disk before the search goes on.

A line that a kill cut short is the last one, and is dropped when the search goes on. Each line carries a checksum.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symact.errors import InputError
from symact.files import write_text
from symact.store.lock import RunLock
from symact.store.outcomes import dump, load
from symact.store.place import check_name, make_folder

FILE_NAME = "tuning.jsonl"
FORMAT = "symact-tuning-1"
LARGEST = 2_000_000_000  # bytes of a file that is read


def holds_tuning(run: Path | str) -> bool:
    """Whether a folder holds a tuned search."""
    return (Path(run) / FILE_NAME).is_file()


class TuneLog:
    """The trainings of a tuned search.

    Attributes:
        header: what it was begun with.
        kept: key of a training -> what came of it.
        run: the folder.

    Args:
        run: the folder.
        header: of a new search; None opens one that is there.
        writing: take the right to write.

    Raises:
        InputError: there is none, there is one already, it is damaged, or another process writes into it.
    """

    def __init__(self, run: Path | str, header: Mapping[str, Any] | None = None, writing: bool = True):
        self.run, self._path, self._lock = Path(run).absolute(), Path(run) / FILE_NAME, None
        if header is not None:
            check_name(Path(run))
            make_folder(Path(run))
        elif not self._path.is_file():
            raise InputError(f"{run}: there is no tuned search here")
        if writing:
            self._lock = RunLock(Path(run))
        try:
            if header is not None:
                if any(p.name != "lock" for p in Path(run).iterdir()):
                    raise InputError(
                        f"{run}: the folder is not empty; `symact resume {run}` goes on with what is there"
                    )
                write_text(self._path, _line({"format": FORMAT, **header}))
            self.header, self.kept = self._read(writing)
        except BaseException:
            self.close()
            raise

    def _read(self, writing: bool) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        if self._path.stat().st_size > LARGEST:
            raise InputError(f"{self._path}: larger than {LARGEST:,} bytes")
        raw = self._path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if writing and len(whole) < len(raw):
            os.truncate(self._path, len(whole))
        rows = []
        for number, line in enumerate(whole.splitlines(), 1):
            checksum, _, text = line.partition(b" ")
            try:
                if int(checksum, 16) != zlib.crc32(text):
                    raise ValueError("its checksum is another")
                rows.append(load(text.decode()))
            except ValueError as error:
                raise InputError(f"{self._path}:{number}: damaged ({error}); restore the file from a copy") from None
        if not rows or not isinstance(rows[0], dict) or rows[0].get("format") != FORMAT:
            raise InputError(f"{self._path}: it is no tuned search of this version of symact")
        return rows[0], {row["key"]: row for row in rows[1:]}

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep what came of a training; on disk when this returns."""
        with self._path.open("ab") as file:
            file.write(_line(row).encode())
            file.flush()
            os.fsync(file.fileno())
        self.kept[row["key"]] = json.loads(dump(dict(row)))

    def close(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _line(row: Mapping[str, Any]) -> str:
    text = dump(dict(row))
    return f"{zlib.crc32(text.encode()):08x} {text}\n"
