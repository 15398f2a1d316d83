"""The store: durable, one writer, readers beside it, and clear refusals that change nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from symact.errors import InputError, SymactError
from symact.records import Outcome, Status
from symact.store import Asked, Evaluation, Settings, Store, TaskSettings, holds_study, schema
from symact.store.file import FILE_NAME

GRAMMAR = """
name = "tiny"
[unary]
identity = "x"
tanh = "tanh(x)"
[binary]
add = "a + b"
[spaces]
main = ["binary(unary(x), unary(x))"]
"""


def settings(**changes):
    task = TaskSettings(kind="name", name="digits-deep")
    return Settings.build(**{"grammar": GRAMMAR, "space": "main", "task": task, "optimizer": "random", **changes})


def asked(number, batch=0, known=None, repeats=1, text="add(tanh(x),identity(x))"):
    document = {"expressions": [text], "parameters": []}
    return Asked(number, batch, "random", 1.0, repeats, known, None, str(number), document)


def fill(store, count=5):
    for number in range(count):
        store.record_batch([asked(number)], {number: {"expressions": ["tanh(x)"], "parameters": []}})
        outcome = Outcome.finished(number / 10, constants=({"beta": 1.5},), curve=[0.1, 0.2])
        store.record_evaluation(Evaluation(number, 0, 7, outcome, 0.5))
    store.record_told(0, range(count))
    store.record_confirmation(Evaluation(0, 0, 9, Outcome.finished(0.7), 0.1))


@pytest.fixture
def run(tmp_path):
    with Store.create(tmp_path / "run", settings()) as store:
        fill(store)
    return tmp_path / "run"


def digest(folder: Path) -> dict[str, str]:
    """Name -> hash of what stands in a folder, without the side files that readers share."""
    names = [p for p in folder.iterdir() if p.name in (FILE_NAME, "lock")]
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in names}


def content(store):
    return store.settings, store.asked(), store.evaluations(), store.trials(), store.confirmations(), store.told()


def test_what_was_recorded_is_read_back(run):
    with Store.open(run) as store:
        trials = store.trials()
        assert [t.number for t in trials] == list(range(5))
        assert [t.score for t in trials] == [0.0, 0.1, 0.2, 0.3, 0.4]
        assert str(trials[0].candidate) == "add(tanh(x),identity(x))"
        assert trials[1].outcomes[0].metrics == {"curve": [0.1, 0.2]}
        assert trials[1].outcomes[0].constants == ({"beta": 1.5},)
        assert [c.scores for c in store.confirmations()] == [(0.7,)]
        assert trials[0].scores == (0.0,), "a confirmation changed a stored score"


def test_a_failure_has_its_status_and_reason_and_no_score(tmp_path):
    with Store.create(tmp_path, settings()) as store:
        store.record_batch([asked(0)])
        store.record_evaluation(Evaluation(0, 0, 7, Outcome.failed(Status.timed_out, "not finished within 3 s"), 3.0))
        (trial,) = store.trials()
    assert (trial.status, trial.score, trial.reason) == (Status.timed_out, None, "not finished within 3 s")


def test_a_trial_is_complete_when_all_repeats_are_there_or_one_failed(tmp_path):
    with Store.create(tmp_path, settings()) as store:
        store.record_batch([asked(0, repeats=2), asked(1, repeats=2)])
        store.record_evaluation(Evaluation(0, 0, 7, Outcome.finished(0.5), 1.0))
        assert store.trials() == []
        store.record_evaluation(Evaluation(1, 0, 7, Outcome.failed("crashed", "boom"), 1.0))
        assert [t.number for t in store.trials()] == [1]
        store.record_evaluation(Evaluation(0, 1, 8, Outcome.finished(0.7), 1.0))
        assert [t.score for t in store.trials()] == [0.6, None]


def test_a_cached_trial_has_the_outcome_of_the_first(tmp_path):
    with Store.create(tmp_path, settings()) as store:
        store.record_batch([asked(0), asked(1, known=0)])
        store.record_evaluation(Evaluation(0, 0, 7, Outcome.finished(0.5), 1.0))
        assert [t.number for t in store.trials()] == [0]
        cached = store.trials(cached=True)[1]
    assert (cached.cached, cached.score, cached.seconds) == (True, 0.5, 0.0)


def test_a_reader_sees_each_record_at_once_and_does_not_block_the_writer(tmp_path):
    with Store.create(tmp_path / "run", settings()) as writer, Store.open(tmp_path / "run") as reader:
        reader._connection.execute("BEGIN")
        assert reader.asked() == []
        writer.record_batch([asked(0)])
        writer.record_evaluation(Evaluation(0, 0, 7, Outcome.finished(0.5), 1.0))
        assert reader.asked() == [], "a reader in the middle of its work saw the file change"
        reader._connection.execute("COMMIT")
        assert len(reader.trials()) == 1


def test_a_reader_cannot_write(run):
    with Store.open(run) as store, pytest.raises(InputError):
        store.record_goal(3)


def test_a_folder_that_holds_a_study_is_refused_and_named(run):
    before = digest(run)
    with pytest.raises(InputError, match="symact resume"):
        Store.create(run, settings())
    assert digest(run) == before


def test_a_second_writer_is_refused_while_the_first_lives(run):
    code = f"""
