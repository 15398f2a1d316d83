"""What a worker is sent and sends back, and the one function that evaluates a candidate.

Everything crosses as JSON text: the grammar's text, the task's name or text, the candidate's
expressions. No closure, no pickle. The same function runs in the process of the study and in workers.
"""

from __future__ import annotations

import base64
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from symact.errors import FormulaError, InputError, SymactError, counted
from symact.execute.reporting import REPORTED, Pruned, Reporter, Tell
from symact.execute.site_count import SiteCount
from symact.execute.task_loading import configured, takes_report
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr, from_document
from symact.expr.tree import sites as expressions_of
from symact.records import Outcome, Status, not_a_score
from symact.store import outcomes
from symact.tasks.declaration import is_gated, metric_of, processes_of, sites_of, takes

DTYPES = ("float64", "float32", "int64", "bool")


@dataclass(frozen=True)
class Job:
    """One training of one candidate, or one measuring of its features.

    Attributes:
        number: number of the trial.
        repeat: which of its trainings.
        seed: training seed.
        candidate: JSON document of the candidate.
        budget: fraction of a full training.
        schedule: handed to the task unless it is `""`.
        kind: `evaluate`, `confirm` (of a finalist, stored apart, by the task's `final_test` if it has one) or
            `features`.
        labels: whose labels the features are measured with, as the task's `features` takes them, unless it is `""`.
        bars: pairs of a step and a merit (higher is better) below which a training is stopped at that step.
        train: settings of the training that this job alone has.
        own_sites: it is the first training of a study with functions of their own at sites: what the task says of these
            is checked with care, and the study ends where that is wrong.
    """

    number: int
    repeat: int
    seed: int
    candidate: Mapping[str, Any]
    budget: float = 1.0
    schedule: str = ""
    kind: str = "evaluate"
    labels: str = ""
    bars: Sequence[Sequence[float]] = ()
    train: Mapping[str, Any] = field(default_factory=dict)
    own_sites: bool = False

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells it from every other job of a study."""
        return self.kind, self.number, self.repeat


@dataclass(frozen=True)
class Result:
    """What became of a job: its outcome, and wall time in seconds."""

    job: Job
    outcome: Outcome
    seconds: float


@dataclass(frozen=True)
class WorkerSettings:
    """What an executor must know to evaluate anything, as plain data.

    Attributes:
        grammar: text of the grammar.
        task: `symact.store.TaskSettings` as a dict.
        file: path of the task's file, whose neighbours it can import; `""` if none.
        data: root folder of the data sets, or None.
        timeout: seconds per job, or None.
        memory: bytes of resident memory of a worker and its children, or None.
        fresh: a process of its own for every job.
    """

    grammar: str
    task: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    data: str | None = None
    timeout: float | None = None
    memory: int | None = None
    fresh: bool = False


class MakeActivation:
    """What a task calls once per activation site, in site order, to get fresh modules.

    Attributes:
        candidate: the `Expr`, or one per site.

    Args:
        candidate: see above.
        grammar: of the candidate.
        before: called before each module is made.
        gated: the modules are gates, of two tensors.
        sites: how many the task says that it has; a second network then begins with the first site again.
        watched: see `SiteCount`.
    """

    def __init__(
        self,
        candidate: Expr | tuple[Expr, ...],
        grammar: Vocabulary,
        before: Callable[[], object] = tuple,
        gated: bool = False,
        sites: int | None = None,
        watched: bool = False,
    ):
        self.candidate, self._grammar, self._before, self._gated = candidate, grammar, before, gated
        self._sites, self._own = sites, watched or not isinstance(candidate, Expr)
        self._count = SiteCount(sites or len(expressions_of(candidate)), watched and sites is not None)

    def __call__(self, channel_dim: int | None = None) -> Any:
        """A fresh module for the next site.

        Args:
            channel_dim: the dimension that counts channels there, for parameters per channel, see `symact.Activation`.

        Raises:
            CandidateError: it cannot be compiled, or the task has another number of sites than it has expressions.
        """
        self._before()
        from symact.activation.gate import Gate
        from symact.activation.module import Activation

        expressions = expressions_of(self.candidate)
        if len(expressions) > 1 and self._sites not in (None, len(expressions)):
            raise CandidateError(
                f"it has {counted(len(expressions), 'expression')}, and the task has {counted(self._sites, 'site')}"
            )
        site = self._count.made % (self._sites or 2**63)
        if len(expressions) > 1 and site >= len(expressions):
            raise CandidateError(f"it has {counted(len(expressions), 'expression')}, and the task has more sites")
        expression = expressions[site if len(expressions) > 1 else 0]
        try:
            if self._gated:
                made: Any = Gate(expression, self._grammar, channel_dim=-1 if channel_dim is None else channel_dim)
            else:
                made = Activation(expression, self._grammar, channel_dim=channel_dim)
        except SymactError as error:
            raise CandidateError(str(error)) from error
        return self._count.add(made)

    def misplaced(self, task: Any) -> str:
        """How a training that has finished used other sites than the candidate has functions for; `""` if it did not.

        A function of the candidate then stood nowhere, or at two sites.
        """
        if self._sites is not None and self._own:
            return self._count.wrong(task)
        if self._own and self._count.made and self._count.made < len(expressions_of(self.candidate)):
            functions = counted(len(expressions_of(self.candidate)), "expression")
            return f"it has {functions}, and the task has {counted(self._count.made, 'site')}"
        return ""


class CandidateError(Exception):
    """A candidate that cannot be compiled."""


# (number of processes, job, tell) -> outcome.
Spread: TypeAlias = Callable[[int, Job, Tell | None], Outcome]

UNABLE = "input_error"  # the metric of an outcome that came of an InputError, see `unable`


def perform(
    task: Any,
    grammar: Vocabulary,
    job: Job,
    before: Callable[[], object] = tuple,
    after: Callable[[], object] = tuple,
    tell: Tell | None = None,
    spread: Spread | None = None,
) -> Outcome:
    """Do a job here. Whatever the candidate or its training raises is an outcome, and one that can be stored.

    Only a `KeyboardInterrupt` passes, for its receiver knows whether somebody pressed Ctrl-C.

    Args:
        task: evaluates the candidate.
        grammar: of the study.
        job: what to do.
        before: called before each activation module is made.
        after: called when the task has come to its end, before anybody looks at what it gave or raised.
        tell: called with what the task reports while it trains.
        spread: does a job in several processes, where the task wants so many; else it is done here.
    """
    started = time.perf_counter()
    try:
        candidate = from_document(dict(job.candidate), grammar)
    except FormulaError as error:
        after()
        return outcomes.storable(Outcome.failed(Status.rejected, f"it cannot be read: {_first_line(error)}"))
    report = Reporter(job.bars, metric_of(task).direction, tell) if takes_report(task) else None
    try:
        try:
            task = configured(task, job.train)
            make = MakeActivation(candidate, grammar, before, is_gated(task), sites_of(task), job.own_sites)
            count = processes_of(task) if spread is not None and job.kind != "features" else 1
            outcome = spread(count, job, tell) if spread and count > 1 else _performed(task, make, job, report)
        finally:
            after()
    except Pruned as stop:
        outcome = Outcome.failed(Status.pruned, str(stop))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also SystemExit, and what test runners raise
        outcome = failure(error, started)
    if report is not None and report.curve and isinstance(outcome.metrics, Mapping):
        outcome = replace(outcome, metrics={**outcome.metrics, REPORTED: report.curve})
    return outcomes.storable(outcome)


def _performed(task: Any, make: MakeActivation, job: Job, report: Reporter | None = None) -> Outcome:
    if job.kind == "features":
        chosen = {"labels": job.labels} if job.labels else {}
        return Outcome.finished(0.0, features=encode_arrays(task.features(make, **chosen)))
    arguments: dict[str, Any] = {"schedule": job.schedule} if job.schedule else {}
    evaluate = _evaluation(task, job)
    if report is not None and takes(evaluate, "report"):
        arguments["report"] = report
    if job.budget != 1 or takes(evaluate, "budget"):
        arguments["budget"] = job.budget
    outcome = evaluate(make, seed=job.seed, **arguments)
    if isinstance(outcome, Outcome):
        wrong = make.misplaced(task) if outcome.status is Status.finished else ""  # else it may have ended early
        if wrong and job.own_sites:
            raise InputError(wrong)
        return Outcome.failed(Status.rejected, wrong) if wrong else outcome
    what = type(outcome).__name__ + ("" if not_a_score(outcome) else f" {float(outcome):g}")
    how = "" if not_a_score(outcome) else ", such as Outcome.finished(score)"
    return Outcome.failed(Status.crashed, f"evaluate returned {what}; it must return a symact.Outcome{how}")


def _evaluation(task: Any, job: Job) -> Callable[..., Any]:
    """How a task evaluates a candidate; a finalist also on the test data, where the task can."""
    tested: Any = getattr(task, "final_test", None) if job.kind == "confirm" else None
    needed = [name for name, is_needed in (("schedule", job.schedule), ("budget", job.budget != 1)) if is_needed]
    able = callable(tested) and all(takes(tested, name) for name in needed)
    chosen: Callable[..., Any] = tested if able else task.evaluate
    return chosen


def failure(error: BaseException, started: float) -> Outcome:
    """The outcome of a training that raised, whatever it raised; `started` is when, by `time.perf_counter`."""
    if isinstance(error, CandidateError):
        return Outcome.failed(Status.rejected, f"it cannot be compiled: {_first_line(error)}")
    if isinstance(error, InputError):
        return Outcome.failed(Status.crashed, f"InputError: {_first_line(error)}", **{UNABLE: True})
    if isinstance(error, MemoryError):
        reason = f"MemoryError after {_age(started)}: {outcomes.described(error)}".removesuffix(": MemoryError")
        return Outcome.failed(Status.out_of_memory, reason)
    return Outcome.failed(Status.out_of_memory if _is_out_of_memory(error) else Status.crashed, _one_line(error))


def unable(outcome: Outcome) -> str:
    """What an `InputError` of the task said (its data is missing), `""` if there was none.

    It may be the candidate's fault as well: who asks has to find out.
    """
    return outcome.reason.removeprefix("InputError: ") if outcome.metrics.get(UNABLE) is True else ""


def _is_out_of_memory(error: BaseException) -> bool:
    """PyTorch raises its own error on the device and a plain RuntimeError on the CPU."""
    text = outcomes.described(error)
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text or "out of memory" in text


def _one_line(error: BaseException) -> str:
    """Class, message and place: the line in the task's own file, and where it led to."""
    message, name = outcomes.described(error), type(error).__name__
    what = f"{name}: {message}" if message != name else name
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return what
    inner = frames[-1]
    called = next((i for i, frame in enumerate(frames) if frame.name == _performed.__name__), -1) + 1
    entered = frames[min(called, len(frames) - 1)].filename
    own = [frame for frame in frames if frame.filename == entered][-1]
    places = [f"{frame.filename.replace(chr(92), '/').rsplit('/', 1)[-1]}:{frame.lineno}" for frame in (own, inner)]
    place = places[0] if own is inner else f"{places[0]}, in {places[1]}"
    return f"{what} ({place})"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:500]


