"""`symact search --tune`: settings of the training are tuned with the function, by Optuna, at equal total budget.

A function may lead because its rival was trained at a rate that does not suit it. Three stages tell whether:

1. *search*, half of the evaluations: the baselines at the task's own settings; then an optimizer of symact proposes
   functions, and Optuna's TPE sampler the settings of each training, from all that was seen.
2. *tune*, the other half: the best functions and the best baselines, all with equally many trainings, get a TPE sampler
   each. It begins with the task's own settings, and with those at which a function was found.
3. *fresh*: each of them at the task's own settings and at its own best, on seeds that were not seen before, paired.

What is trained next is a function of the plan and of what came of the trainings before it. So the log keeps outcomes
alone: whoever goes on replays the proposals, and trains what the log does not have.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from symact.errors import InputError, SymactError, counted
from symact.execute import task_loading as tasks
from symact.execute.executor import Executor, ExecutorSettings, start
from symact.execute.job import Job, WorkerSettings, unable
from symact.execute.reporting import Report
from symact.expr.shape import parse_shape
from symact.expr.space import Space
from symact.expr.tree import Expr, candidate_text, parse, to_document
from symact.integrations.logged import imported
from symact.integrations.tune_log import TuneLog
from symact.integrations.tune_ranges import TuneRange, read_ranges
from symact.integrations.tune_result import Tuned, TuneResult, leading, settings_text
from symact.optimize.pool import Pool
from symact.program.loading import parse_grammar
from symact.records import Direction, Metric, Outcome, Status, Trial
from symact.store import TaskSettings
from symact.store.running import Running
from symact.study import setup
from symact.study.baselines import BASELINES, MemberSearch
from symact.study.evaluating import WAIT_SECONDS, training_seed
from symact.study.proposer import REFERENCE
from symact.study.running import Trainings
from symact.tasks.declaration import metric_of, tunable_of, untunable_of

Follower: TypeAlias = Callable[[int, int, str], object]
LEAST = 3  # trainings of each function in the second stage
FINALISTS = 3
FEWEST = 41  # evaluations, of a task with the usual number of baselines
STARTUP = 5  # of a TPE sampler: as many settings are drawn at random first


@dataclass(frozen=True)
class Point:
    """One training: its place in the search, the function, and the settings that differ from the task's own."""

    stage: str
    number: int
    candidate: Expr
    train: Mapping[str, Any]
    repeat: int = 0

    @property
    def key(self) -> str:
        """What tells it from every other training of the search."""
        return f"{self.stage}/{self.number}/{self.repeat}"


