"""The tables of a study's SQLite file, their version, and the migrations between versions.

`user_version` in the file's header is the schema version, `application_id` marks the file as a
study of symact. Every row carries a CRC-32 of its values, because SQLite itself does not notice a
flipped bit in a stored number or text.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Sequence
from typing import Any

APPLICATION_ID = 0x53594D41  # "SYMA"
VERSION = 2

OUTCOME_COLUMNS = """
    id INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    repeat INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    status TEXT NOT NULL,
    score REAL,
    reason TEXT NOT NULL,
    metrics TEXT NOT NULL,
    constants TEXT NOT NULL,
    seconds REAL NOT NULL,
    checksum INTEGER NOT NULL,
    UNIQUE (number, repeat)
"""

# Table -> its columns. `functions` numbers the distinct functions met so far; `goals` are the totals
# that `run` and `resume` were given; `asked` is written before anything of the batch is evaluated;
# `told` is the turn in which the optimizer learned of a trial; `features` caches what the task
# measured of a function; `notes` is what an optimizer said of a candidate when it asked for it, for people alone.
TABLES: dict[str, str] = {
    "study": "id INTEGER PRIMARY KEY CHECK (id = 1), settings TEXT NOT NULL, checksum INTEGER NOT NULL",
    "goals": "id INTEGER PRIMARY KEY, evaluations INTEGER NOT NULL, checksum INTEGER NOT NULL",
    "functions": "number INTEGER PRIMARY KEY, candidate TEXT NOT NULL, checksum INTEGER NOT NULL",
    "asked": """
    number INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    origin TEXT NOT NULL,
    budget REAL NOT NULL,
    repeats INTEGER NOT NULL,
    known INTEGER,
    promoted INTEGER,
    function TEXT NOT NULL,
    candidate TEXT NOT NULL,
    checksum INTEGER NOT NULL
""",
    "told": "number INTEGER PRIMARY KEY, turn INTEGER NOT NULL, checksum INTEGER NOT NULL",
    "evaluations": OUTCOME_COLUMNS,
    "confirmations": OUTCOME_COLUMNS,
    "features": "function TEXT PRIMARY KEY, arrays TEXT NOT NULL, checksum INTEGER NOT NULL",
    "notes": "number INTEGER PRIMARY KEY, note TEXT NOT NULL, checksum INTEGER NOT NULL",
}

# Schema version -> the statements that lead to the next one.
MIGRATIONS: dict[int, tuple[str, ...]] = {1: (f"CREATE TABLE notes ({TABLES['notes']})",)}


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of the current version in an empty database; the caller holds a transaction."""
    for table, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {table} ({columns})")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an older file to the current version, all steps in one transaction."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        while version < VERSION:
            for statement in MIGRATIONS[version]:
                connection.execute(statement)
            version += 1
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def difference(connection: sqlite3.Connection) -> str:
    """What is not as `create` makes it, in a few words; `""` if the schema is exactly ours.

    A stranger's file may carry views and triggers that run on our statements; those are found here.
    """
    expected = {name: f"CREATE TABLE {name} ({columns})" for name, columns in TABLES.items()}
    for kind, name, statement in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        if kind == "index" and str(name).startswith("sqlite_autoindex_") and statement is None:
            continue
        if kind != "table" or expected.pop(name, None) != statement:
            return f"unexpected {kind} {name!r}"
    return f"no table {next(iter(expected))!r}" if expected else ""


def checksum(values: Sequence[Any]) -> int:
    """CRC-32 of a row's values (None, numbers and text)."""
    return zlib.crc32(json.dumps(list(values), allow_nan=False).encode())
