"""Arguments of a study, checked before anything is made: task, optimizer, their settings, limits."""

from __future__ import annotations

import inspect
from typing import Any

from symact.errors import FormulaError, InputError, SymactError, counted
from symact.execute import task_loading as tasks
from symact.execute.devices import assign, devices
from symact.execute.executor import ExecutorSettings
from symact.expr.operators import Vocabulary
from symact.expr.space import Space
from symact.expr.tree import candidate_text, from_document, parse
from symact.optimize import OPTIMIZERS
from symact.optimize.pool import Pool
from symact.optimize.settings import check_types
from symact.store import Settings, Store
from symact.store.ledger import Ledger
from symact.study.given import GivenCandidates
from symact.study.proposer import BASELINE_BATCH
from symact.tasks.declaration import GATES, baselines_of, is_gated, metric_of

GIGABYTE = 2**30


def optimizer_name(optimizer: str | type) -> str:
    """The name of an optimizer given by name or as a class."""
    return optimizer if isinstance(optimizer, str) else str(getattr(optimizer, "name", "") or optimizer.__name__)


def optimizer_class(optimizer: str | type, resumed: bool = False) -> type:
    """The class of an optimizer given by name or as a class.

    Args:
        optimizer: the name or the class.
        resumed: the name is that of a stored study, which may have begun with a class of its user.

    Raises:
        InputError: there is none of that name.
    """
    if not isinstance(optimizer, str):
        return optimizer
    if resumed and optimizer not in OPTIMIZERS:
        raise InputError(
            f"the study began with an optimizer of its own, {optimizer!r} (known are {', '.join(OPTIMIZERS)}); "
            "resume it from Python and give the class: Study.resume(run, optimizer=...)"
        )
    found: type = OPTIMIZERS[optimizer]
    return found


def make_optimizer(cls: type, space: Any, settings: Settings, features: Any, task: Any) -> Any:
    """The optimizer of a study.

    Raises:
        InputError: it has no such setting, or the task cannot train what it proposes.
    """
    known = inspect.signature(cls).parameters
    check_types(cls, settings.optimizer, settings.optimizer_settings)
    extra = {"features": features} if "features" in known or features is not None else {}
    try:
        made = cls(space, settings.seed, **extra, **settings.optimizer_settings)
    except (TypeError, ValueError) as error:
        raise InputError(f"optimizer {settings.optimizer!r}: {error}") from error
    if getattr(made, "schedule", "joint") != "joint" and not tasks.takes_schedule(task):
        raise InputError(
            f"optimizer {settings.optimizer!r} needs a task whose `evaluate` has a `schedule` argument; "
            f"{settings.task.name!r} has none"
        )
    if getattr(made, "labels", "") and not tasks.takes_labels(task):
        raise InputError(
            f"optimizer {settings.optimizer!r}: fisher=true needs a task whose `features` has a `labels` argument; "
            f"{settings.task.name!r} has none"
        )
    return made


def given_candidates(space: Space, settings: Settings) -> GivenCandidates:
    """What a comparison has in the place of an optimizer.

    Raises:
        InputError: a stored candidate cannot be read.
    """
    candidates = [from_document(dict(document), space.grammar) for document in settings.given]
    return GivenCandidates(candidates, Pool.of(space).index.key)


def has_own_sites(settings: Settings) -> bool:
    """Whether candidates of a study may have a function of their own at each site, or group of sites."""
    texts = [given["expressions"] for given in settings.given]
    return "sites" in settings.optimizer_settings or any(isinstance(own, list) and len(own) > 1 for own in texts)


def check_pruning(percent: object, task: Any, name: str, halving: bool, given: bool) -> None:
    """Refuse a share that is none, and to stop trainings early where nothing is reported or something else does so.

    Raises:
        InputError: saying what to change.
    """
    if not isinstance(percent, int | float) or isinstance(percent, bool) or not 0 < percent < 100:
        raise InputError(f"prune: {percent!r}: expected a percentage above 0 and below 100; 50 is the median")
    if given:
        raise InputError("prune: a comparison trains every function in full; leave prune out")
    if halving:
        raise InputError("prune and halving (budgets) both stop trainings early: choose one of them")
    if not tasks.takes_report(task):
        raise InputError(
            f"prune: the task {name!r} tells nothing while it trains; its `evaluate` needs an argument `report`, and "
            "calls report(step, score) after each epoch or so"
        )


def memory_bytes(gigabytes: float | None) -> int | None:
    """A limit in GiB as bytes.

    Raises:
        InputError: it is no amount of memory.
    """
    if gigabytes is None:
        return None
    if not 0 < gigabytes < 2**30:
        raise InputError(f"memory: {gigabytes} GiB is no amount of memory")
    return int(gigabytes * GIGABYTE)


