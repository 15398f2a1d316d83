"""What a task declares of itself beside `evaluate`: its metric and its baselines.

All of it is optional, and all of it is the word of a stranger: it is checked once, when the task is loaded.
"""

from __future__ import annotations

from typing import Any

from symact.errors import InputError
from symact.records import Direction, Metric

MOST_BASELINES = 100

# Field of `Metric` -> the attribute of the task.
_ATTRIBUTES = {"name": "metric", "unit": "unit", "number_format": "number_format"}


def metric_of(task: Any) -> Metric:
    """The metric of a task: its attributes `metric`, `direction`, `unit` and `number_format`.

    Raises:
        InputError: one of them is not as it must be.
    """
    direction = getattr(task, "direction", "maximize")
    if not isinstance(direction, str) or direction not in list(Direction):
        raise InputError(f"{_name(task)}: direction is 'maximize' or 'minimize', not {direction!r}")
    given = {field: getattr(task, attribute, None) for field, attribute in _ATTRIBUTES.items()}
    try:
        return Metric(direction=Direction(direction), **{k: value for k, value in given.items() if value is not None})
    except ValueError as error:
        raise InputError(f"{_name(task)}: {error}") from None


def baselines_of(task: Any) -> tuple[str, ...]:
    """The expressions that a task names as its baselines; none if it names none.

    Raises:
        InputError: it is no list of texts.
    """
    given = getattr(task, "baselines", None)
    if given is None:
        return ()
    if not isinstance(given, list | tuple) or not given or not all(isinstance(text, str) for text in given):
        raise InputError(f"{_name(task)}: baselines is a list of expressions such as ['relu(x)', 'x*sigmoid(x)']")
    if len(given) > MOST_BASELINES:
        raise InputError(f"{_name(task)}: {len(given)} baselines; at most {MOST_BASELINES} are trained")
    return tuple(dict.fromkeys(text.strip() for text in given))


def _name(task: Any) -> str:
    return f"task {getattr(task, 'name', '') or type(task).__name__!s}"
