"""Having candidates evaluated: the executor's life, jobs and their seeds, results into the ledger."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from symact.errors import FormulaError, InputError, SymactError
from symact.execute.executor import Executor
from symact.execute.interrupts import uninterrupted
from symact.execute.job import Job, Result, unable
from symact.execute.reporting import Report
from symact.expr.per_site import grouped_text
from symact.expr.tree import Candidate, from_document, is_mixture, parse, to_document, to_sympy
from symact.records import Outcome, Status
from symact.store import Evaluation, Settings
from symact.store.ledger import Ledger
from symact.store.running import Running
from symact.study import setup
from symact.study.halving import rungs
from symact.study.progress import Watch
from symact.study.proposer import REFERENCE
from symact.study.pruning import Pruner
from symact.study.running import Trainings

STAGES = {"evaluate": "search", "confirm": "confirmation"}  # of the trainings that are stored
WAIT_SECONDS = 1.0  # for a result, before those who watch are told what has begun since
TRIED_FIRST = (REFERENCE, "tanh(x)")  # before a study is made, until one does not crash


def training_seed(seed: int, repeat: int, confirmation: bool = False) -> int:
    """The seed of a training: from study seed and repeat alone, so that all functions are paired."""
    return int(np.random.SeedSequence([seed, repeat, int(confirmation)]).generate_state(1)[0] >> 1)


class Evaluator:
    """Has trials evaluated, and records every result the moment it arrives.

    Args:
        settings: of the study.
        ledger: its trials; given later by `attach`, since features may be asked for before.
        start: makes the executor when something is to be evaluated first.
        grammar: of the study.
    """

    def __init__(self, settings: Settings, grammar: Any, start: Callable[[], Executor]):
        self._settings, self._grammar, self._start = settings, grammar, start
        self._schedule = self._labels = ""
        own = settings.baselines[:2]
        self._tried_first = own + TRIED_FIRST if settings.given else own or TRIED_FIRST
        self._executor: Executor | None = None
        self._early: deque[Result] = deque()
        self._tried: list[Result] = []
        self._ledger: Ledger
        self._pruner: Pruner
        self._watch: Watch | None = None
        self._tried_so_far: Callable[[Running], object] | None = None
        self.trainings = Trainings(None, self._described)

    def attach(self, ledger: Ledger, schedule: str, labels: str, pruner: Pruner, run: Path | None) -> None:
        """Record into `ledger`; mixture weights are trained by `schedule`, features measured with `labels`.

        What is in training is told in the folder `run`.
        """
        self._pruner, self.trainings = pruner, Trainings(run, self._described)
        self._ledger, self._schedule, self._labels = ledger, "" if schedule == "joint" else schedule, labels

    @property
    def executor(self) -> Executor:
        """The executor, started when it is first needed."""
        if self._executor is None:
            self._executor = self._start()
            self._executor.hearer = self
        return self._executor

    def close(self) -> None:
        """End the executor with all that it started."""
        executor, self._executor = self._executor, None
        self._early.clear()
        self.trainings.clear()
        if executor is not None:
            executor.close()

    def begun(self, job: Job) -> None:
        """A worker has begun with a job."""
        if job.kind != "features":
            self.trainings.begun(job)

    def heard(self, job: Job, reports: Sequence[Report]) -> Callable[[], object] | None:
        """A training has reported how it goes; what tells the listeners, if it is time to."""
        training, tell = self.trainings.heard(job, reports), self._tried_so_far
        if training is None:
            return None
        if job.kind in STAGES:
            return self._watch.heard() if self._watch is not None else None
        return None if tell is None else lambda: tell(training)

    def _described(self, job: Job) -> Running:
        """What is known of a training when it begins."""
        known = job.kind in STAGES
        candidate = self._ledger.candidate(job.number) if known else from_document(dict(job.candidate), self._grammar)
        bars = tuple((int(step), self._settings.metric.direction.merit(merit)) for step, merit in job.bars)
        stage = STAGES.get(job.kind, job.kind)
        return Running(grouped_text(candidate), stage, job.number, job.repeat, job.budget, bars=bars)

    def submit(self, number: int) -> None:
        """Have the next training of a trial done."""
        job = self._job(number, self._ledger.next_repeat(number))
        tried = next(
            (r for r in self._tried if replace(r.job, number=number, kind=job.kind, own_sites=False) == job), None
        )
        if tried is None:
            self.executor.submit(job)
        else:  # a baseline that was trained before the study was made
            self._tried.remove(tried)
            self._early.append(Result(job, tried.outcome, tried.seconds))

    def take(self, watch: Watch) -> int:
        """Wait for one result and record it; goes on with the next repeat. Returns the trial's number."""
        self._watch = watch
        return self._record(self._next(), watch)

    def evaluate(self, numbers: Sequence[int], watch: Watch) -> None:
        """Complete these trials."""
        left = set(numbers)
        for number in numbers:
            self.submit(number)
        while left:
            number = self.take(watch)
            if self._ledger.is_complete(number):
                left.discard(number)

    def preflight(self, tell: Callable[[Running], object] | None = None) -> None:
        """Train a baseline before anything is stored, so that a task that cannot work leaves nothing behind.

        What it finds is not thrown away, failures included: the study takes it over when its turn comes.

        Args:
            tell: called when the training reports.

        Raises:
            InputError: the task says that it cannot work (its data is missing).
            SymactError: baselines crash.
        """
        self._tried_so_far = tell
        failed: list[Result] = []
        for text in self._tried_first:
            result = self._try(text)
            if result.outcome.status not in (Status.crashed, Status.rejected):
                self._tried = [*failed, result]
                return
            failed.append(result)
        outcome = failed[0].outcome
        if unable(outcome):
            raise InputError(unable(outcome))
        raise SymactError(
            f"the task {self._settings.task.name!r} does not work: {self._tried_first[0]} {outcome.status.value}: "
            f"{outcome.reason}"
        )

    def _try(self, text: str) -> Result:
        """Train a baseline as the study would, but for nobody; other results wait."""
        written = parse(text, self._grammar)
        document = to_document(written, self._grammar)
        with contextlib.suppress(FormulaError):  # of a word of the grammar alone
            if to_sympy(parse(text)) != to_sympy(written):
                document = {"expressions": [text], "parameters": [], "grammar": False}
        budget = rungs(self._settings.budgets, self._settings.repeats)[0].budget
        own = setup.has_own_sites(self._settings)
        self.executor.submit(
            Job(-1, 0, training_seed(self._settings.seed, 0), document, budget, kind="preflight", own_sites=own)
        )
        while True:
            result = self.executor.next()
            if result is not None and result.job.kind == "preflight":
                self.trainings.ended(result.job)
                return result
            if result is not None:
                self._early.append(result)

    def _believe(self, outcome: Outcome) -> None:
        """Stop where the task says that it cannot work, unless that is one candidate's fault: a baseline tells.

        Raises:
            InputError: what the task said.
        """
        if unable(outcome) and unable(self._try(self._tried_first[0]).outcome):
            raise InputError(unable(outcome))

    def confirm(self, watch: Watch) -> None:
        """Train the best of all, of the found functions and of the baselines on fresh common seeds.

        A stored score never changes.
        """
        jobs = [
            self._job(number, repeat, "confirm")
            for repeat in range(self._settings.confirm)
            for number in self._chosen()
            if repeat in self._ledger.unconfirmed(number, self._settings.confirm)
        ]
        watch.begin("confirmation", len(jobs))
        self._watch = watch
        for job in jobs:
            self.executor.submit(job)
        for _ in jobs:
            self._record(self._next(), watch)

    def to_confirm(self) -> int:
        """How many trainings of `confirm` are to be expected: the best, the best baseline and ReLU, as a rule."""
        most = self._settings.confirm_best
        return max(0, self._settings.confirm * (most + 2 if most else 0) - self._ledger.confirmed)

    def save_finished(self) -> None:
        """Record what has finished but was not taken yet; for a run that is being stopped."""
        with contextlib.suppress(SymactError):
            while self._executor is not None:
                result = self._early.popleft() if self._early else self._executor.next(0.0)
                if result is None:
                    return
                if result.job.kind in ("evaluate", "confirm") and not unable(result.outcome):
                    self._record(result, None)

    def measure(self, expressions: Sequence[Candidate]) -> list[Outcome]:
        """The features of functions, as outcomes in their order."""
        for index, expression in enumerate(expressions):
            document = to_document(expression, self._grammar)
            self.executor.submit(Job(index, 0, 0, document, kind="features", labels=self._labels))
        found: dict[int, Outcome] = {}
        while len(found) < len(expressions):
            result = self.executor.next()
            if result is None:
                continue
            if result.job.kind == "features":
                found[result.job.number] = result.outcome
            else:
                self._early.append(result)
        measured = [found[index] for index in range(len(expressions))]
        if measured and all(map(unable, measured)):
            raise InputError(unable(measured[0]))
        return measured

    def _chosen(self) -> list[int]:
        """The best functions at full measure, the best baseline and ReLU, and as many found functions as baselines."""
        most = self._settings.confirm_best
        if not most:
            return []
        ranked = self._ledger.best()
        known = set(filter(self._is_baseline, ranked))
        baseline = next((number for number in ranked if number in known), None)
        first = [*ranked[:most], baseline, self._ledger.reference(REFERENCE)]
        wanted = dict.fromkeys(number for number in first if number is not None)
        baselines = sum(map(self._is_baseline, wanted))
        # Where baselines are the best there is, a found function would get neither fresh seeds nor a test score.
        found = [number for number in ranked if number not in known][: min(most, max(baselines, 1))]
        return list(wanted | dict.fromkeys(found))

    def _is_baseline(self, number: int) -> bool:
        return self._ledger.rows[number].origin == "baseline"

    def _job(self, number: int, repeat: int, kind: str = "evaluate") -> Job:
        row = self._ledger.rows[number]
        seed = training_seed(self._settings.seed, repeat, kind == "confirm")
        # On the fresh seeds everybody is compared with everybody, so everybody has the epochs of a mixture.
        alike = kind == "confirm" or is_mixture(self._ledger.candidate(number))
        schedule = self._schedule if alike else ""
        judged = kind == "evaluate" and row.origin != "baseline"
        bars = self._pruner.bars(row.budget, repeat) if judged else ()
        return Job(number, repeat, seed, row.candidate, row.budget, schedule, kind, bars=bars)

    def _record(self, result: Result, watch: Watch | None) -> int:
        job, complete = result.job, False
        self.trainings.ended(job)
        evaluation = Evaluation(job.number, job.repeat, job.seed, result.outcome, result.seconds)
        with uninterrupted():
            if job.kind == "confirm":
                self._ledger.confirm(evaluation)
            else:
                complete = self._ledger.finish(evaluation)
        if job.kind == "confirm":
            if watch is not None:
                watch.step()
        elif complete:
            if watch is not None:
                watch.report(self._ledger.trial(job.number))
        elif watch is not None:
            self.submit(job.number)
        return job.number

    def _next(self) -> Result:
        while True:
            result = self._early.popleft() if self._early else self.executor.next(WAIT_SECONDS)
            self.trainings.flush()
            if result is not None:
                self._believe(result.outcome)
                return result
