"""Which settings of a task's training are tuned, and where: `--tune rate=1e-4:0.1:log`, `--tune optimizer=adam,sgd`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symact.errors import InputError

HOW = "expected KEY=LOW:HIGH, KEY=LOW:HIGH:log, KEY=A,B,... or the KEY of a setting that the task declares tunable"


@dataclass(frozen=True)
class TuneRange:
    """The values of one setting.

    Attributes:
        name: of the setting.
        low: lowest value; a whole number where both ends are, which makes it one of whole numbers.
        high: highest value.
        log: values are spread evenly by their logarithm.
        choices: the values themselves, instead of low and high.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def text(self) -> str:
        """As it is written on the command line; `read_ranges` gives the same range for it."""
        if self.choices:
            return f"{self.name}={','.join(map(_text, self.choices))}"
        return f"{self.name}={self.low!r}:{self.high!r}{':log' if self.log else ''}"

    def holds(self, value: Any) -> bool:
        """Whether a value is one of these."""
        if self.choices:
            return value in self.choices
        return _is_number(value) and bool(self.low <= value <= self.high)

    def suggest(self, trial: Any) -> Any:
        """A value for a trial of Optuna."""
        if self.choices:
            return trial.suggest_categorical(self.name, list(self.choices))
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.name, self.low, self.high, log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)


def read_ranges(
    texts: Sequence[str], declared: Mapping[str, str], untunable: Sequence[str] = ()
) -> tuple[TuneRange, ...]:
    """The ranges of `--tune`, each setting once.

    Args:
        texts: as given.
        declared: name -> the range that the task declares for it, written likewise (`1e-4:0.1:log`).
        untunable: settings that the task does not let be tuned.

    Raises:
        InputError: naming the text that is wrong.
    """
    found: dict[str, TuneRange] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name in untunable:
            raise InputError(
                f"--tune {text}: {name} says how a training is run or judged, not how a network learns: give it by "
                f"--train; tuned can be {', '.join(declared) or 'what the task takes'}"
            )
        if not equals and name in declared:
            value = declared[name]
        elif not equals:
            known = ", ".join(declared) or "none"
            raise InputError(f"--tune {text}: {HOW}; it declares {known}")
        if not name.isidentifier() or name in found:
            raise InputError(f"--tune {text}: {'named twice' if name in found else HOW}")
        found[name] = _range(name, value, text)
    return tuple(found.values())


def _range(name: str, value: str, text: str) -> TuneRange:
    if ":" not in value:
        choices = tuple(_value(part) for part in value.split(",") if part)
        if len(choices) < 2 or len(set(choices)) < len(choices):
            raise InputError(f"--tune {text}: give at least two values that differ; {HOW}")
        return TuneRange(name, choices=choices)
    ends, log = value.removesuffix(":log").split(":"), value.endswith(":log")
    numbers = [_value(end) for end in ends]
    if len(numbers) != 2 or not all(_is_number(n) for n in numbers):
        raise InputError(f"--tune {text}: {HOW}")
    low, high = numbers
    if not low < high or (log and low <= 0):
        raise InputError(f"--tune {text}: the low end is {'above 0 and ' if log else ''}below the high end")
    return TuneRange(name, low, high, log)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any) -> str:
    """A choice as `_value` reads it: a name as it is, unless it would be read as something else."""
    if isinstance(value, str) and value and _value(value) == value and not {",", ":"} & set(value):
        return value
    return json.dumps(value).replace(",", "\\u002c").replace(":", "\\u003a")


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float | str) else text
