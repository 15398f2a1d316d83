"""What a task declares of itself beside `evaluate`: metric, baselines, settings of its training, whether it has gates.

All of it is optional, and all of it is the word of a stranger: it is checked once, when the task is loaded.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from symact.errors import InputError, printable
from symact.records import Direction, Metric

MOST_BASELINES = 100
MOST_LETTERS = 100  # of a title
# Those of a task whose activations are gates: SwiGLU, GEGLU, ReGLU, GLU and the bilinear gate (arXiv:2002.05202).
GATES = ("x*sigmoid(x)*g", "gelu(x)*g", "max(x, 0)*g", "sigmoid(x)*g", "x*g")

# The range of `weight_decay` for a task whose own is 0, which no logarithmic range holds.
NO_DECAY_OR = "0.0,1e-6,1e-5,1e-4,1e-3,0.01,0.1"

# Field of `Metric` -> the attribute of the task.
_ATTRIBUTES = {"name": "metric", "unit": "unit", "number_format": "number_format"}


def metric_of(task: Any) -> Metric:
    """The metric of a task: its attributes `metric`, `direction`, `unit` and `number_format`.

    Raises:
        InputError: one of them is not as it must be.
    """
    direction = getattr(task, "direction", "maximize")
    if not isinstance(direction, str) or direction not in list(Direction):
        raise InputError(f"{task_name(task)}: direction is 'maximize' or 'minimize', not {direction!r}")
    given = {field: getattr(task, attribute, None) for field, attribute in _ATTRIBUTES.items()}
    try:
        return Metric(direction=Direction(direction), **{k: value for k, value in given.items() if value is not None})
    except ValueError as error:
        raise InputError(f"{task_name(task)}: {error}") from None


def baselines_of(task: Any) -> tuple[str, ...]:
    """The expressions that a task names as its baselines; none if it names none.

    Raises:
        InputError: it is no list of texts.
    """
    given = getattr(task, "baselines", None)
    if given is None:
        return ()
    if not isinstance(given, list | tuple) or not given or not all(isinstance(text, str) for text in given):
        raise InputError(f"{task_name(task)}: baselines is a list of expressions such as ['relu(x)', 'x*sigmoid(x)']")
    if len(given) > MOST_BASELINES:
        raise InputError(f"{task_name(task)}: {len(given)} baselines; at most {MOST_BASELINES} are trained")
    return tuple(dict.fromkeys(text.strip() for text in given))


def title_of(task: Any) -> str:
    """What a task calls itself on pages and in headings: its attribute `name` on one line; `""` where it has none."""
    try:
        given = getattr(task, "name", None)
    except Exception:  # of a property; no task is refused for a heading
        return ""
    return printable(" ".join(given.split()))[:MOST_LETTERS] if isinstance(given, str) else ""


def sites_of(task: Any) -> int | None:
    """How many activation sites a task says that it has; None where it does not say."""
    count = getattr(task, "sites", None)
    return count if isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= 1000 else None


def tunable_of(task: Any) -> dict[str, str]:
    """The settings that a task says can be tuned: name -> range, written as on the command line, `1e-4:0.1:log`.

    Raises:
        InputError: it is no such mapping.
    """
    given = getattr(task, "tunable", None) or {}
    if not isinstance(given, Mapping) or not all(isinstance(part, str) for pair in given.items() for part in pair):
        raise InputError(
            f"{task_name(task)}: tunable maps names of settings to ranges, such as {{'rate': '1e-4:0.1:log'}}"
        )
    return dict(given)


def untunable_of(task: Any) -> tuple[str, ...]:
    """The settings that a task says are not to be tuned, since they say how a training is run or judged.

    Raises:
        InputError: they are no list of names.
    """
    given = getattr(task, "untunable", ())
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise InputError(f"{task_name(task)}: untunable is a list of names of settings, such as ['processes']")
    return tuple(given)


def site_names_of(task: Any) -> list[str] | None:
    """The names of the activation sites of a task, in their order: its attribute `site_names`; None if it has none.

    Raises:
        InputError: it is not one name for each site.
    """
    given = getattr(task, "site_names", None)
    given = given() if callable(given) else given
    if given is None:
        return None
    count = sites_of(task)
    if not isinstance(given, list | tuple) or len(given) != count or not all(isinstance(name, str) for name in given):
        raise InputError(f"{task_name(task)}: site_names is a list of {count or 'as many'} names, one for each site")
    return list(given)


# What the settings of the shipped tasks may be: a test, and the same in words.
_POSITIVE = (lambda value: 0 < value < math.inf), "above 0"
_FROM_ZERO = (lambda value: 0 <= value < math.inf), "0 or more"
_FRACTION = (lambda value: 0 <= value < 1), "from 0 to below 1"
_LIMITS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(
        ("epochs", "steps", "batch", "evaluation_batch", "processes", "rate", "width", "initial_scale"), _POSITIVE
    ),
    **dict.fromkeys(
        (
            "weight_decay",
            "clip",
            "subset",
            "shift",
            "lookahead",
            "rate_batch",
            "randaugment",
            "mixup",
            "cutmix",
            "workers",
        ),
        _FROM_ZERO,
    ),
    **dict.fromkeys(("momentum", "label_smoothing", "warmup", "ema", "crop"), _FRACTION),
}
_LIMITS["random_erase"] = (lambda value: 0 <= value <= 1), "from 0 to 1"
_LIMITS["magnitude"] = (lambda value: 0 <= value <= 30), "from 0 to 30"
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}


def checked_training(
    task: Any, current: Mapping[str, Any], given: Mapping[str, Any], choices: Mapping[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Settings of a shipped task's training that a user gave, each of the type of what it replaces.

    Args:
        task: to be named in messages.
        current: the settings that there are.
        given: those that are to change.
        choices: name -> the texts that it may be.

    Raises:
        InputError: naming the setting, what it takes, and what was given.
    """
    checked = {}
    for name, value in given.items():
        if name not in current:
            raise InputError(f"{task_name(task)} has no setting {name!r}; it has {', '.join(current)}")
        kind = type(current[name])
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (type(value) is kind or (kind is float and number)):
            raise InputError(f"{task_name(task)}: {name} takes {_KINDS[kind]}, not {str(value)[:60]!r}")
        holds, words = _LIMITS.get(name, (lambda _: True, ""))
        if name in choices and value not in choices[name]:
            raise InputError(f"{task_name(task)}: {name} is one of {', '.join(choices[name])}, not {str(value)[:60]!r}")
        if not holds(value):
            raise InputError(f"{task_name(task)}: {name} is {words}, not {value}")
        checked[name] = kind(value)
    return checked


def processes_of(task: Any) -> int:
    """How many processes evaluate a candidate of a task together: its attribute `processes`; 1 where it has none.

    Raises:
        InputError: it is no whole number from 1 to 1,024.
    """
    given = getattr(task, "processes", 1)
    if type(given) is not int or not 1 <= given <= 1024:
        raise InputError(f"{task_name(task)}: processes is a whole number from 1 to 1024, not {str(given)[:60]!r}")
    return given


def is_gated(task: Any) -> bool:
    """Whether the activations of a task are gates, modules of two tensors: its attribute `gated`.

    Raises:
        InputError: it is neither True nor False.
    """
    given = getattr(task, "gated", False)
    if not isinstance(given, bool):
        raise InputError(f"{task_name(task)}: gated is True or False, not {given!r}")
    return given


def task_name(task: Any) -> str:
    """What a task is called in messages: `task digits-deep`."""
    return f"task {title_of(task) or type(task).__name__}"


def takes(function: Any, name: str) -> bool:
    """Whether a function has an argument of that name."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
