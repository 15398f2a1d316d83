"""Opening and making the SQLite file of a study, and SQLite's errors as lines that say what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from symact.errors import InputError, SymactError
from symact.store import outcomes, schema
from symact.store.lock import no_locks, without_locks
from symact.store.settings import Settings

FILE_NAME = "study.db"
BUSY_SECONDS = 5.0
MAXIMUM_ROW_BYTES = 4 * outcomes.MAXIMUM_CHARACTERS  # more than anything that may be stored


def connect(path: Path | None, mode: str = "rw", locks: bool = True) -> sqlite3.Connection:
    """A connection with our rules: durable commits, nothing of the file's own executed.

    Where a file system has no locks, a reader does without them, and so does a writer that was told to.

    Args:
        path: the file; None for a study in memory.
        mode: `ro`, `rw`, or `rwc` to make the file.
        locks: False where it is known that there are none.
    """
    if locks or path is None:
        try:
            return _connected(path, mode, True)
        except sqlite3.OperationalError as error:
            if path is None or error.sqlite_errorcode not in NO_LOCKS or not (mode == "ro" or without_locks()):
                raise
    return _connected(path, mode, False)


def _connected(path: Path | None, mode: str, locks: bool) -> sqlite3.Connection:
    where = ":memory:" if path is None else _address(path, mode, locks)
    connection = sqlite3.connect(
        where, uri=path is not None, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False
    )
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAXIMUM_ROW_BYTES)
        # A stranger's file must not run its own functions, and is checked cell by cell as it is read.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        if not locks:  # then the index of the write-ahead log is in this process' memory
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA query_only = ON" if mode == "ro" else "PRAGMA synchronous = FULL")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()  # locks fail here, if at all
    except BaseException:
        connection.close()
        raise
    return connection


def _address(path: Path, mode: str, locks: bool) -> str:
    """The SQLite address of a file; a plain name could be taken for an address of another kind."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    if mode == "ro":
        # Reading a write-ahead log needs its index file beside it. Where that cannot be made and there is no
        # log, nobody is writing, and the file can be read as it stands.
        log = path.with_name(path.name + "-wal")
        if not log.exists() and not os.access(path.parent, os.W_OK):
            return f"{path.absolute().as_uri()}?immutable=1"
    return uri if locks else f"{uri}&vfs=unix-none"


def fill(connection: sqlite3.Connection, settings: Settings) -> None:
    """Make tables and settings in an empty database."""
    connection.execute("BEGIN IMMEDIATE")
    schema.create(connection)
    row = (1, settings.model_dump_json())
    connection.execute("INSERT INTO study VALUES (?, ?, ?)", (*row, schema.checksum(row[1:])))
    connection.execute("COMMIT")


def create_file(run: Path, settings: Settings, locks: bool = True) -> None:
    """Make the file of a new study under another name, then rename it."""
    part = run / (FILE_NAME + ".part")
    for name in (part.name, part.name + "-journal", part.name + "-wal", part.name + "-shm"):
        (run / name).unlink(missing_ok=True)
    connection = connect(part, "rwc", locks)
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


def _instead(run: Path) -> str:
    """What a run folder holds in the place of a study, if it is known."""
    if (run / "tuning.jsonl").is_file():
        return " but a tuned search (`symact search --tune`); symact top, report, export and compare --from read it"
    return ""


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
        raise InputError(f"{path.parent} holds no study (no {FILE_NAME}){_instead(path.parent)}") from None
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
        copy = connect(None)
        connection.backup(copy)
        connection.close()
        connection = copy
    schema.migrate(connection)
    return connection


# Primary result code of SQLite -> what is said; {text} is SQLite's own message, {run} the folder. Codes that are not
# here are no fault of the file's.
_DISK = (SymactError, "the disk is full or failing ({text}); free some space, then `symact resume {run}`")
_LOCKED = (InputError, "locked by another program; close that and try again")
_CLOSED = (InputError, "cannot be opened or written ({text})")
_DAMAGED = (InputError, "the file is damaged ({text}); restore it from a copy")
_FOREIGN = (InputError, "not a study of this version of symact ({text})")
_SAID: dict[int, tuple[type[SymactError], str]] = {
    sqlite3.SQLITE_ERROR: _FOREIGN,
    sqlite3.SQLITE_FULL: _DISK,
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CANTOPEN: _CLOSED,
    sqlite3.SQLITE_READONLY: _CLOSED,
    sqlite3.SQLITE_PERM: _CLOSED,
    sqlite3.SQLITE_AUTH: _CLOSED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FORMAT: _DAMAGED,
}
# What a file system without locks or shared memory answers.
NO_LOCKS = (
    sqlite3.SQLITE_IOERR_LOCK,
    sqlite3.SQLITE_IOERR_RDLOCK,
    sqlite3.SQLITE_IOERR_UNLOCK,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMLOCK,
    sqlite3.SQLITE_IOERR_SHMMAP,
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


@contextmanager
def guard(run: Path | None) -> Iterator[None]:
    """Errors of SQLite as lines that say what to do; "damaged" is said of damaged files alone."""
    path = "this study" if run is None else str(run / FILE_NAME)
    try:
        yield
    except OSError as error:
        kind, said = _DISK if error.errno in _FULL else _CLOSED
        raise kind(f"{path}: {said.format(text=error.strerror or error, run=run)}") from None
    except (sqlite3.Error, OverflowError) as error:
        text = " ".join(str(error).split())
        code = getattr(error, "sqlite_errorcode", None)
        if code in NO_LOCKS:
            raise no_locks(path, text) from None
        # Text that is no UTF-8 comes without a code: it cannot have been written by symact.
        unreadable = code is None and text.startswith("Could not decode to UTF-8")
        kind, said = _DAMAGED if unreadable else _SAID.get((code or 0) & 0xFF, (SymactError, "SQLite refused: {text}"))
        raise kind(f"{path}: {said.format(text=text, run=run)}") from None
