"""The schema of a study: ours exactly, migrated in one step or not at all, checksums that notice a bit."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.store import schema

ADDED = {1: {"notes"}}  # version -> tables that the step from it adds
VALUES = st.lists(
    st.one_of(st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()), min_size=1
)


@pytest.fixture
def database():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("BEGIN")
    schema.create(connection)
    connection.execute("COMMIT")
    yield connection
    connection.close()


def test_a_new_database_is_ours_and_says_its_version(database):
    assert schema.difference(database) == ""
    assert database.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert database.execute("PRAGMA application_id").fetchone() == (int.from_bytes(b"SYMA", "big"),)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("DROP TABLE told", "no table 'told'"),
        ("CREATE TABLE extra (x)", "unexpected table 'extra'"),
        ("ALTER TABLE told ADD COLUMN x", "unexpected table 'told'"),
        ("CREATE VIEW mine AS SELECT 1", "unexpected view 'mine'"),
        ("CREATE TRIGGER t AFTER INSERT ON told BEGIN SELECT 1; END", "unexpected trigger 't'"),
        ("CREATE INDEX i ON told (turn)", "unexpected index 'i'"),
    ],
)
def test_what_is_not_as_we_make_it_is_named(database, statement, named):
    database.execute(statement)
    assert schema.difference(database) == named


def test_a_migration_is_all_or_nothing(database, monkeypatch):
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 2)
    steps = {schema.VERSION - 2: ("CREATE TABLE one (x)",), schema.VERSION - 1: ("CREATE TABLE two (x)", "nonsense")}
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    with pytest.raises(sqlite3.Error):
        schema.migrate(database)
    assert schema.difference(database) == ""
    steps[schema.VERSION - 1] = ("CREATE TABLE two (x)",)
    schema.migrate(database)
    assert database.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert {row[0] for row in database.execute("SELECT name FROM sqlite_master")} >= {"one", "two"}


@settings(max_examples=60, deadline=None)
@given(VALUES, st.data())
def test_a_checksum_notices_a_value_that_changed(values, data):
    other = list(values)
    other[data.draw(st.integers(0, len(values) - 1))] = "something else entirely"
    assert schema.checksum(values) == schema.checksum(list(values))
    assert schema.checksum(values) != schema.checksum(other)


def test_a_checksum_tells_numbers_from_their_texts():
    assert len({schema.checksum([value]) for value in (1, 1.0, "1", None, "null")}) == 5


def test_a_file_of_every_earlier_version_becomes_what_a_new_one_is():
    for version in range(1, schema.VERSION):
        connection = sqlite3.connect(":memory:", isolation_level=None)
        later = {table for step in range(version, schema.VERSION) for table in ADDED[step]}
        for table, columns in schema.TABLES.items():
            if table not in later:
                connection.execute(f"CREATE TABLE {table} ({columns})")
        connection.execute(f"PRAGMA user_version = {version}")
        schema.migrate(connection)
        assert schema.difference(connection) == ""
        connection.close()