import sys, time
from symact.store import Store
store = Store.open({str(run)!r}, readonly=False)
print("open", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == b"open\n"
        with pytest.raises(InputError, match=f"process {first.pid} is running this study"):
            Store.open(run, readonly=False)
        with Store.open(run) as reader:
            assert len(reader.trials()) == 5
        first.kill()
        first.wait()
    Store.open(run, readonly=False).close()


def test_the_lock_is_not_kept_by_a_forked_child(run):
    store = Store.open(run, readonly=False)
    child = os.fork()
    if child == 0:
        import time

        time.sleep(60)
        os._exit(0)
    try:
        store.close()
        with Store.open(run, readonly=False) as again:
            again.record_goal(9)
            assert again.goal() == 9
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_creation_that_was_killed_leaves_no_study_and_can_be_repeated(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / (FILE_NAME + ".part")).write_bytes(b"SQLite format 3\0 half of it")
    assert not holds_study(run)
    with pytest.raises(InputError, match="holds no study"):
        Store.open(run)
    with Store.create(run, settings()) as store:
        assert store.trials() == []


@pytest.mark.parametrize("size", [0, 1, 50, 99, 100, 4095, 4096, 5000, 12288, -4096, -1])
def test_a_truncated_file_is_refused_and_left_as_it_is(run, size):
    path = run / FILE_NAME
    data = path.read_bytes()
    path.write_bytes(data[:size])
    before = digest(run)
    for readonly in (True, False):
        with pytest.raises(InputError, match=FILE_NAME), Store.open(run, readonly=readonly) as store:
            content(store)
    assert digest(run) == {**before, "lock": digest(run)["lock"]}


def test_a_foreign_database_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("CREATE TABLE asked (number INTEGER)")
    connection.commit()
    connection.close()
    before = digest(tmp_path)
    for readonly in (True, False):
        with pytest.raises(InputError, match="not a study of symact"):
            Store.open(tmp_path, readonly=readonly)
    assert digest(tmp_path) == before


def test_a_file_of_a_newer_version_is_refused(run):
    connection = sqlite3.connect(run / FILE_NAME)
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    before = digest(run)
    with pytest.raises(InputError, match="newer symact"):
        Store.open(run, readonly=False)
    assert digest(run) == before


def test_an_older_file_is_migrated_by_its_writer_and_only_read_by_a_reader(run, monkeypatch):
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setitem(schema.MIGRATIONS, schema.VERSION - 1, ("CREATE TABLE extra (id INTEGER PRIMARY KEY)",))
    monkeypatch.setitem(schema.TABLES, "extra", "id INTEGER PRIMARY KEY")
    before = digest(run)
    with Store.open(run) as store:
        assert len(store.trials()) == 5
    assert digest(run) == before
    with Store.open(run, readonly=False) as store:
        assert len(store.trials()) == 5
    header = (run / FILE_NAME).read_bytes()[60:64]
    assert int.from_bytes(header, "big") == schema.VERSION


def test_a_migration_that_fails_changes_nothing(run, monkeypatch):
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setitem(schema.MIGRATIONS, schema.VERSION - 1, ("CREATE TABLE extra (id)", "nonsense"))
    before = digest(run)
    with pytest.raises(InputError):
        Store.open(run, readonly=False)
    assert digest(run)[FILE_NAME] == before[FILE_NAME]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON asked BEGIN DELETE FROM evaluations; END",
        "CREATE VIEW v AS SELECT 1",
        "ALTER TABLE asked ADD COLUMN more TEXT",
        "DROP TABLE told",
    ],
)
def test_a_strangers_schema_is_refused(run, statement):
    connection = sqlite3.connect(run / FILE_NAME)
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match="not a study of this version"):
        Store.open(run)


def test_a_link_out_of_the_run_folder_is_not_followed(run, tmp_path):
    shutil.move(run / FILE_NAME, tmp_path / "elsewhere.db")
    (run / FILE_NAME).symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(InputError, match="cannot be read"):
        Store.open(run)


