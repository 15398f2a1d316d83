"""`Ledger`: what a running study knows of its own trials; a cache of its store, rebuilt from it.

Everything that is added here is in the store before the call returns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from symact.equivalence.index.function_index import FunctionIndex
from symact.errors import InputError
from symact.expr.tree import to_document
from symact.records import Outcome, Status, Trial
from symact.store.database import Store
from symact.store.functions import StoredFunctions
from symact.store.rows import Asked, Evaluation, as_kept, as_trial, is_complete


@dataclass(frozen=True)
class Request:
    """A candidate that is to be asked.

    Attributes:
        candidate: an `Expr`, or one per site.
        origin: who wants it.
        budget: fraction of a full training.
        repeats: trainings.
        promoted: number of its trial on a lower rung, or None for one that comes for the first time.
        document: its JSON document; None for the usual one.
        note: what the optimizer says of it, of JSON types.
    """

    candidate: Any
    origin: str
    budget: float
    repeats: int
    promoted: int | None = None
    document: Mapping[str, Any] | None = None
    note: Mapping[str, Any] = field(default_factory=dict)


class Ledger:
    """The trials of a study in memory.

    Args:
        store: open for writing.
        index: tells functions apart; shared with who asks for candidates. None makes one.

    Attributes:
        rows: what was asked, by number.
        counted: complete trials of distinct functions, which `--evaluations` counts.
        counts: status -> how many of those.
        cached_in_a_row: candidates at the end of `rows` that were known before.
        last_batch: number of the latest batch; -1 before the first.
        champion: the best trial at full measure, or None.
    """

    def __init__(self, store: Store, index: FunctionIndex | None = None):
        self._store = store
        self._full = (1.0, store.settings.repeats)
        self._index = FunctionIndex(store.grammar) if index is None else index
        self._functions = StoredFunctions(self._index, store.functions())
        self.rows: list[Asked] = []
        self.counted, self.counts = 0, Counter[str]()
        self.cached_in_a_row, self.last_batch = 0, -1
        self.champion: Trial | None = None
        self._outcomes: dict[int, list[Outcome]] = {}
        self._seconds: dict[int, float] = {}
        self._candidates: dict[int, Any] = {}
        self._first: dict[tuple[int, ...], int] = {}
        self._open: set[int] = set()
        self._turn = 0
        self._confirmed: dict[int, dict[int, Outcome]] = {}
        self._restore()

    def _restore(self) -> None:
        try:
            for row in self._store.asked():
                self._take(row)
            for evaluation in self._store.evaluations():
                if self.next_repeat(evaluation.number) != evaluation.repeat:
                    raise ValueError(f"evaluation {evaluation.repeat} of trial {evaluation.number} is out of order")
                self._put(evaluation)
            for evaluation in self._store.evaluations("confirmations"):
                self._confirmed.setdefault(self.rows[evaluation.number].number, {})[evaluation.repeat] = (
                    evaluation.outcome
                )
            for turn, number in self._store.told():
                self._open.remove(number)
                self._turn = turn + 1
        except (ValueError, KeyError, IndexError) as error:
            raise InputError(f"{self._store.run}: the study is damaged ({error}); restore it from a copy") from None

    def _take(self, row: Asked) -> None:
        self.rows.append(row)
        self.last_batch = max(self.last_batch, row.batch)
        self._open.add(row.number)
        if row.known is not None:
            self.cached_in_a_row += 1
            return
        self._outcomes[row.number], self._seconds[row.number] = [], 0.0
        if row.promoted is None:
            self.cached_in_a_row = 0
            self._first.setdefault(self._functions.read(row.function), row.number)

    def _put(self, evaluation: Evaluation) -> bool:
        """Take an outcome in; True when its trial is complete with it."""
        row, found = self.rows[evaluation.number], self._outcomes[evaluation.number]
        found.append(evaluation.outcome)
        self._seconds[row.number] += evaluation.seconds
        if not is_complete(row, found):
            return False
        trial = self.trial(row.number)
        if row.promoted is None:
            self.counted += 1
            self.counts[trial.status.value] += 1
        if self._is_full(row) and trial.merit is not None:
            best = None if self.champion is None else self.champion.merit
            if best is None or trial.merit > best:
                self.champion = trial
        return True

    def _is_full(self, row: Asked) -> bool:
        return (row.budget, row.repeats) == self._full

    def key(self, candidate: Any) -> tuple[int, ...]:
        """Which function a candidate is; equal for equal functions. Nothing is recorded."""
        return self._index.key(candidate)

    def is_new(self, candidate: Any) -> bool:
        """Whether its function has not been asked before."""
        return self.key(candidate) not in self._first

    def ask(self, batch: int, wanted: Sequence[Request]) -> list[int]:
        """Record candidates as asked, those that are known as cached; returns their numbers."""
        functions: dict[int, Mapping[str, Any]] = {}
        rows: list[Asked] = []
        copies: list[Evaluation] = []
        notes = {number: want.note for number, want in enumerate(wanted, len(self.rows)) if want.note}
        first = dict[tuple[int, ...], int]()
        for number, want in enumerate(wanted, len(self.rows)):
            key, known = self.key(want.candidate), None
            if want.promoted is None:
                known = self._first.get(key, first.get(key))
                first.setdefault(key, number)
            else:
                copies += self._carried(number, want)
            function = self._functions.record(want.candidate, functions)
            document = dict(want.document or to_document(want.candidate, self._store.grammar))
            measure = (want.budget, want.repeats, known, want.promoted)
            rows.append(Asked(number, batch, want.origin, *measure, function, document))
        self._store.record_batch(rows, functions, copies, notes)
        for row, want in zip(rows, wanted, strict=True):
            self._candidates[row.number] = want.candidate
            self._take(row)
        for copy in copies:
            self._put(copy)
        return [row.number for row in rows]

    def _carried(self, number: int, want: Request) -> list[Evaluation]:
        """The outcomes that a promoted trial has already: those of the lower rung at the same budget."""
        assert want.promoted is not None
        if self.rows[want.promoted].budget != want.budget:
            return []
        found = [e for e in self._store.evaluations_of(want.promoted) if e.repeat < want.repeats]
        return [Evaluation(number, e.repeat, e.seed, e.outcome, 0.0) for e in found]

    def finish(self, evaluation: Evaluation) -> bool:
        """Record a finished evaluation; True when its trial is complete with it."""
        kept = as_kept(evaluation)
        self._store.record_evaluation(kept)
        return self._put(kept)

    def confirm(self, evaluation: Evaluation) -> None:
        """Record a training on a fresh seed."""
        kept = as_kept(evaluation)
        self._store.record_confirmation(kept)
        self._confirmed.setdefault(kept.number, {})[kept.repeat] = kept.outcome

    def tell(self, numbers: Sequence[int]) -> list[Trial]:
        """Record that these are told now, and give them as trials, in this order."""
        self._store.record_told(self._turn, numbers)
        self._turn += 1
        self._open.difference_update(numbers)
        return [self.trial(number) for number in numbers]

    def turns(self) -> Iterator[list[int]]:
        """What was told so far, turn by turn."""
        current, numbers = -1, list[int]()
        for turn, number in self._store.told():
            if turn != current and numbers:
                yield numbers
                numbers = []
            current = turn
            numbers.append(number)
        if numbers:
            yield numbers

    def open(self) -> list[int]:
        """What was asked and not told yet, in ask order."""
        return sorted(self._open)

    def is_complete(self, number: int) -> bool:
        """Whether a trial needs no further training."""
        row = self.rows[number]
        source = row.number if row.known is None else row.known
        return is_complete(self.rows[source], self._outcomes[source])

    def next_repeat(self, number: int) -> int:
        """Which training of an incomplete trial comes next."""
        return len(self._outcomes[number])

    def outcomes(self, number: int) -> list[Outcome]:
        """The outcomes of a trial so far, those of the original for a cached one."""
        known = self.rows[number].known
        return self._outcomes[number if known is None else known]

    def candidate(self, number: int) -> Any:
        """The candidate of a trial."""
        if number not in self._candidates:
            self._candidates[number] = self._store.candidate(self.rows[number])
        return self._candidates[number]

    def trial(self, number: int) -> Trial:
        """A trial as it stands."""
        return as_trial(
            self.rows[number],
            self.candidate(number),
            self.outcomes(number),
            self._seconds.get(number, 0.0),
            self._store.settings.metric.direction,
        )

    def best(self, count: int | None = None) -> list[int]:
        """Numbers of the best complete trials at full measure, best first, each function once."""
        found = []
        for row in self.rows:
            if row.known is None and self._is_full(row) and self.is_complete(row.number):
                merit = self.trial(row.number).merit
                if merit is not None:
                    found.append((-merit, row.number))
        return [number for _, number in sorted(found)[:count]]

    def trials(self) -> list[Trial]:
        """The complete trials in ask order, without those told from memory."""
        numbers = [row.number for row in self.rows if row.known is None and self.is_complete(row.number)]
        return [self.trial(number) for number in numbers]

    def reference(self, text: str) -> int | None:
        """Number of the complete trial at full measure of the baseline with that text, or None."""
        for row in self.rows:
            is_it = row.origin == "baseline" and list(row.candidate["expressions"]) == [text]
            if is_it and self._is_full(row) and self.is_complete(row.number):
                return row.number
        return None

    @property
    def confirmed(self) -> int:
        """How many trainings on fresh seeds are done."""
        return sum(map(len, self._confirmed.values()))

    def unconfirmed(self, number: int, repeats: int) -> list[int]:
        """The fresh seeds on which a trial has not been trained yet."""
        done = self._confirmed.get(number, {})
        if any(outcome.status is not Status.finished for outcome in done.values()):
            return []
        return [repeat for repeat in range(repeats) if repeat not in done]
