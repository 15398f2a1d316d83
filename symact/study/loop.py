"""`Study`: candidates are asked for in batches, recorded, evaluated, stored, and told in ask order.

So the trials depend on the settings alone: not on the number of workers, nor on interruptions.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from symact.errors import InputError, SymactError, counted
from symact.execute import task_loading as tasks
from symact.execute.executor import ExecutorSettings, start
from symact.execute.job import WorkerSettings
from symact.expr.shape import parse_shape
from symact.expr.space import Space
from symact.expr.tree import Candidate, Expr, candidate_text, to_document
from symact.optimize import OPTIMIZERS
from symact.optimize.pool import Pool
from symact.records import Outcome, Trial
from symact.report.frames import frame, leaderboard_html
from symact.report.leaderboard import Row, leaderboard
from symact.store import Evaluation, Settings, Store, check_new
from symact.store.ledger import Ledger
from symact.store.outcomes import plain
from symact.store.running import Running
from symact.store.settings import machine, versions
from symact.study import setup
from symact.study.baselines import MemberSearch
from symact.study.callbacks import Callback, listening
from symact.study.evaluating import Evaluator, training_seed
from symact.study.feature_cache import FeatureCache
from symact.study.given import GivenCandidates
from symact.study.progress import Listener, Watch
from symact.study.proposer import Proposer
from symact.study.pruning import Pruner
from symact.study.sites import Groups, sites_to_search
from symact.tasks.declaration import metric_of

HALVING = (1 / 9, 1 / 3, 1.0)


class Study:
    """A search for activation functions; docs/studies.md tells all of it.

    Attributes:
        exhausted: the last run ended because the space has no further function.

    Args:
        space: where candidates come from.
        task: name of a task, `FILE.py:Class`, or an object with `evaluate` (trained in this process).
        optimizer: name of an optimizer, or its class.
        run: folder to keep the study in, made when it begins (see `prepare`); None keeps it in memory.
        seed: fixes all candidates and training seeds.
        repeats: trainings per function, on paired seeds.
        batch: candidates that are asked for at a time.
        workers: worker processes; 0 evaluates in this process.
        executor: `local` or `ray`.
        ray_address: of a Ray cluster; None starts one here.
        cpus: CPUs per trial (Ray); None means one.
        gpus: CUDA devices per worker, may be a fraction, 0 hides all; None shares what there is.
        fresh_workers: a process of its own for every training; needs workers.
        timeout: seconds per training; needs workers.
        memory: GiB that a worker and its children may hold; None shares four fifths of the machine.
        data: root folder of the data sets.
        train: settings of the task's training that are to differ from its own, such as `{"epochs": 3}`.
        budgets: rungs of successive halving, ascending to 1; empty for none.
        halving: the usual budgets, 1/9, 1/3 and 1.
        eta: one in `eta` goes up a rung.
        prune: stop a training that is not among the best so many percent of earlier ones at the same step, by what the
            task reports; 50 is the median, None stops none.
        asynchronous: do not wait for batches; then the same seed does not give the same trials.
        confirm: fresh seeds on which the best functions and ReLU are trained at the end.
        confirm_best: how many functions, besides ReLU and the best found ones, of which there are as many as baselines.
        given: candidates to compare, instead of a search; see `symact.compare`. `optimizer` is then `given`.
        against: the reference of a comparison.
        per_site: the optimizer looks for a function of its own at each activation site of the task.
        site_groups: instead, which sites share a function: `"1-3;4"`, `"layer1.*;rest"`, or lists of site numbers.
        each_site: each of the given candidates differs from the reference at one activation site.
        settings: of the optimizer.

    Raises:
        InputError: an argument is wrong, or `run` holds a study.
    """

    def __init__(
        self,
        space: Space,
        task: Any,
        optimizer: str | type,
        run: Path | str | None = None,
        seed: int = 0,
        *,
        repeats: int = 1,
        batch: int = 8,
        workers: int = 0,
        executor: str = "local",
        ray_address: str | None = None,
        cpus: float | None = None,
        gpus: float | None = None,
        fresh_workers: bool = False,
        timeout: float | None = None,
        memory: float | None = None,
        data: str | Path | None = None,
        train: Mapping[str, Any] | None = None,
        budgets: Sequence[float] = (),
        halving: bool = False,
        eta: int = 3,
        prune: float | None = None,
        asynchronous: bool = False,
        confirm: int = 5,
        confirm_best: int = 5,
        given: Sequence[Candidate] = (),
        against: str = "",
        each_site: bool = False,
        per_site: bool = False,
        site_groups: Groups | None = None,
        **settings: Any,
    ):
        opened = tasks.opened(task, train, data)
        described, file, loaded = opened.settings, opened.file, opened.task
        setup.check_inputs(loaded, space.grammar, described.name)
        if prune is not None:
            setup.check_pruning(prune, loaded, described.name, bool(budgets or halving), bool(given))
        searched = sites_to_search(loaded, optimizer, per_site, site_groups)
        if searched is not None:
            settings["sites"] = searched
        made = Settings.build(
            grammar=space.grammar.text,
            space=space.name,
            shapes=tuple(map(str, space.shapes)),
            affine=space.affine,
            task=described,
            metric=metric_of(loaded),
            baselines=(against,) if given else setup.checked_baselines(loaded, space.grammar),
            given=tuple(plain(to_document(candidate, space.grammar)) for candidate in given),
            each_site=each_site,
            optimizer=setup.optimizer_name(optimizer),
            optimizer_settings=settings,
            seed=seed,
            repeats=repeats,
            batch=batch,
            budgets=tuple(map(float, budgets)) or (HALVING if halving else ()),
            eta=eta,
            prune=None if prune is None else float(prune),
            asynchronous=asynchronous,
            confirm=confirm,
            confirm_best=confirm_best,
            timeout=timeout,
            memory=setup.memory_bytes(memory),
            data=None if data is None else str(data),
            versions=versions(),
            machine=machine(),
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        where = ExecutorSettings(executor, workers, ray_address, cpus, gpus, fresh_workers)
        check_new(run)
        self._folder, self._begun = run, False
        self._begin(space, made, loaded, file, optimizer, where, lambda: Store.create(None, made))

    @classmethod
    def resume(
        cls,
        run: Path | str,
        evaluations: int | None = None,
        task: Any = None,
        *,
        optimizer: type | None = None,
        workers: int = 0,
        executor: str = "local",
        ray_address: str | None = None,
        cpus: float | None = None,
        gpus: float | None = None,
        fresh_workers: bool = False,
        data: str | Path | None = None,
        progress: Listener | None = None,
    ) -> Study:
        """The study in a run folder, ready to go on; with `evaluations` it goes on to that total at once.

        Args:
            run: the folder.
            evaluations: new total, or None not to evaluate anything yet.
            task: `FILE.py:Class` or the object, for a study on such a task; never taken from the folder.
            optimizer: its class, where it is none of `OPTIMIZERS`.
            workers: and the following, as for a new study; they change no trial.
            executor: `local` or `ray`.
            ray_address: of a Ray cluster.
            cpus: CPUs per trial (Ray).
            gpus: CUDA devices per worker.
            fresh_workers: a process of its own for every training.
            data: root folder of the data sets, where it has moved.
            progress: see `run`.

        Raises:
            InputError: no study there, in use, damaged, or its task was not named or is not the same.
        """
        store = Store.open(run, readonly=False)
        study = cls.__new__(cls)
        study._folder, study._begun = run, True
        try:
            made = store.settings if data is None else store.settings.model_copy(update={"data": str(data)})
            task, file = setup.same_task(store, task)
            loaded = task if made.task.kind == "object" else tasks.load(made.task, file, made.data)
            setup.check_direction(store, loaded)
            shapes = [parse_shape(text, store.grammar.inputs) for text in made.shapes]
            space = Space(store.grammar, made.space, shapes, made.affine)
            where = ExecutorSettings(executor, workers, ray_address, cpus, gpus, fresh_workers)
            study._begin(space, made, loaded, file, optimizer or made.optimizer, where, lambda: store, resumed=True)
        except BaseException:
            store.close()
            raise
        if evaluations is not None:
            study.run(evaluations, progress)
        return study

    def _begin(
        self,
        space: Space,
        settings: Settings,
        task: Any,
        file: str,
        optimizer: str | type,
        where: ExecutorSettings,
        make_store: Callable[[], Store],
        resumed: bool = False,
    ) -> None:
        """Check everything that can be wrong, then open the store: nothing is left half-made."""
        self.space, self.settings, self.exhausted = space, settings, False
        cls = None if settings.given else setup.optimizer_class(optimizer, resumed)
        setup.check_executor(settings, where)
        self.task, self._file = task, file
        described, limits = settings.task.model_dump(), (settings.timeout, settings.memory)
        work = WorkerSettings(settings.grammar, described, file, settings.data, *limits, where.fresh)
        self._evaluator = Evaluator(settings, space.grammar, lambda: start(where, work, self.task, space.grammar))
        self._features: FeatureCache | None = None
        self._watch: Watch | None = None
        features = self._measured if callable(getattr(self.task, "features", None)) else None
        self._make_optimizer: Callable[[], Any] = lambda: (
            setup.make_optimizer(cls, space, settings, features, self.task)
            if cls is not None
            else setup.given_candidates(space, settings)
        )
        try:
            self.optimizer = self._make_optimizer()
            self.store = make_store()
        except BaseException:
            self._evaluator.close()
            raise
        try:
            self._recall()
        except BaseException:
            self.close()
            raise

    def _recall(self) -> None:
        """Learn from the store what was asked, evaluated and told; the optimizer is a fresh one."""
        space, settings = self.space, self.settings
        functions = Pool.of(space)
        self._ledger, self._torn = Ledger(self.store, functions.index), False
        schedule, labels = (str(getattr(self.optimizer, *of)) for of in (("schedule", "joint"), ("labels", "")))
        pruner = Pruner(settings.prune, settings.metric.direction)
        self._evaluator.attach(self._ledger, schedule, labels, pruner, self.store.run)
        members: Callable[[Expr], Expr | None] = MemberSearch(functions)
        random: Callable[[], Any] = lambda: OPTIMIZERS["random"](space, settings.seed)
        if settings.given:  # nothing else is tried
            members, random = lambda _: None, lambda: GivenCandidates((), functions.index.key)
        self._proposer = Proposer(space, settings, self._ledger, self.optimizer, random, members, pruner)

    def prepare(self, progress: Callable[[Running], object] | None = None) -> None:
        """Try the task with a baseline, then make the run folder; the first `run` does so where it was not done.

        So a task that cannot work is told at once and leaves nothing behind. The baseline is not trained again.
        A study that has begun, also by `ask`, is left as it is.

        Args:
            progress: called when that training reports.

        Raises:
            InputError: the task says that it cannot work, or `run` holds a study by now.
            SymactError: the task does not work.
        """
        if self._begun:
            return
        try:
            self._evaluator.preflight(progress)
            self._make_folder()
        except SymactError as error:
            self._evaluator.close()
            described = self.settings.task
            told = "" if described.kind == "object" else tasks.unlike_own(described, self._file, self.settings.data)
            if told and not isinstance(error, InputError):
                raise InputError(f"task {described.name}: {told}. {error}") from error
            raise
        except BaseException:
            self._evaluator.close()
            raise

    def _make_folder(self) -> None:
        """Begin: what was in memory until now, and is empty, gets its folder."""
        if self._folder is not None:
            store = Store.create(self._folder, self.settings)
            self.store.close()
            self.store, self._features = store, None
            self._recall()
        self._begun = True

    def run(
        self, evaluations: int, progress: Listener | None = None, callbacks: Sequence[Callback] = ()
    ) -> list[Trial]:
        """Go on until that many distinct functions are evaluated, baselines and failures included.

        The first run begins with `prepare`: a task that does not work is told before the folder is made.
        Afterwards the best functions and ReLU are trained on fresh seeds. However this ends, what has
        finished is stored, and the next `run` or `Study.resume` goes on from there.

        Args:
            evaluations: the total, over all runs of this study.
            progress: called with a `Progress` whenever a trial has finished, and while one trains and reports; what it
                raises ends the run.
            callbacks: called with this study and a `Progress` likewise; ready ones are in `symact.integrations`.

        Returns:
            The trials, in ask order.

        Raises:
            InputError: another process runs this study, or the task says that it cannot work.
            SymactError: the task does not work, the disk is full, or workers cannot be started.
        """
        setup.check_goal(evaluations)
        self.prepare()
        with self._writing(), listening(self, callbacks, progress) as report:
            after = self._evaluator.to_confirm() / self.settings.repeats
            watch = self._watch = Watch(self._ledger, evaluations, report, self._evaluator.trainings, after)
            try:
                if self.store.goal() != evaluations:
                    self.store.record_goal(evaluations)
                watch.report()
                (self._run_freely if self.settings.asynchronous else self._run_batches)(evaluations, watch)
                self._evaluator.confirm(watch)
                self.store.check_place()
            except KeyboardInterrupt:
                self._evaluator.save_finished()
                raise
            finally:
                self._evaluator.close()
                with contextlib.suppress(SymactError):
                    self.store.release()
        return self.trials

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Be the writer, with a memory that agrees with the store.

        What ends the block early (Ctrl-C, a full disk) may have come between a record and its place in
        memory. The store knows what is true, and is asked when the study goes on.
        """
        if not self._begun:
            self._make_folder()
        self.store.acquire()
        if self._torn:
            self.optimizer = self._make_optimizer()
            self._recall()
        try:
            yield
        except BaseException:
            self._torn = True
            raise

    def _run_batches(self, goal: int, watch: Watch) -> None:
        self.exhausted = False
        while True:
            batch = self._open_batch() or self._proposer.next_batch(goal - self._ledger.counted)
            if not batch:
                self.exhausted = self._ledger.counted < goal
                return
            self._evaluator.evaluate(self._up_to(batch, goal), watch)
            setup.check_baselines(self._ledger, self.settings)
            if all(map(self._ledger.is_complete, batch)):
                self._proposer.tell(batch)
            elif not self._proposer.last_promotions():
                return

    def _open_batch(self) -> list[int]:
        """What is recorded and not told yet; promotions out of a batch that was cut short come before its rest."""
        numbers = self._ledger.open()
        latest = [n for n in numbers if self._ledger.rows[n].batch == self._ledger.last_batch]
        return latest if all(self._ledger.rows[n].promoted is not None for n in latest) and latest else numbers

    def _run_freely(self, goal: int, watch: Watch) -> None:
        """No batches: whoever is free gets the next candidate, and each trial is told when it is done."""
        running: set[int] = set()
        while True:
            while len(running) < self._evaluator.executor.capacity:
                number = self._startable(goal, running)
                if number is None:
                    break
                running.add(number)
                self._evaluator.submit(number)
            if not running:
                self.exhausted = self._ledger.counted < goal
                return
            number = self._evaluator.take(watch)
            setup.check_baselines(self._ledger, self.settings)
            if self._ledger.is_complete(number):
                running.discard(number)
                self._proposer.tell([n for n in self._ledger.open() if self._ledger.is_complete(n)])

    def _startable(self, goal: int, running: set[int]) -> int | None:
        """What may be evaluated beside what is running: recorded before, or asked for now."""
        room = goal - self._ledger.counted - sum(self._ledger.rows[n].promoted is None for n in running)
        while True:
            for number in self._ledger.open():
                row = self._ledger.rows[number]
                due = number not in running and row.known is None and not self._ledger.is_complete(number)
                if due and (row.promoted is not None or room > 0):
                    return number
            if not self._proposer.next_one(room, len(running)):
                return None

    def _up_to(self, batch: Sequence[int], goal: int) -> list[int]:
        """What of a recorded batch is evaluated now: new functions up to the goal, and all promotions."""
        room, chosen = goal - self._ledger.counted, []
        for number in batch:
            row = self._ledger.rows[number]
            if self._ledger.is_complete(number) or row.known is not None:
                continue
            if row.promoted is None:
                room -= 1
            if row.promoted is not None or room >= 0:
                chosen.append(number)
        return chosen

    def ask(self, count: int) -> list[Candidate]:
        """Candidates of the optimizer that are not known yet, to be evaluated by the caller.

        They are recorded as asked. What was asked before and not told comes first.
        """
        with self._writing():
            waiting = [n for n in self._ledger.open() if not self._ledger.is_complete(n)]
            if len(waiting) < count:
                waiting += self._proposer.ask_by_hand(count - len(waiting), len(waiting))
            return [self._ledger.candidate(number) for number in waiting[:count]]

    def tell(self, trials: Iterable[Trial]) -> None:
        """Record the outcomes of candidates that `ask` gave, and tell them to the optimizer.

        Args:
            trials: their `candidate` says which; their `outcomes` are one per repeat.

        Raises:
            InputError: a candidate was not asked for, or was told before.
        """
        with self._writing():
            waiting = {candidate_text(self._ledger.candidate(n)): n for n in reversed(self._ledger.open())}
            numbers = []
            for trial in trials:
                text = candidate_text(trial.candidate)
                number = waiting.pop(text, None)
                if number is None or self._ledger.is_complete(number):
                    raise InputError(f"{text}: was not asked for, or was told before")
                for outcome in trial.outcomes[: self._ledger.rows[number].repeats]:
                    self._keep(number, outcome, trial.seconds / len(trial.outcomes))
                if not self._ledger.is_complete(number):
                    raise InputError(f"{text}: one outcome for each of the repeats is needed")
                numbers.append(number)
            if numbers:
                self._proposer.tell(numbers)

    def _keep(self, number: int, outcome: Outcome, seconds: float) -> None:
        repeat = self._ledger.next_repeat(number)
        if not self._ledger.is_complete(number):
            seed = training_seed(self.settings.seed, repeat)
            self._ledger.finish(Evaluation(number, repeat, seed, outcome, seconds))

    @property
    def evaluations(self) -> int:
        """Distinct functions evaluated so far, failures and baselines included; promotions do not count."""
        return self._ledger.counted

    @property
    def trials(self) -> list[Trial]:
        """The complete trials, in ask order, each function once at each measure."""
        return self._ledger.trials()

    @property
    def confirmations(self) -> list[Trial]:
        """The best functions and ReLU with their outcomes on the fresh seeds."""
        return self.store.confirmations()

    def best(self, count: int = 1) -> list[Trial]:
        """The best trials at full measure, best first."""
        return [self._ledger.trial(number) for number in self._ledger.best(count)]

    def leaderboard(self) -> list[Row]:
        """What was found, best first: what was confirmed on fresh seeds before the rest, failures last."""
        return leaderboard(self.trials, self.confirmations)

    def to_pandas(self) -> Any:
        """The leaderboard as a `pandas.DataFrame`, one row per function.

        Raises:
            InputError: pandas is not installed.
        """
        return frame([row.flat() for row in self.leaderboard()])

    def _repr_html_(self) -> str:
        settings = self.settings
        title = f"{settings.optimizer} on {settings.task.shown}: {counted(self.evaluations, 'function')}"
        return leaderboard_html(self.leaderboard(), title, settings.metric)

    def close(self) -> None:
        """End workers, give the run folder back."""
        self._evaluator.close()
        self.store.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _describing(self, done: int, total: int) -> None:
        if self._watch is not None:
            self._watch.describing(done, total)

    def _measured(self, expressions: list[Candidate]) -> Any:
        """What optimizers get as `features`: measured by the task, each function once per study."""
        if self._features is None:
            self._features = FeatureCache(
                self._evaluator.measure, self.store.record_features, self.store.features(), self._describing
            )
        return self._features(expressions)
