"""Opening and making the SQLite file of a study, and SQLite's errors as lines that say what to do."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from symact.errors import InputError, SymactError
from symact.store import schema
from symact.store.settings import Settings

FILE_NAME = "study.db"
BUSY_SECONDS = 5.0
MAXIMUM_VALUE_BYTES = 16_000_000


def connect(address: str, readonly: bool = False) -> sqlite3.Connection:
    """A connection with our rules: durable commits, nothing of the file's own executed."""
    connection = sqlite3.connect(
        address, uri=address.startswith("file:"), isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False
    )
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAXIMUM_VALUE_BYTES)
    # A stranger's file must not run its own functions, and is checked cell by cell as it is read.
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    if readonly:
        connection.execute("PRAGMA query_only = ON")
    else:
        connection.execute("PRAGMA synchronous = FULL")
    return connection


def address(path: Path, readonly: bool) -> str:
    """The SQLite address of a study's file, so that nothing is made where nothing is."""
    uri = path.absolute().as_uri()
    if not readonly:
        return f"{uri}?mode=rw"
    # Reading a write-ahead log needs its index file beside it. Where that cannot be made and there is no
    # log, nobody is writing, and the file can be read as it stands.
    side = path.with_name(path.name + "-wal")
    still = not side.exists() and not os.access(path.parent, os.W_OK)
    return f"{uri}?immutable=1" if still else f"{uri}?mode=ro"


def fill(connection: sqlite3.Connection, settings: Settings) -> None:
    """Make tables and settings in an empty database."""
    connection.execute("BEGIN IMMEDIATE")
    schema.create(connection)
    row = (1, settings.model_dump_json())
    connection.execute("INSERT INTO study VALUES (?, ?, ?)", (*row, schema.checksum(row[1:])))
    connection.execute("COMMIT")


def create_file(run: Path, settings: Settings) -> None:
    """Make the file of a new study under another name, then rename it."""
    part = run / (FILE_NAME + ".part")
    for name in (part.name, part.name + "-journal", part.name + "-wal", part.name + "-shm"):
        (run / name).unlink(missing_ok=True)
    connection = connect(str(part))
    try:
        fill(connection, settings)
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
    part.rename(run / FILE_NAME)
    folder = os.open(run, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_header(path: Path) -> int:
    """The schema version of a file, read without SQLite, so that a stranger's file is not even opened.

    Raises:
        InputError: there is no such file, or it is not a study, or of a newer version.
    """
    try:
        # A pipe that nobody writes to would keep us waiting; it is no regular file, and refused below.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            header = file.read(100) if stat.S_ISREG(status.st_mode) else b""
            size = status.st_size
    except FileNotFoundError:
        raise InputError(f"{path.parent} holds no study (no {FILE_NAME})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(header) < 100 or header[:16] != b"SQLite format 3\0":
        raise InputError(f"{path}: not a study of symact, or a damaged one; restore it from a copy")
    if int.from_bytes(header[68:72], "big") != schema.APPLICATION_ID:
        raise InputError(f"{path}: a database, but not a study of symact")
    version = int.from_bytes(header[60:64], "big")
    if version > schema.VERSION:
        raise InputError(
            f"{path}: written by a newer symact (schema {version}, this one knows {schema.VERSION}); update"
        )
    if version < 1:
        raise InputError(f"{path}: the file is damaged (schema {version}); restore it from a copy")
    _check_neighbours(path, header)
    page = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    log = path.with_name(path.name + "-wal")
    # While a log is there, the file itself may be in the middle of taking its pages in.
    if not (log.exists() and log.stat().st_size) and size != (65536 if page == 1 else page) * pages:
        raise InputError(f"{path}: the file is damaged ({size} bytes, {pages} pages of {page}); restore it from a copy")
    return version


def _check_neighbours(path: Path, header: bytes) -> None:
    """Refuse what SQLite would follow, wait for, or obey beside a file that symact did not write.

    A study is in write-ahead mode from its first moment, so there is never a rollback journal; one that a
    stranger has made can name any file of the user's, which SQLite would then delete.
    """
    if header[18:20] != b"\x02\x02":
        raise InputError(f"{path}: not as symact writes it (no write-ahead log); restore it from a copy")
    for suffix in ("-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + suffix)
        try:
            kind = os.lstat(beside).st_mode
        except OSError:
            continue
        if suffix == "-journal" or not stat.S_ISREG(kind):
            raise InputError(f"{beside}: not a file of symact's; look at where this run folder comes from")


def migrated(connection: sqlite3.Connection, readonly: bool) -> sqlite3.Connection:
    """An older file at the current version; a reader migrates a copy in memory and leaves the file."""
    if readonly:
        copy = connect(":memory:")
        connection.backup(copy)
        connection.close()
        connection = copy
    schema.migrate(connection)
    return connection


@contextmanager
def guard(run: Path | None) -> Iterator[None]:
    """Errors of SQLite as lines that say what to do."""
    path = "this study" if run is None else str(run / FILE_NAME)
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        text = " ".join(str(error).split())
        if "full" in text or "disk I/O" in text or getattr(error, "errno", None) == 28:
            raise SymactError(
                f"{path}: the disk is full or failing ({text}); free some space, then `symact resume {run}`"
            ) from None
        if "locked" in text or "busy" in text:
            raise InputError(f"{path}: locked by another program; close that and try again") from None
        if isinstance(error, OSError) or "unable to open" in text or "readonly" in text:
            raise InputError(f"{path}: cannot be opened or written ({text})") from None
        raise InputError(f"{path}: the file is damaged ({text}); restore it from a copy") from None