def _age(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"


def encode_arrays(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays as JSON types: name -> type, shape and base64 of the little-endian values.

    Raises:
        TypeError: an array is not of numbers.
    """
    found = {}
    for name, value in arrays.items():
        array = np.asarray(value)
        if array.dtype == np.float16 or array.dtype.kind not in "fib":
            array = array.astype(np.float64)
        if array.dtype.name not in DTYPES:
            array = array.astype({"f": np.float64, "i": np.int64, "b": np.bool_}[array.dtype.kind])
        data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
        found[str(name)] = {"type": array.dtype.name, "shape": list(array.shape), "data": data}
    return found


def decode_arrays(document: Any) -> dict[str, np.ndarray]:
    """The inverse of `encode_arrays`.

    Raises:
        ValueError: it is not the document of arrays.
    """
    if not isinstance(document, dict):
        raise ValueError("arrays are a mapping")
    arrays = {}
    for name, part in document.items():
        try:
            kind, shape, data = part["type"], part["shape"], part["data"]
        except (TypeError, KeyError):
            raise ValueError(f"array {name!r} has no type, shape or data") from None
        if kind not in DTYPES or not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"array {name!r} has an unknown type or shape")
        flat = np.frombuffer(base64.b64decode(data, validate=True), dtype=kind)
        arrays[name] = flat.reshape(shape).copy()
    return arrays
