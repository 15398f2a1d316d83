"""What every reading and writing of a study's file goes through: transactions, checksums, and errors as lines."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from symact.errors import InputError
from symact.store import schema
from symact.store.file import FILE_NAME, guard
from symact.store.lock import RunLock
from symact.store.place import Anchor


class Tables:
    """The tables of one study.

    Args:
        connection: to its file.
        run: the run folder, or None for a study in memory.
        lock: held by a writer; None for a reader.
    """

    def __init__(self, connection: sqlite3.Connection, run: Path | None, lock: RunLock | None):
        self.run, self._connection, self._lock = run, connection, lock
        self._anchor = None if run is None or lock is None else Anchor(run, FILE_NAME, lock)

    @property
    def _path(self) -> str:
        return "this study" if self.run is None else str(self.run / FILE_NAME)

    def _damaged(self, table: str, reason: object) -> InputError:
        return InputError(f"{self._path}: the file is damaged (table {table}: {reason}); restore it from a copy")

    def _guarded(self) -> Any:
        return guard(self.run)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._guarded():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._check_place("lock")
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself; then there is nothing left to undo.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self.check_place()

    def check_place(self) -> None:
        """Stop where folder, lock or file are no longer those that were opened; every commit asks.

        Raises:
            SymactError: saying what became of them, and where what was computed is.
        """
        self._check_place("")
        if self._anchor is not None:
            self._anchor.note_log()

    def _check_place(self, only: str) -> None:
        """Before a commit nothing but a lost lock stops us, if somebody may have come in: the rest is ours to save."""
        anchor = self._anchor
        if anchor is None or self._lock is None or not self._lock.held:
            return
        what = anchor.displaced()
        if not what or (only and (what != only or anchor.lets_nobody_in)):
            return
        with contextlib.suppress(sqlite3.Error):
            if what == "log" and not self._connection.in_transaction:
                self._connection.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
        raise anchor.stopped(what, self._connection)

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Several readings of one state of the file."""
        with self._guarded():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("COMMIT")

    def _insert(self, table: str, columns: str, rows: Sequence[tuple[Any, ...]], verb: str = "INSERT") -> None:
        marks = ", ".join("?" for _ in columns.split(","))
        self._connection.executemany(
            f"{verb} INTO {table} ({columns}, checksum) VALUES ({marks}, ?)",
            [(*row, schema.checksum(row)) for row in rows],
        )

    def _rows(
        self, table: str, columns: str, order: str = "number", where: str = "TRUE", values: tuple[Any, ...] = ()
    ) -> Iterator[tuple[Any, ...]]:
        statement = f"SELECT {columns}, checksum FROM {table} WHERE {where} ORDER BY {order}"
        names = [name.strip() for name in columns.split(",")]
        score = names.index("score") if "score" in names else None
        with self._guarded():
            for *row, checksum in self._connection.execute(statement, values):
                if not _is_intact(row, checksum, score):
                    raise self._damaged(table, "a row was changed")
                yield tuple(row)


def _is_intact(row: Sequence[Any], checksum: Any, score: int | None) -> bool:
    """Whether a row comes back as it was written; `score` is the place of its score, if it has one.

    Earlier versions summed a score of -0.0 with its sign, which SQLite drops.
    """
    written = [list(row)]
    if score is not None and row[score] == 0:
        written.append([*row[:score], -0.0, *row[score + 1 :]])
    try:
        return any(schema.checksum(values) == checksum for values in written)
    except (TypeError, ValueError):
        return False
