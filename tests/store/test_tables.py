"""Transactions are whole or not at all, and a row that somebody changed is noticed when it is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from symact.errors import InputError, SymactError
from symact.store.tables import Tables


@pytest.fixture
def tables() -> Iterator[Tables]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE note (number INTEGER PRIMARY KEY, text, size, checksum)")
    yield Tables(connection, None, None)
    connection.close()


def put(tables: Tables, *rows: tuple[object, ...], verb: str = "INSERT") -> None:
    with tables._transaction():
        tables._insert("note", "number, text, size", list(rows), verb)


def rows(tables: Tables, **how: object) -> list[tuple[object, ...]]:
    return list(tables._rows("note", "number, text, size", **how))  # type: ignore[arg-type]


def test_what_was_written_is_read_in_the_order_of_its_numbers(tables: Tables) -> None:
    put(tables, (2, "b", 0.5), (1, "a", None))
    assert rows(tables) == [(1, "a", None), (2, "b", 0.5)]
    assert rows(tables, order="number DESC", where="number > ?", values=(1,)) == [(2, "b", 0.5)]


def test_an_error_leaves_nothing_of_a_transaction(tables: Tables) -> None:
    with pytest.raises(SymactError, match="UNIQUE"), tables._transaction():
        tables._insert("note", "number, text, size", [(1, "a", 1), (1, "again", 2)])
    assert rows(tables) == []
    put(tables, (1, "a", 1))
    assert len(rows(tables)) == 1, "the next transaction begins anew"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE note SET text = 'other' WHERE number = 2",
        "UPDATE note SET size = 2 WHERE number = 2",
        "UPDATE note SET number = 9 WHERE number = 2",
        "UPDATE note SET checksum = NULL WHERE number = 2",
        "UPDATE note SET text = x'00ff' WHERE number = 2",
    ],
)
def test_a_row_that_was_changed_is_one_clear_line(tables: Tables, change: str) -> None:
    put(tables, (1, "a", 1), (2, "b", 1))
    tables._connection.execute(change)
    with pytest.raises(InputError) as caught:
        rows(tables)
    assert str(caught.value) == (
        "this study: the file is damaged (table note: a row was changed); restore it from a copy"
    )


def test_readings_within_a_snapshot_end_with_it(tables: Tables) -> None:
    put(tables, (1, "a", 1))
    with tables._snapshot():
        assert tables._connection.in_transaction
        assert len(rows(tables)) == 1
    assert not tables._connection.in_transaction
    with pytest.raises(ZeroDivisionError), tables._snapshot():
        raise ZeroDivisionError
    assert not tables._connection.in_transaction


def test_a_row_may_replace_another(tables: Tables) -> None:
    put(tables, (1, "a", 1))
    put(tables, (1, "b", 2), verb="INSERT OR REPLACE")
    assert rows(tables) == [(1, "b", 2)]


def test_an_error_of_the_file_is_a_line_of_ours(tables: Tables) -> None:
    with pytest.raises(InputError, match="this study"), tables._transaction():
        tables._insert("no_such_table", "number", [(1,)])
