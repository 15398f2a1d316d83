"""Run folders: which names can be one, and whether the one that is being written is still where it was.

Somebody may remove, move or replace the folder, its lock or its file while a study runs. The files that are open
live on without their names, and a study that went on writing would tell of a folder that holds something else.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from symact.errors import InputError, SymactError
from symact.store.lock import RunLock

MAXIMUM_PATH = 500  # bytes; SQLite takes 512, its own endings included
MAXIMUM_NAME = 255
LONGEST_ENDING = "study.db.part-journal"


def check_name(run: Path) -> None:
    """Refuse what cannot be a run folder, before anything is made.

    Raises:
        InputError: the name holds bytes that are no text, looks like an address, or is too long.
    """
    name = os.fspath(run)
    try:
        name.encode("utf-8")
        parts = [os.fsencode(part) for part in run.parts]
        paths = [os.fsencode(os.path.join(place, LONGEST_ENDING)) for place in (run.absolute(), os.path.realpath(run))]
    except (UnicodeEncodeError, ValueError):
        raise InputError(f"{name!r}: bytes that are not UTF-8 cannot stand in the name of a run folder") from None
    if "\0" in name:
        raise InputError(f"{name!r}: a name cannot hold a zero byte")
    if name.lower().startswith("file:"):
        raise InputError(f"{name}: this reads like an address, not like a folder; choose another name")
    if any(len(part) > MAXIMUM_NAME for part in parts) or max(map(len, paths)) > MAXIMUM_PATH:
        shown = name if len(name) < 60 else f"{name[:40]}...{name[-15:]}"
        raise InputError(
            f"{shown}: too long for a run folder; its full path may have {MAXIMUM_PATH - len(LONGEST_ENDING)} bytes, "
            f"each name in it {MAXIMUM_NAME}"
        )


def make_folder(run: Path) -> list[Path]:
    """Make a run folder; gives the folders that were not there before, outermost first.

    Raises:
        InputError: it cannot be made.
    """
    made: list[Path] = []
    try:
        missing = []
        for folder in (run, *run.parents):
            if os.path.lexists(folder):
                break
            missing.append(folder)
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            made.append(folder)
        run.mkdir(exist_ok=True)
    except OSError as error:
        remove_folders(made)
        raise InputError(f"{run}: cannot be made a run folder ({error.strerror}); choose another --run") from None
    return made


def remove_folders(made: list[Path]) -> None:
    """Take back what `make_folder` has made, as far as it is empty."""
    for folder in reversed(made):
        with contextlib.suppress(OSError):
            folder.rmdir()


class Anchor:
    """What a writer has opened: folder, lock and file, as they were."""

    def __init__(self, run: Path, file_name: str, lock: RunLock):
        self._run, self._name, self._lock = run, file_name, lock
        self._path = run.absolute()
        self._file = os.stat(self._path / file_name)
        self._log: os.stat_result | None = None

    @property
    def lets_nobody_in(self) -> bool:
        """Whether no second writer can have come in by a removed lock."""
        return self._lock.holds_folder

    def displaced(self) -> str:
        """What is no longer where it was: `""`, `lock`, `log`, `moved` or `gone` (folder or file)."""
        if _is(self._file, self._path / self._name):
            if not self._lock.is_in_place:
                return "lock"
            return "" if self._log is None or _is(self._log, self._log_path) else "log"
        now = self._lock.folder
        return "moved" if now is not None and _is(self._file, now / self._name) else "gone"

    def note_log(self) -> None:
        """Remember the write-ahead log, which is made by the first commit."""
        if self._log is None:
            with contextlib.suppress(OSError):
                self._log = os.stat(self._log_path)

    @property
    def _log_path(self) -> Path:
        return self._path / f"{self._name}-wal"

    def stopped(self, what: str, connection: sqlite3.Connection) -> SymactError:
        """The line to stop with; what has no name any more is saved beside the old place."""
        run = self._run
        if what in ("lock", "log"):
            name = "lock" if what == "lock" else f"{self._name}-wal"
            return SymactError(
                f"{run}: {name} was removed or replaced while this study was running, so it was stopped; see that no "
                f"other process uses the folder, then `symact resume {run}`"
            )
        if what == "moved":
            now = self._lock.folder
            return SymactError(
                f"{run}: the folder was moved while this study was running, so it was stopped; everything that was "
                f"computed is in {now}: `symact resume {now}`"
            )
        saved = self._saved(connection)
        kept = f"what was computed is in {saved}: `symact resume {saved}`" if saved else "and nothing could be saved"
        return SymactError(
            f"{run}: the folder or its {self._name} was removed or replaced while this study was running, so it was "
            f"stopped; {kept}"
        )

    def _saved(self, connection: sqlite3.Connection) -> Path | None:
        """A copy of the open file in a new folder beside the old one; None where that cannot be."""
        for number in range(1, 100):
            folder = self._path.with_name(f"{self._path.name}-saved{number if number > 1 else ''}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            except OSError:
                return None
            try:
                copy = sqlite3.connect(str(folder / self._name), isolation_level=None)
                try:
                    connection.backup(copy)
                    copy.execute("PRAGMA journal_mode = WAL").fetchall()
                finally:
                    copy.close()
            except (sqlite3.Error, OSError):
                for name in os.listdir(folder):
                    os.unlink(folder / name)
                folder.rmdir()
                return None
            return folder
        return None


def _is(status: os.stat_result, path: Path) -> bool:
    try:
        return os.path.samestat(status, os.stat(path, follow_symlinks=False))
    except OSError:
        return False
