"""`Store`: one study in one SQLite file, `study.db` in its run folder.

One process writes (see `lock.py`), any number read meanwhile without blocking it (write-ahead log).
Each call that records something has reached the disk when it returns. A file that is half-written,
locked, foreign, newer or damaged gives one `InputError` and is left as it is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from symact.errors import InputError, SymactError
from symact.expr.operators import Vocabulary
from symact.expr.tree import from_document as candidate_from_document
from symact.records import Outcome, Status, Trial
from symact.store import outcomes, schema
from symact.store.file import FILE_NAME, check_header, connect, create_file, fill, guard, migrated
from symact.store.lock import FILE_NAME as LOCK_NAME
from symact.store.lock import RunLock
from symact.store.place import Anchor, check_name, make_folder, remove_folders
from symact.store.rows import (
    ASKED_COLUMNS,
    OUTCOME_COLUMNS,
    Asked,
    Evaluation,
    as_kept,
    as_trial,
    asked_row,
    evaluation_row,
    is_complete,
    problem,
)
from symact.store.settings import Settings, first_problem
from symact.store.tables import Tables


def holds_study(run: Path | str) -> bool:
    """Whether a folder holds a study."""
    return os.path.lexists(Path(run) / FILE_NAME)


def check_new(run: Path | str | None) -> None:
    """Refuse a folder that cannot hold a new study; makes nothing.

    Raises:
        InputError: its name cannot be one, or it holds a study.
    """
    if run is None:
        return
    check_name(Path(run))
    try:
        if holds_study(run):
            raise InputError(f"{run} holds a study already; go on with `symact resume {run}` or choose another --run")
    except (OSError, ValueError) as error:
        raise InputError(f"{run}: cannot be made a run folder ({error}); choose another --run") from None


class Store(Tables):
    """The trials of one study on disk; use `Store.create` or `Store.open`.

    Attributes:
        run: the run folder, or None for a study in memory.
        settings: what the study was set up with.
    """

    def __init__(self, connection: sqlite3.Connection, run: Path | None, lock: RunLock | None):
        super().__init__(connection, run, lock)
        self._candidates: dict[int, Any] = {}
        self._version = 0
        with self._guarded():
            self.settings = self._read_settings()

    @classmethod
    def create(cls, run: Path | str | None, settings: Settings) -> Store:
        """A new study; `run` None keeps it in memory.

        The file is made under another name and renamed when it is complete, so a folder holds either
        no study or a whole one.

        Raises:
            InputError: the folder holds a study, cannot be written, or is in use.
        """
        if run is None:
            connection = connect(None)
            fill(connection, settings)
            return cls(connection, None, None)
        run = Path(run)
        check_new(run)
        made, lock = make_folder(run), None
        try:
            lock = RunLock(run)
            check_new(run)
            with guard(run):
                create_file(run, settings, lock.by_kernel)
                return cls(connect(run / FILE_NAME, "rw", lock.by_kernel), run, lock)
        except BaseException:
            if lock is not None:
                lock.release()
            if made and not holds_study(run):
                for leftover in [run / LOCK_NAME, *run.glob(f"{FILE_NAME}.part*")]:
                    leftover.unlink(missing_ok=True)
                remove_folders(made)
            raise

    @classmethod
    def open(cls, run: Path | str, readonly: bool = True) -> Store:
        """The study in a run folder.

        Args:
            run: the folder.
            readonly: read beside a running study; else become its writer.

        Raises:
            InputError: there is none, or the file is damaged, foreign, newer or in use.
        """
        run = Path(run)
        check_name(run)
        path = run / FILE_NAME
        version = check_header(path)
        lock = None if readonly else RunLock(run)
        try:
            with guard(run):
                connection = connect(path, "ro" if readonly else "rw", lock is None or lock.by_kernel)
                if version < schema.VERSION:
                    connection = migrated(connection, readonly)
                wrong = schema.difference(connection)
                if wrong:
                    raise InputError(f"{path}: not a study of this version of symact ({wrong})")
                wrong = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
                if wrong != "ok":
                    wrong = " ".join(str(wrong).split())
                    raise InputError(f"{path}: the file is damaged ({wrong}); restore it from a copy")
                return cls(connection, run, lock)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    def close(self) -> None:
        """Give file and lock back; harmless when done before."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def release(self) -> None:
        """Let another process write; this one still reads. Everything is in the one file then."""
        if self._lock is not None and self._lock.held:
            with self._guarded():
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                self._version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            self._lock.release()

    def acquire(self) -> None:
        """Become the writer again.

        Raises:
            InputError: another process is, or has been since.
        """
        if self._lock is None or self._lock.held or self.run is None:
            return
        lock = RunLock(self.run)
        with self._guarded():
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            lock.release()
            raise InputError(f"{self.run}: the study was continued elsewhere; open it again with `Study.resume`")
        self._lock = lock
        self._anchor = Anchor(self.run, FILE_NAME, lock)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def grammar(self) -> Vocabulary:
        """The stored grammar."""
        from symact.program.loading import parse_grammar

        return parse_grammar(self.settings.grammar, self._path)

    # Writing. Every method is one transaction that has reached the disk when it returns.

    def record_goal(self, evaluations: int) -> None:
        """Record the total of evaluations that a run was asked for."""
        with self._transaction():
            self._insert("goals", "evaluations", [(evaluations,)])

    def record_batch(
        self,
        asked: Sequence[Asked],
        functions: Mapping[int, Mapping[str, Any]] | None = None,
        copies: Sequence[Evaluation] = (),
        notes: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> None:
        """Record what was asked, before any of it is evaluated.

        Args:
            asked: the candidates, numbered on from the last one.
            functions: number -> candidate document of functions met for the first time.
            copies: outcomes that these candidates have already, from a lower rung.
            notes: number -> what the optimizer says of that candidate.
        """
        new = sorted((functions or {}).items())
        with self._transaction():
            self._insert("functions", "number, candidate", [(n, outcomes.dump(c)) for n, c in new])
            self._insert("asked", ASKED_COLUMNS, [asked_row(a) for a in asked])
            self._insert("notes", "number, note", [(n, outcomes.dump(dict(note))) for n, note in (notes or {}).items()])
            for copy in copies:
                self._insert("evaluations", OUTCOME_COLUMNS, [evaluation_row(copy)])

    def record_evaluation(self, evaluation: Evaluation, table: str = "evaluations") -> Evaluation:
        """Record a finished evaluation, and give it as it is kept (see `outcomes.storable`)."""
        kept = as_kept(evaluation)
        with self._transaction():
            self._insert(table, OUTCOME_COLUMNS, [evaluation_row(kept)])
        return kept

    def record_confirmation(self, evaluation: Evaluation) -> Evaluation:
        """Record a training on a fresh seed, likewise; it never changes the trial itself."""
        return self.record_evaluation(evaluation, "confirmations")

    def record_told(self, turn: int, numbers: Sequence[int]) -> None:
        """Record that the optimizer was told these trials, in this order, in one call."""
        with self._transaction():
            self._insert("told", "number, turn", [(number, turn) for number in numbers])

    def record_features(self, arrays: Mapping[str, str]) -> None:
        """Keep features: function -> the text of its arrays."""
        with self._transaction():
            self._insert("features", "function, arrays", list(arrays.items()), "INSERT OR REPLACE")

    # Reading.

    def goal(self) -> int:
        """The last recorded total of evaluations, or 0."""
        rows = list(self._rows("goals", "evaluations", order="id"))
        return rows[-1][0] if rows else 0

    def functions(self) -> list[tuple[int, Any]]:
        """Function number -> a candidate, in order of meeting."""
        return [(n, self._parse(outcomes.load(text))) for n, text in self._rows("functions", "number, candidate")]

    def asked(self) -> list[Asked]:
        """Everything that was asked, in ask order."""
        found = []
        for row in self._rows("asked", ASKED_COLUMNS):
            values = list(row)
            try:
                values[-1] = outcomes.load(values[-1])
            except ValueError as error:
                raise self._damaged("asked", error) from None
            found.append(Asked(*values))
        wrong = problem(found)
        if wrong:
            raise self._damaged("asked", wrong)
        return found

    def told(self) -> list[tuple[int, int]]:
        """Pairs (turn, number): what the optimizer was told in which turn, in order."""
        return sorted((turn, number) for number, turn in self._rows("told", "number, turn"))

    def evaluations(self, table: str = "evaluations") -> list[Evaluation]:
        """Every finished evaluation (or confirmation), in the order of finishing."""
        return [self._evaluation(row, table) for row in self._rows(table, OUTCOME_COLUMNS, order="id")]

    def evaluations_of(self, number: int) -> list[Evaluation]:
        """The finished evaluations of one trial, in order of repeat."""
        rows = self._rows("evaluations", OUTCOME_COLUMNS, "repeat", "number = ?", (number,))
        return [self._evaluation(row, "evaluations") for row in rows]

    def features(self) -> dict[str, str]:
        """Function -> the text of its arrays."""
        return dict(self._rows("features", "function, arrays", order="rowid"))

    def notes(self) -> dict[int, dict[str, Any]]:
        """Number of a trial -> what its optimizer said when it asked for it; empty for studies made before that."""
        found: dict[int, dict[str, Any]] = {}
        for number, text in self._rows("notes", "number, note"):
            try:
                note = outcomes.load(text)
            except ValueError as error:
                raise self._damaged("notes", error) from None
            if type(number) is not int or not isinstance(note, dict):
                raise self._damaged("notes", "a note is none")
            found[number] = note
        return found

    def candidate(self, asked: Asked) -> Any:
        """The candidate of an asked row, parsed by the stored grammar.

        Raises:
            InputError: the stored text is not one.
        """
        found = self._candidates.get(asked.number)
        if found is None:
            found = self._candidates[asked.number] = self._parse(dict(asked.candidate))
        return found

    def trials(self, cached: bool = False) -> list[Trial]:
        """The complete trials in ask order; with `cached` also those told from memory."""
        with self._snapshot():
            asked = self.asked()
            found = self._grouped("evaluations", asked)
        made: dict[int, Trial] = {}
        for row in asked:
            if row.known is not None:
                original = made.get(row.known)
                if cached and original is not None:
                    made[row.number] = self._trial(row, original.outcomes, 0.0)
                continue
            evaluations = found.get(row.number, [])
            if is_complete(row, [e.outcome for e in evaluations]):
                seconds = sum(e.seconds for e in evaluations)
                made[row.number] = self._trial(row, [e.outcome for e in evaluations], seconds)
        return list(made.values())

    def confirmations(self) -> list[Trial]:
        """The confirmed trials, in ask order, with the outcomes on the fresh seeds instead of their own."""
        with self._snapshot():
            asked = self.asked()
            found = self._grouped("confirmations", asked)
        made = []
        for number in sorted(found):
            row, evaluations = asked[number], found[number]
            seconds = sum(e.seconds for e in evaluations)
            made.append(self._trial(row, [e.outcome for e in evaluations], seconds))
        return made

    def _trial(self, row: Asked, found: Sequence[Outcome], seconds: float) -> Trial:
        return as_trial(row, self.candidate(row), found, seconds, self.settings.metric.direction)

    def _grouped(self, table: str, asked: Sequence[Asked]) -> dict[int, list[Evaluation]]:
        """Trial number -> its evaluations in order of repeat, up to the first that is missing or failed."""
        rows: dict[int, dict[int, Evaluation]] = {}
        for evaluation in self.evaluations(table):
            if not 0 <= evaluation.number < len(asked):
                raise self._damaged(table, f"there is no trial {evaluation.number}")
            rows.setdefault(evaluation.number, {})[evaluation.repeat] = evaluation
        grouped = {}
        for number, by_repeat in rows.items():
            kept: list[Evaluation] = []
            while len(kept) in by_repeat and (not kept or kept[-1].outcome.status is Status.finished):
                kept.append(by_repeat[len(kept)])
            if kept:
                grouped[number] = kept
        return grouped

    def _read_settings(self) -> Settings:
        rows = list(self._rows("study", "settings", order="id"))
        if len(rows) != 1:
            raise self._damaged("study", "no settings")
        try:
            return Settings.model_validate_json(rows[0][0])
        except ValidationError as error:
            raise self._damaged("study", first_problem(error)) from None

    def _evaluation(self, row: tuple[Any, ...], table: str) -> Evaluation:
        number, repeat, seed, status, score, reason, metrics, constants, seconds = row
        document = {"status": status, "score": score, "reason": reason}
        try:
            if not all(type(whole) is int for whole in (number, repeat, seed)) or not isinstance(seconds, float):
                raise ValueError("a number, repeat, seed or time is none")
            document.update(metrics=outcomes.load(metrics), constants=outcomes.load(constants))
            return Evaluation(number, repeat, seed, outcomes.from_document(document), seconds)
        except ValueError as error:
            raise self._damaged(table, error) from None

    def _parse(self, document: Any) -> Any:
        try:
            return candidate_from_document(document, self.grammar)
        except (SymactError, KeyError, TypeError, ValueError, AttributeError) as error:
            reason = str(error).partition("\n")[0]
            raise self._damaged("asked", f"a candidate cannot be read: {reason}") from None
