"""What a study evaluates next: baselines, promotions, the optimizer's proposals, random search.

Everything here is a function of the settings and of what was told, so a resumed study asks for what
an undisturbed one would have asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from symact.errors import FormulaError
from symact.expr.space import Space
from symact.expr.tree import Expr, parse
from symact.records import Trial
from symact.store import Settings
from symact.store.ledger import Ledger, Request
from symact.study.baselines import BASELINES
from symact.study.halving import Ladder, Rung, rungs
from symact.study.pruning import Pruner

REFERENCE = "relu(x)"
BASELINE_BATCH = -1
PATIENCE = 100  # cached candidates in a row after which random search fills up


class Proposer:
    """Records batches in a ledger and tells the optimizer what became of them.

    Args:
        space: that is searched.
        settings: of the study.
        ledger: its trials.
        optimizer: to ask and tell.
        random: makes the random search that fills up where the optimizer has nothing new.
        members: baseline -> the same function in the space, or None where it is not there.
        pruner: learns what was reported.
    """

    def __init__(
        self,
        space: Space,
        settings: Settings,
        ledger: Ledger,
        optimizer: Any,
        random: Callable[[], Any],
        members: Callable[[Expr], Expr | None],
        pruner: Pruner | None = None,
    ):
        self._space, self._settings, self._ledger = space, settings, ledger
        self._optimizer, self._make_random, self._members = optimizer, random, members
        self._random: Any = None
        self._pruner = pruner
        self._steps = rungs(settings.budgets, settings.repeats)
        self._ladder = Ladder(self._steps, settings.eta, all_known=bool(settings.given))
        self._finished: list[Trial] = []
        self._owed: list[int] = []  # baselines whose full measure has not been asked yet
        for numbers in ledger.turns():
            self._learn([ledger.trial(number) for number in numbers])
        for row in ledger.rows:
            if row.promoted is not None:
                self._mark(row.promoted)

    def tell(self, numbers: Sequence[int]) -> None:
        """Record that complete trials are told, in this order, and tell them."""
        self._learn(self._ledger.tell(numbers))

    def next_batch(self, room: int) -> list[int]:
        """Record the next batch and return its numbers; none when there is nothing left to evaluate.

        Args:
            room: new functions that may still be evaluated; without any, promotions alone are asked.
        """
        if room > 0 and self._lacks_baselines:
            return self._ledger.ask(BASELINE_BATCH, self._baselines())
        wanted = self._promotions()
        if room > 0:
            wanted += self._requests(self._settings.batch)
        return self._ledger.ask(self._next, wanted) if wanted else []

    def last_promotions(self) -> list[int]:
        """Record the promotions that are due although their batch is cut short, since the goal falls inside it.

        What is complete of that batch counts on its rung at once; it is told when the whole batch is, so that the
        study asks for the same functions as one that had a higher goal from the beginning.
        """
        for number in self._ledger.open():
            if self._ledger.rows[number].known is None and self._ledger.is_complete(number):
                self._climb(self._ledger.trial(number))
        wanted = self._promotions()
        return self._ledger.ask(self._next, wanted) if wanted else []

    def next_one(self, room: int, running: int) -> list[int]:
        """Record one more candidate while `running` others are evaluated; for a study without batches.

        `ask` gives the candidates that are running once more, since they are not told yet.
        """
        if room > 0 and self._lacks_baselines:
            return self._ledger.ask(BASELINE_BATCH, self._baselines())
        wanted = self._promotions(1)
        if not wanted and room > 0:
            asked = [c for c in self._optimizer.ask(running + 1) if self._ledger.is_new(c)][:1]
            wanted = self._explained(asked) or [self._first_rung(*pair) for pair in self._new_at_random(1)]
        return self._ledger.ask(self._next, wanted) if wanted else []

    def ask_by_hand(self, count: int, waiting: int) -> list[int]:
        """Record up to `count` new candidates, while `waiting` others are evaluated by the caller."""
        fresh: dict[Any, Any] = {}
        for candidate in self._optimizer.ask(count + waiting):
            if self._ledger.is_new(candidate):
                fresh.setdefault(self._ledger.key(candidate), candidate)
        wanted = self._filled(list(fresh.values())[:count], count)
        return self._ledger.ask(self._next, wanted) if wanted else []

    @property
    def _next(self) -> int:
        return self._ledger.last_batch + 1

    @property
    def _lacks_baselines(self) -> bool:
        """A study that was begun by hand has its baselines later."""
        return not any(row.batch == BASELINE_BATCH for row in self._ledger.rows)

    def _requests(self, count: int) -> list[Request]:
        asked: list[Any] = []
        if count and self._ledger.cached_in_a_row < PATIENCE:
            asked = self._optimizer.ask(count)[:count]
        return self._filled(asked, count)

    def _filled(self, asked: Sequence[Any], count: int) -> list[Request]:
        """What the optimizer asked for, filled up to `count` from random search."""
        wanted = self._explained(asked)
        if len(wanted) < count:
            wanted += [self._first_rung(*pair) for pair in self._new_at_random(count - len(asked), asked)]
        return wanted

    def _explained(self, asked: Sequence[Any]) -> list[Request]:
        """Requests of the optimizer, each with what it says of the candidate, if it says anything."""
        explain = getattr(self._optimizer, "explain", None)
        notes = explain(asked) if explain is not None and asked else [{} for _ in asked]
        requests = [self._first_rung(candidate, self._settings.optimizer) for candidate in asked]
        return [replace(request, note=note) for request, note in zip(requests, notes, strict=True)]

    def _new_at_random(self, count: int, beside: Sequence[Any] = ()) -> list[tuple[Any, str]]:
        """Functions that were never asked, uniformly from the space."""
        if self._random is None:
            self._random = self._make_random()
            self._random.tell(self._finished)
        found: list[tuple[Any, str]] = []
        taken = {self._ledger.key(candidate) for candidate in beside}
        for candidate in self._random.ask(count + len(taken) + len(self._ledger.open())):
            if len(found) < count and self._ledger.is_new(candidate) and self._ledger.key(candidate) not in taken:
                taken.add(self._ledger.key(candidate))
                found.append((candidate, "random"))
        return found

    def _first_rung(self, candidate: Any, origin: str, document: Mapping[str, Any] | None = None) -> Request:
        return Request(candidate, origin, self._steps[0].budget, self._steps[0].repeats, None, document)

    def _promotions(self, count: int | None = None) -> list[Request]:
        """Who goes up a rung: baselines to full measure, without a contest; then the best of each rung.

        They come on top of a batch: what is asked of the optimizer does not depend on them.
        """
        wanted: list[Request] = []
        while count is None or len(wanted) < count:
            if self._owed:
                rung, number = len(self._steps) - 1, self._owed[0]
            elif (found := self._ladder.next()) is not None:
                rung, number = found
            else:
                break
            self._mark(number)
            row, step = self._ledger.rows[number], self._steps[rung]
            candidate = self._ledger.candidate(number)
            wanted.append(Request(candidate, row.origin, step.budget, step.repeats, number, row.candidate))
        return wanted

    def _mark(self, number: int) -> None:
        """The trial has been promoted from its rung."""
        self._ladder.promote(self._rung(number), number)
        if number in self._owed:
            self._owed.remove(number)

    def _rung(self, number: int) -> int:
        row = self._ledger.rows[number]
        step = Rung(row.budget, row.repeats)
        return self._steps.index(step) if step in self._steps else 0

    def _baselines(self) -> list[Request]:
        return [self._first_rung(*self._baseline(text)) for text in self._settings.baselines or BASELINES]

    def _baseline(self, text: str) -> tuple[Expr, str, Mapping[str, Any] | None]:
        """A baseline in the grammar's own words where they mean the same; else marked as outside of it."""
        written = parse(text, self._space.grammar)
        try:
            meant = parse(text)
        except FormulaError:  # a word of the grammar alone
            return written, "baseline", None
        if self._ledger.key(meant) == self._ledger.key(written):
            return written, "baseline", None
        return meant, "baseline", {"expressions": [text], "parameters": [], "grammar": False}

    def _learn(self, trials: Sequence[Trial]) -> None:
        """Pass told trials on: those of the lowest rung, and of the baselines those in the space."""
        if self._pruner is not None:
            self._pruner.learn(trials)
        passed = []
        for trial in trials:
            row = self._ledger.rows[trial.number]
            if row.known is None:
                self._climb(trial)
            if row.promoted is not None:
                continue
            if trial.origin == "baseline":
                member = self._members(trial.candidate)
                if member is None:
                    continue
                trial = replace(trial, candidate=member)
            passed.append(trial.maximized())
        self._finished += passed
        if passed:
            self._optimizer.tell(passed)
            if self._random is not None:
                self._random.tell(passed)

    def _climb(self, trial: Trial) -> None:
        """Let a told trial count on its rung; a baseline goes straight on to full measure."""
        number, rung = trial.number, self._rung(trial.number)
        competes = not (self._settings.given and trial.origin == "baseline")
        if not self._ladder.add(rung, number, trial.merit, competes):
            return
        first = self._ledger.rows[number].promoted is None
        due = first and trial.origin == "baseline" and len(self._steps) > 1
        if due and not self._ladder.is_promoted(rung, number):
            self._owed.append(number)
