"""The file of a study: checked before SQLite opens it, made whole or not at all."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from symact.errors import InputError, SymactError
from symact.store import Settings, TaskSettings
from symact.store.file import FILE_NAME, check_header, connect, create_file, guard
from symact.store.schema import VERSION

SETTINGS = Settings.build(
    grammar="text", space="main", task=TaskSettings(kind="name", name="digits-deep"), optimizer="random"
)


@pytest.fixture
def path(tmp_path):
    create_file(tmp_path, SETTINGS)
    return tmp_path / FILE_NAME


def test_a_new_file_has_a_header_of_ours_and_nothing_beside_it(path):
    assert check_header(path) == VERSION
    assert [entry.name for entry in path.parent.iterdir()] == [FILE_NAME]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_remains_of_a_creation_that_was_killed_do_no_harm(tmp_path):
    for suffix in ("", "-journal", "-wal", "-shm"):
        (tmp_path / (FILE_NAME + ".part" + suffix)).write_bytes(b"half of it")
    create_file(tmp_path, SETTINGS)
    assert check_header(tmp_path / FILE_NAME) == VERSION


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (0, b"X", "not a study"),
        (68, b"\0\0\0\1", "but not a study"),
        (60, (VERSION + 1).to_bytes(4, "big"), "newer symact"),
        (60, b"\0\0\0\0", "damaged"),
        (18, b"\1\1", "no write-ahead log"),
        (28, b"\0\0\1\0", "damaged"),
    ],
)
def test_a_header_that_is_not_ours_is_refused(path, offset, value, reason):
    data = bytearray(path.read_bytes())
    data[offset : offset + len(value)] = value
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason):
        check_header(path)
    assert path.read_bytes() == bytes(data)


def test_a_missing_file_names_the_folder(tmp_path):
    with pytest.raises(InputError, match="holds no study"):
        check_header(tmp_path / FILE_NAME)


def test_a_reader_cannot_write_and_no_connection_runs_functions_of_the_file(path):
    reader = connect(path, "ro")
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("DELETE FROM study")
    assert reader.execute("PRAGMA trusted_schema").fetchone() == (0,)
    reader.close()
    writer = connect(path)
    assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
    writer.close()


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (sqlite3.SQLITE_FULL, SymactError, "free some space"),
        (sqlite3.SQLITE_BUSY, InputError, "close that"),
        (sqlite3.SQLITE_CORRUPT, InputError, "restore it"),
        (sqlite3.SQLITE_NOTADB, InputError, "restore it"),
        (sqlite3.SQLITE_RANGE, SymactError, "SQLite refused: words of SQLite"),
    ],
)
def test_an_error_of_sqlite_is_a_line_that_says_what_to_do(tmp_path, code, kind, words):
    error = sqlite3.DatabaseError("words\nof  SQLite")
    error.sqlite_errorcode = code
    with pytest.raises(kind, match=words) as caught, guard(tmp_path):
        raise error
    assert len(str(caught.value).splitlines()) == 1


def test_a_full_disk_is_told_from_a_folder_that_is_closed(tmp_path):
    with pytest.raises(SymactError, match="free some space"), guard(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(InputError), guard(tmp_path):
        raise OSError(errno.EACCES, "Permission denied")