def test_a_file_that_another_program_has_locked_is_refused(run, monkeypatch):
    monkeypatch.setattr("symact.store.file.BUSY_SECONDS", 0.1)
    other = sqlite3.connect(run / FILE_NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with Store.open(run, readonly=False) as store, pytest.raises(InputError, match="locked by another program"):
        store.record_goal(5)
    other.execute("ROLLBACK")


def test_every_flipped_byte_is_noticed_or_without_effect(run):
    path = run / FILE_NAME
    with Store.open(run) as store:
        expected = content(store)
    data = path.read_bytes()
    noticed, lines = 0, set()
    for position in [*range(0, 120), *range(120, len(data), 97)]:
        changed = bytearray(data)
        changed[position] ^= 0x55
        path.write_bytes(changed)
        for side in ("-wal", "-shm"):
            path.with_name(FILE_NAME + side).unlink(missing_ok=True)
        try:
            with Store.open(run) as store:
                assert content(store) == expected, f"a flipped byte at {position} changed what was read"
        except InputError as error:
            noticed += 1
            lines.update(str(error).splitlines()[1:])
        assert path.read_bytes() == changed, f"reading wrote into a file damaged at {position}"
    assert noticed > 50
    assert not lines, "a refusal had more than one line"


def test_a_row_that_was_changed_by_hand_is_noticed(run):
    connection = sqlite3.connect(run / FILE_NAME)
    connection.execute("UPDATE evaluations SET score = 0.99 WHERE number = 2")
    connection.commit()
    connection.close()
    with Store.open(run) as store, pytest.raises(InputError, match="damaged"):
        store.trials()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("status", "wonderful"),
        ("score", "much"),
        ("metrics", "[" * 100_000),
        ("metrics", '{"a": NaN}'),
        ("constants", '[{"beta": "__import__"}]'),
        ("number", 77),
    ],
)
def test_a_strangers_row_with_a_valid_checksum_is_checked_all_the_same(run, column, value):
    from symact.store.rows import OUTCOME_COLUMNS

    connection = sqlite3.connect(run / FILE_NAME)
    row = list(connection.execute(f"SELECT {OUTCOME_COLUMNS} FROM evaluations WHERE number = 2").fetchone())
    row[OUTCOME_COLUMNS.split(", ").index(column)] = value
    connection.execute(
        f"UPDATE evaluations SET {column} = ?, checksum = ? WHERE number = 2", (value, schema.checksum(row))
    )
    connection.commit()
    connection.close()
    with Store.open(run) as store, pytest.raises(InputError, match="damaged"):
        store.trials()


def test_settings_of_a_stranger_are_checked(run):
    connection = sqlite3.connect(run / FILE_NAME)
    text = '{"grammar": "", "space": "main", "surprise": 1}'
    connection.execute("UPDATE study SET settings = ?, checksum = ?", (text, schema.checksum([text])))
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match="damaged"):
        Store.open(run)


@pytest.mark.parametrize("place", ["file", "unwritable"])
def test_a_run_folder_that_cannot_be_made_is_refused(tmp_path, place):
    path = tmp_path / "run"
    if place == "file":
        path.write_text("a file")
    else:
        path = Path("/proc/symact-run")
    with pytest.raises(InputError, match="cannot be made a run folder"):
        Store.create(path, settings())


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("MOUNTING A SMALL DISK WAS REFUSED: the full-disk test did not run")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_loses_nothing_that_was_recorded(small_disk):
    store = Store.create(small_disk / "run", settings())
    reported = []

    def go_on():
        for number in range(100_000):
            store.record_batch([asked(number)])
            store.record_evaluation(Evaluation(number, 0, 7, Outcome.finished(0.5, curve=[0.1] * 200), 1.0))
            reported.append(number)

    with contextlib.closing(store), pytest.raises(SymactError, match="disk is full") as failure:
        go_on()
    done = len(reported)
    assert failure.value.exit_code == 1
    assert done > 20
    with Store.open(small_disk / "run") as reader:
        assert [e.number for e in reader.evaluations()] == list(range(done))


def test_a_study_goes_on_when_the_disk_has_room_again(small_disk):
    store = Store.create(small_disk / "run", settings())
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    ballast.write_bytes(bytes(free - 40_000))

    def go_on():
        for number in range(10_000):
            store.record_batch([asked(number)])

    with pytest.raises(SymactError, match="disk is full"):
        go_on()
    before = len(store.asked())
    ballast.unlink()
    store.record_batch([asked(before)])
    store.close()
    with Store.open(small_disk / "run", readonly=False) as again:
        assert len(again.asked()) == before + 1