def check_goal(evaluations: int) -> None:
    """Refuse a total of evaluations that cannot be kept.

    Raises:
        InputError: it is below 1, or beyond 64 bits.
    """
    if not 1 <= evaluations < 2**63:
        raise InputError(f"evaluations: {evaluations} is not between 1 and 2^63 - 1")


def check_baselines(ledger: Ledger, settings: Settings) -> None:
    """Stop a search where no baseline can be trained: then it is the task that fails, not the candidates.

    Raises:
        SymactError: with what happened to the first one.
    """
    if settings.given:
        return
    numbers = [row.number for row in ledger.rows if row.batch == BASELINE_BATCH]
    trials = [ledger.trial(number) for number in numbers if ledger.is_complete(number)]
    if trials and len(trials) == len(numbers) and all(trial.score is None for trial in trials):
        first = trials[0]
        raise SymactError(
            f"all {counted(len(trials), 'baseline')} failed, so the search was stopped; "
            f"{candidate_text(first.candidate)} {first.status.value}: {first.reason}"
        )


def check_inputs(task: Any, grammar: Vocabulary, name: str) -> None:
    """Refuse gates for a task whose activations take one tensor, and activations for one whose take two.

    Args:
        task: the loaded task.
        grammar: of the candidates.
        name: of the task, for the message.

    Raises:
        InputError: they do not go together.
    """
    gated, inputs = is_gated(task), " and ".join(grammar.inputs)
    if gated and len(grammar.inputs) == 1:
        raise InputError(
            f"the task {name} has gates, functions of x and g; the grammar has functions of {inputs} alone: "
            "take one such as gates (`symact grammars`)"
        )
    if not gated and len(grammar.inputs) > 1:
        raise InputError(
            f"the task {name} has activations of x alone; the grammar has functions of {inputs}: take a task with "
            "gates, such as char-lm-gated"
        )


def checked_baselines(task: Any, grammar: Vocabulary) -> tuple[str, ...]:
    """The baselines that a task declares; where it declares none, none, or the published gates if it is gated.

    Raises:
        InputError: one of them cannot be read.
    """
    texts = baselines_of(task) or (GATES if is_gated(task) else ())
    for text in texts:
        try:
            parse(text, grammar)
        except FormulaError as error:
            raise InputError(f"task {type(task).__name__}: its baseline {text!r} cannot be read: {error}") from None
    return texts


def check_direction(store: Store, task: Any) -> None:
    """Refuse to go on with a task whose scores mean the opposite of those that are stored.

    Raises:
        InputError: it declares the other direction.
    """
    stored, declared = store.settings.metric.direction, metric_of(task).direction
    if stored != declared:
        raise InputError(f"{store.run}: the study is to {stored} its metric, and the task now declares {declared!s}")


def check_executor(settings: Settings, where: ExecutorSettings) -> None:
    """Refuse what cannot be done where the candidates are to be evaluated.

    Raises:
        InputError: saying what to change.
    """
    if settings.task.kind == "object" and not where.is_here:
        raise InputError(
            f"the task {settings.task.name} is an object and lives in this process alone: "
            "use workers=0, or put its class into a file and name it FILE.py:Class"
        )
    if where.is_here and (settings.timeout is not None or settings.memory is not None):
        raise InputError("limits of time and memory need worker processes: use --workers 1 (workers=1) or more")
    if where.executor == "local":
        assign(devices(), where.workers, where.gpus)


def same_task(store: Store, task: Any) -> tuple[Any, str]:
    """The task for a resume, and the file of its file: as stored, or as named again and compared.

    Raises:
        InputError: it must be named, or is not the one that the study began with.
    """
    stored, run = store.settings.task, store.run
    if stored.kind == "name":
        if task is not None and task != stored.name:
            raise InputError(f"{run}: its task is {stored.name!r}, not {task!r}")
        return stored.name, ""
    if task is None:
        how = f"--task FILE.py:{stored.name}" if stored.kind == "file" else "task=..., an object from Python"
        raise InputError(f"{run}: its task is the {stored.kind} task {stored.name!r}; name it again with {how}")
    described, file = tasks.describe(task)
    if (described.kind, described.name) != (stored.kind, stored.name):
        raise InputError(f"{run}: its task is the {stored.kind} task {stored.name!r}, not {described.name!r}")
    if described.sha256 != stored.sha256:
        raise InputError(
            f"{run}: the task file has changed since the study began (SHA-256 {described.sha256[:12]}..., "
            f"then {stored.sha256[:12]}...); restore it, or begin a new study"
        )
    return task, file
