"""Arguments of a study, checked before anything is made: task, optimizer, their settings, limits."""

from __future__ import annotations

import inspect
from typing import Any

from symact.errors import InputError
from symact.execute import task_loading as tasks
from symact.execute.executor import ExecutorSettings
from symact.optimize import OPTIMIZERS
from symact.store import Settings, Store


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
    if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        allowed = [name for name in known if name not in ("space", "seed", "features")]
        for name in settings.optimizer_settings:
            if name not in allowed:
                raise InputError(
                    f"optimizer {settings.optimizer!r} has no setting {name!r}; it has {', '.join(allowed) or 'none'}"
                )
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
    return made


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