class Tuning:
    """A tuned search in a folder; made by `begin` or `reopen`.

    Args:
        log: of the search.
        task: as loaded.
        file: of the task, `""` if none.
        where: candidates are evaluated.
        data: root folder of the data sets.
    """

    def __init__(self, log: TuneLog, task: Any, file: str, where: ExecutorSettings, data: str | None):
        plan = log.header
        self.log, self.plan, self.task, self._where = log, plan, task, where
        self.grammar = parse_grammar(plan["grammar"])
        shapes = [parse_shape(text, self.grammar.inputs) for text in plan["shapes"]]
        self.space = Space(self.grammar, plan["space"], shapes, plan["affine"])
        metric = plan["metric"]
        self.metric = Metric(**{**metric, "direction": Direction(metric["direction"])})
        self.ranges = read_ranges(plan["ranges"], {})
        self.own = {range_.name: plan["own"].get(range_.name) for range_ in self.ranges}
        self._work = WorkerSettings(plan["grammar"], plan["task"], file, data, plan["timeout"])
        self._executor: Executor | None = None
        self._tell: Follower | None = None
        self._points: Mapping[int, Point] = {}
        self._trainings = Trainings(log.run, self._described)
        self._optuna = _optuna()
        self._optuna.logging.set_verbosity(self._optuna.logging.ERROR)

    def run(self, tell: Follower | None = None) -> TuneResult:
        """Go on to the end.

        Args:
            tell: called with the number of trainings that are there, how many there will be, and a stage.

        Raises:
            InputError: the log was made by other versions, or the task says that it cannot work.
            SymactError: no function finished.
        """
        self._tell = tell
        try:
            found = self._search()
            functions = self._finalists(found)
            result = self._fresh(functions, self._tune(functions), len(found))
            if "result" not in self.log.kept:
                self.log.add({"key": "result", "document": result.document()})
            return result
        finally:
            executor, self._executor = self._executor, None
            if executor is not None:
                executor.close()
            self.log.close()

    @property
    def searched(self) -> int:
        """Evaluations of the first stage."""
        return int(self.plan["evaluations"]) // 2

    def _search(self) -> list[tuple[Point, Outcome]]:
        cls = setup.optimizer_class(self.plan["optimizer"])
        optimizer: Any = cls(self.space, self.plan["seed"], **self.plan["optimizer_settings"])
        members, sampler = MemberSearch(Pool.of(self.space)), self._study(0)
        found: list[tuple[Point, Outcome]] = []
        first = [parse(text, self.grammar) for text in self.plan["baselines"]]
        while len(found) < self.searched:
            room = min(self.plan["batch"], self.searched - len(found))
            asked = first if not found else optimizer.ask(room)
            if not asked:
                break
            if not found:
                for _ in asked:
                    sampler.enqueue_trial(self._known_to_optuna({}))
            drawn = [sampler.ask() for _ in asked]
            suggested = [self._suggested(trial) for trial in drawn]
            trains = suggested if found else [{} for _ in asked]
            points = [Point("search", len(found) + i, c, t) for i, (c, t) in enumerate(zip(asked, trains, strict=True))]
            batch = list(zip(points, self._train(points), strict=True))
            for (point, outcome), trial in zip(batch, drawn, strict=True):
                self._told(sampler, trial, point, outcome)
                told = point.candidate if found else members(point.candidate)
                if told is not None:
                    kept = Trial(told, (outcome,), self.plan["optimizer"], direction=self.metric.direction)
                    optimizer.tell([kept.maximized()])
            found += batch
        return found

    def _finalists(self, found: Sequence[tuple[Point, Outcome]]) -> list[tuple[Point, str]]:
        """The best found functions, the best baselines and ReLU, with where they came from."""
        count, many = len(self.plan["baselines"]), self.plan["finalists"]
        ranked = sorted(
            (pair for pair in found if pair[1].score is not None),
            key=lambda pair: -self.metric.merit(float(pair[1].score or 0.0)),
        )
        searched = [point for point, _ in ranked if point.number >= count][:many]
        baselines = [point for point, _ in ranked if point.number < count]
        chosen = baselines[:many] + [p for p in baselines[many:] if candidate_text(p.candidate) == REFERENCE]
        if not searched or not chosen:
            raise SymactError("no function finished in the search" if not searched else "no baseline finished")
        return [(p, self.plan["optimizer"]) for p in searched] + [(p, "baseline") for p in chosen]

    def _tune(self, functions: Sequence[tuple[Point, str]]) -> list[list[tuple[Point, Outcome]]]:
        """Per function its trainings, the first at the task's own settings."""
        share = max(LEAST, (int(self.plan["evaluations"]) - self.searched) // len(functions))
        samplers = [self._study(1 + index) for index in range(len(functions))]
        seen: list[list[tuple[Point, Outcome]]] = [[] for _ in functions]
        for sampler, (point, _) in zip(samplers, functions, strict=True):
            sampler.enqueue_trial(self._known_to_optuna({}))
            if point.train:
                sampler.enqueue_trial(self._known_to_optuna(point.train))
        for turn in range(share):
            drawn = [sampler.ask() for sampler in samplers]
            suggested = [self._suggested(trial) for trial in drawn]
            trains = [{} if turn == 0 else train for train in suggested]
            numbers = range(turn * len(functions), (turn + 1) * len(functions))
            points = [
                Point("tune", number, point.candidate, train)
                for number, (point, _), train in zip(numbers, functions, trains, strict=True)
            ]
            outcomes = self._train(points)
            for index, (point, outcome) in enumerate(zip(points, outcomes, strict=True)):
                self._told(samplers[index], drawn[index], point, outcome)
                seen[index].append((point, outcome))
        return seen

    def _fresh(
        self, functions: Sequence[tuple[Point, str]], seen: Sequence[Sequence[tuple[Point, Outcome]]], searched: int
    ) -> TuneResult:
        rows, points = [], []
        for index, tried in enumerate(seen):
            best = leading(tried, self.metric)
            for at, train in enumerate(({}, dict(best[0].train))):
                points += [
                    Point("fresh", 2 * index + at, functions[index][0].candidate, train, repeat)
                    for repeat in range(self.plan["fresh"])
                ]
        outcomes = dict(zip((p.key for p in points), self._train(points), strict=True))
        for index, (point, origin) in enumerate(functions):
            best, default = leading(seen[index], self.metric), seen[index][0]
            both = [
                [outcomes[f"fresh/{2 * index + at}/{repeat}"] for repeat in range(self.plan["fresh"])] for at in (0, 1)
            ]
            scores = [[o.score for o in part if o.score is not None] for part in both]
            kept = [part if len(part) == self.plan["fresh"] else [] for part in scores]
            rows.append(
                Tuned(
                    candidate_text(point.candidate),
                    origin,
                    dict(best[0].train),
                    best[1].score,
                    default[1].score,
                    len(seen[index]),
                    tuple(kept[1]),
                    tuple(kept[0]),
                )
            )
        head = {key: self.plan[key] for key in ("optimizer", "seed", "evaluations", "ranges", "own")}
        task = TaskSettings(**self.plan["task"])
        head |= {"task": task.name, "title": task.shown, "searched": searched, "fresh": self.plan["fresh"]}
        head["tuned"] = sum(map(len, seen))
        return TuneResult(tuple(rows), self.metric, head)

    def _study(self, number: int) -> Any:
        seed = int(np.random.SeedSequence([self.plan["seed"], 0x74756E65, number]).generate_state(1)[0])
        sampler = self._optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
        return self._optuna.create_study(direction=self.metric.direction.value, sampler=sampler)

    def _suggested(self, trial: Any) -> dict[str, Any]:
        return {range_.name: range_.suggest(trial) for range_ in self.ranges}

    def _known_to_optuna(self, train: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a training as far as they lie in the ranges."""
        values = {**self.own, **train}
        return {r.name: values[r.name] for r in self.ranges if values[r.name] is not None and r.holds(values[r.name])}

    def _told(self, study: Any, trial: Any, point: Point, outcome: Outcome) -> None:
        """Tell what came of a training; of settings outside the ranges there is nothing to tell."""
        is_inside = len(self._known_to_optuna(point.train)) == len(self.ranges)
        if outcome.score is None or not is_inside:
            study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, outcome.score)

    def _train(self, points: Sequence[Point]) -> list[Outcome]:
        """The outcomes of trainings, in their order; those that the log has are not done again."""
        left = {}
        for number, point in enumerate(points):
            kept = self.log.kept.get(point.key)
            if kept is None:
                left[number] = point
            elif (kept["expression"], kept["train"]) != (candidate_text(point.candidate), dict(point.train)):
                raise InputError(
                    f"training {point.key} of the log is of {kept['expression']} with {kept['train']}, and would now "
                    "be another: the search was begun with other versions of symact or Optuna; begin a new one"
                )
        self._points = left
        for number, point in left.items():
            seed = training_seed(self.plan["seed"], point.repeat, point.stage == "fresh")
            document = to_document(point.candidate, self.grammar)
            self._here().submit(Job(number, point.repeat, seed, document, train=dict(point.train)))
        for _ in range(len(left)):
            result = None
            while result is None:
                result = self._here().next(WAIT_SECONDS)
                self._trainings.flush()
            self._trainings.ended(result.job)
            point, outcome = left[result.job.number], result.outcome
            if unable(outcome):
                raise InputError(unable(outcome))
            row: dict[str, Any] = {"key": point.key, "expression": candidate_text(point.candidate)}
            row |= {"train": dict(point.train)}
            row |= {"status": outcome.status.value, "score": outcome.score, "reason": outcome.reason}
            self.log.add({**row, "seconds": result.seconds})
            if self._tell is not None:
                self._tell(len(self.log.kept), self.plan["evaluations"], point.stage)
        rows = [self.log.kept[point.key] for point in points]
        return [Outcome(Status(row["status"]), row["score"], row["reason"]) for row in rows]

    def _here(self) -> Executor:
        if self._executor is None:
            self._executor = start(self._where, self._work, self.task, self.grammar)
            self._executor.hearer = self
        return self._executor

    def begun(self, job: Job) -> None:
        """A worker has begun with a training."""
        self._trainings.begun(job)

    def heard(self, job: Job, reports: Sequence[Report]) -> None:
        """A training has reported how it goes."""
        self._trainings.heard(job, reports)

    def _described(self, job: Job) -> Running:
        """What is known of a training when it begins."""
        point = self._points[job.number]
        text, settings = candidate_text(point.candidate), settings_text(point.train)
        return Running(text, point.stage, point.number, point.repeat, settings=settings)


def _optuna() -> Any:
    return imported("optuna", "'symact[tune]'")


def begin(
    space: Space,
    task: Any,
    optimizer: str,
    run: Path | str,
    ranges: Sequence[str],
    *,
    evaluations: int,
    seed: int = 0,
    batch: int = 8,
    finalists: int = FINALISTS,
    fresh: int = 5,
    train: Mapping[str, Any] | None = None,
    data: str | Path | None = None,
    timeout: float | None = None,
    where: ExecutorSettings | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Tuning:
    """Begin a tuned search in a folder.

    Args:
        space: where functions come from.
        task: name of a task, `FILE.py:Class`, or an object with `evaluate` and `configure`.
        optimizer: name of an optimizer, `random`, `evolution`, `rl` or `surrogate`.
        run: the folder, made here.
        ranges: what is tuned, such as `rate=1e-4:0.1:log`.
        evaluations: trainings of the first two stages in all.
        seed: fixes everything.
        batch: functions that are asked for at a time.
        finalists: how many found functions are tuned, and how many baselines beside ReLU.
        fresh: seeds of the last stage.
        train: settings of the training that are to differ from the task's own throughout.
        data: root folder of the data sets.
        timeout: seconds per training.
        where: candidates are evaluated; None for this process.
        settings: of the optimizer.

    Raises:
        InputError: an argument is wrong, Optuna is not installed, or the folder is not empty.
    """
    _optuna()
    where = where or ExecutorSettings()
    opened = tasks.opened(task, train, data)
    setup.check_inputs(opened.task, space.grammar, opened.settings.name)
    if optimizer == "mixture":
        raise InputError("--tune looks for single functions, and mixture proposes weighted sums; use another optimizer")
    setup.optimizer_class(optimizer)
    read = read_ranges(ranges, tunable_of(opened.task), untunable_of(opened.task))
    own = _own(opened.task)
    for range_ in read:
        _check(opened.task, range_)
    baselines = setup.checked_baselines(opened.task, space.grammar) or BASELINES
    functions = 2 * finalists + 1
    enough = max(2 * (len(baselines) + 1), 2 * functions * LEAST - 1)
    if evaluations < enough:
        raise InputError(
            f"--evaluations {evaluations}: a tuned search takes at least {enough}: half of them for more than the "
            f"{counted(len(baselines), 'baseline')}, half to tune {functions} functions {LEAST} times each"
        )
    header: dict[str, Any] = {
        "grammar": space.grammar.text,
        "space": space.name,
        "shapes": [str(shape) for shape in space.shapes],
        "affine": space.affine,
        "task": opened.settings.model_dump(),
        "metric": asdict(metric_of(opened.task)),
        "baselines": list(baselines),
        "optimizer": optimizer,
        "optimizer_settings": dict(settings or {}),
        "ranges": [range_.text for range_ in read],
        "own": {range_.name: own.get(range_.name) for range_ in read},
        "seed": seed,
        "batch": batch,
        "evaluations": evaluations,
        "finalists": finalists,
        "fresh": fresh,
        "timeout": timeout,
        "data": None if data is None else str(data),
    }
    log = TuneLog(run, header)
    return Tuning(log, opened.task, opened.file, where, header["data"])


def reopen(
    run: Path | str, task: Any = None, where: ExecutorSettings | None = None, data: str | Path | None = None
) -> Tuning:
    """A tuned search that is there, ready to go on; a task in a file, or an object, is named again.

    Raises:
        InputError: there is none, it is damaged or in use, or its task is not named or not the same.
    """
    log = TuneLog(run)
    try:
        stored = TaskSettings(**log.header["task"])
        root = str(data) if data is not None else log.header["data"]
        if stored.kind == "name":
            return Tuning(log, tasks.load(stored, "", root), "", where or ExecutorSettings(), root)
        if task is None:
            raise InputError(f"{run}: its task is the {stored.kind} task {stored.name!r}; name it again with --task")
        described, file = tasks.describe(task)
        if described.identity != stored.identity:
            raise InputError(f"{run}: the task is not the one that the search began with ({stored.name!r})")
        loaded = task if stored.kind == "object" else tasks.load(stored, file, root)
        return Tuning(log, loaded, file, where or ExecutorSettings(), root)
    except BaseException:
        log.close()
        raise


def _own(task: Any) -> dict[str, Any]:
    """The task's own settings as far as it shows them: its `config`, or attributes of those names."""
    config = getattr(task, "config", None)
    shown = dict(vars(config)) if config is not None and hasattr(config, "__dict__") else {}
    for name in tunable_of(task):
        with contextlib.suppress(AttributeError):
            shown.setdefault(name, getattr(task, name))
    return {k: v for k, v in shown.items() if isinstance(v, int | float | str)}


def _check(task: Any, range_: TuneRange) -> None:
    """Refuse a range whose ends the task does not take.

    Raises:
        InputError: what the task says.
    """
    for value in range_.choices or (range_.low, range_.high):
        tasks.configured(task, {range_.name: value})
