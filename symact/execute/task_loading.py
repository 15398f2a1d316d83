"""Which task: by name, as a class in a file of the user, or an object given from Python.

Code of a file task runs only when the caller names the file; its text and SHA-256 go into the
study's settings, and workers run that text, not whatever the file has become since.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import importlib.abc
import importlib.util
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from symact.errors import InputError
from symact.store import TaskSettings
from symact.tasks import TASKS
from symact.tasks.declaration import takes, title_of

MAXIMUM_BYTES = 1_000_000


class _TextLoader(importlib.abc.ExecutionLoader):
    """Imports a module from a text that was read and hashed before."""

    def __init__(self, text: str, name: str):
        self._text, self._name = text, name

    def get_source(self, fullname: str) -> str:
        return self._text

    def get_filename(self, fullname: str) -> str:
        return self._name


def describe(task: Any, train: Mapping[str, Any] | None = None) -> tuple[TaskSettings, str]:
    """Settings for a task as given by the caller, and the path of its file (`""` if none).

    Args:
        task: a name, `FILE.py:Class`, or an object with `evaluate`.
        train: settings of its training, by name.

    Raises:
        InputError: it is none of these.
    """
    own = dict(train or {})
    if not isinstance(task, str):
        if not callable(getattr(task, "evaluate", None)) or isinstance(task, type):
            raise InputError(f"{task!r} is not a task: give a name, FILE.py:Class, or an object with `evaluate`")
        if own:
            raise InputError("train: the task is an object, so set its training on the object itself")
        return TaskSettings(kind="object", name=f"{type(task).__module__}.{type(task).__qualname__}"), ""
    file, colon, name = task.rpartition(":")
    if not colon:
        if task.endswith(".py"):
            raise InputError(f"task {task!r}: name the class in the file as well, such as {task}:MyTask")
        return TaskSettings(kind="name", name=TASKS.checked(task), train=own), ""
    path = Path(file)
    if not file.endswith(".py") or not name.isidentifier():
        raise InputError(f"task {task!r}: expected the name of a task, or FILE.py:Class")
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except OSError as error:
        raise InputError(f"task file {file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"task file {file}: not UTF-8 text") from None
    if len(raw) > MAXIMUM_BYTES:
        raise InputError(f"task file {file}: larger than {MAXIMUM_BYTES} bytes")
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return TaskSettings(kind="file", name=name, text=text, sha256=sha256, train=own), str(path.resolve())


@dataclass(frozen=True)
class Opened:
    """A task as its caller gave it, loaded here.

    Attributes:
        settings: what a study stores of it.
        file: path of its file, `""` if none.
        task: itself.
    """

    settings: TaskSettings
    file: str
    task: Any


def opened(task: Any, train: Mapping[str, Any] | None = None, data: Any = None) -> Opened:
    """A task by name, from a file, or an object, loaded once: what is opened already stays as it is.

    Args:
        task: as for `describe`, or an `Opened`.
        train: settings of its training, by name.
        data: root folder of the data sets, or None.

    Raises:
        InputError: it is no task, or cannot be made.
    """
    if isinstance(task, Opened):
        return task
    settings, file = describe(task, train)
    itself = task if settings.kind == "object" else load(settings, file, None if data is None else str(data))
    if settings.kind != "name":
        settings = settings.model_copy(update={"title": title_of(itself)})
    return Opened(settings, file, itself)


def load(settings: TaskSettings, file: str, data: str | None) -> Any:
    """The task itself: an instance of the named class, ready to evaluate.

    Args:
        settings: of a task by name or in a file.
        file: path of the file, whose neighbours it can import; not read again.
        data: root folder of the data sets, or None for the task's own default.

    Raises:
        InputError: the class is missing, cannot be made or has no `evaluate`.
    """
    if settings.kind == "name":
        cls: Any = TASKS[settings.name]
    else:
        cls = getattr(_module(settings, file), settings.name, None)
        if not isinstance(cls, type):
            raise InputError(f"{file or 'task file'}: it has no class {settings.name!r}")
    try:
        task = cls(data=data) if takes(cls, "data") else cls()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"task {settings.name!r} cannot be made: {type(error).__name__}: {error}") from error
    if not callable(getattr(task, "evaluate", None)):
        raise InputError(f"task {settings.name!r} has no method `evaluate(make_activation, seed, budget)`")
    if settings.train:
        _configure(task, settings.train, settings.name)
    return task


def configured(task: Any, train: Mapping[str, Any]) -> Any:
    """The task with settings of its own for one training: a copy, so that the others keep theirs.

    Dictionaries, lists, tuples, sets, namespaces and instances of dataclasses among its attributes, and within each
    other, are copied. All else, such as data, tensors and networks, is shared.

    Raises:
        InputError: it takes no settings, or not these.
    """
    if not train:
        return task
    copied = copy.copy(task)
    seen = {id(task): copied}
    for name, value in list(getattr(copied, "__dict__", {}).items()):
        copied.__dict__[name] = _apart(value, seen)
    _configure(copied, train, title_of(task) or type(task).__name__)
    return copied


def _apart(value: Any, seen: dict[int, Any]) -> Any:
    """A copy of a container and of those in it; anything else as it is.

    Args:
        value: to copy.
        seen: identity of what was copied before -> its copy, so that what was one object stays one.
    """
    if id(value) in seen:
        return seen[id(value)]
    if type(value) is tuple:
        return tuple(_apart(part, seen) for part in value)
    is_record = dataclasses.is_dataclass(value) and not isinstance(value, type)
    if not is_record and not isinstance(value, dict | list | set | SimpleNamespace | Namespace):
        return value
    copied = seen[id(value)] = copy.copy(value)
    if isinstance(copied, dict):
        for key, part in value.items():
            copied[key] = _apart(part, seen)
    elif isinstance(copied, list):
        copied[:] = [_apart(part, seen) for part in value]
    names = [field.name for field in dataclasses.fields(value)] if is_record else []
    for name in dict.fromkeys([*names, *getattr(value, "__dict__", {})]):
        if hasattr(value, name):
            object.__setattr__(copied, name, _apart(getattr(value, name), seen))  # a frozen one as well
    return copied


def _configure(task: Any, train: Mapping[str, Any], name: str) -> None:
    configure = getattr(task, "configure", None)
    if not callable(configure):
        names = ", ".join(train)
        raise InputError(f"task {name!r} takes no settings ({names}): it has no method `configure(settings)`")
    try:
        configure(dict(train))
    except InputError:
        raise
    except Exception as error:
        given = ", ".join(f"{key}={value}" for key, value in train.items())[:200]
        raise InputError(f"task {name!r} cannot be configured: {type(error).__name__}: {error} ({given})") from error


def unlike_own(settings: TaskSettings, file: str, data: str | None) -> str:
    """Which settings of its training a user gave a task as text where its own are numbers, in words; `""` if none.

    A task takes what it wants; so this is asked where its training has failed.
    """
    given = {name: value for name, value in settings.train.items() if isinstance(value, str)}
    if not given:
        return ""
    try:
        task = load(settings.model_copy(update={"train": {}}), file, data)
    except InputError:
        return ""
    config = getattr(task, "config", None)
    shown = {**getattr(config, "__dict__", {}), **(config if isinstance(config, Mapping) else {})}
    own = {name: getattr(task, name, shown.get(name)) for name in given}
    return "; ".join(
        f"--train {name}={value}: the task's own {name} is {own[name]}, so give a number"
        for name, value in given.items()
        if isinstance(own[name], int | float) and not isinstance(own[name], bool)
    )


def takes_schedule(task: Any) -> bool:
    """Whether a task's `evaluate` has a `schedule` argument."""
    return takes(task.evaluate, "schedule")


def takes_report(task: Any) -> bool:
    """Whether a task's `evaluate` has a `report` argument."""
    return takes(task.evaluate, "report")


def takes_labels(task: Any) -> bool:
    """Whether a task's `features` has a `labels` argument."""
    return takes(getattr(task, "features", None), "labels")


def _module(settings: TaskSettings, file: str) -> ModuleType:
    name = f"symact_task_{settings.sha256[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    loader, folder = _TextLoader(settings.text, file), str(Path(file).parent) if file else ""
    spec = importlib.util.spec_from_loader(name, loader, origin=file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = file
    if folder and folder not in sys.path:
        sys.path.append(folder)  # last, so that a neighbour cannot take the place of a library
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, Exception):
            raise
        place = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise InputError(
            f"{file or 'task file'}: cannot be imported: {type(error).__name__}: {error}{place}"
        ) from error
    return module
