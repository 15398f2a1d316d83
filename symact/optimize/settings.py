"""Settings that a user gives an optimizer by name, checked against the types that its constructor declares."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from symact.errors import InputError

OF_THE_STUDY = ("space", "seed", "features")
# Settings that have an option of their own, and are no `--set` for a user.
OPTIONS = {"sites": "--per-site or --site-groups", "warm_start": "--warm-start"}


def check_types(cls: type, name: str, settings: Mapping[str, Any]) -> None:
    """Refuse a setting that an optimizer does not have, or whose value is of another type.

    Args:
        cls: the optimizer.
        name: what the user calls it.
        settings: name -> value.

    Raises:
        InputError: naming the setting, what it takes, and what was given.
    """
    known = inspect.signature(cls).parameters
    allowed = [p.name for p in known.values() if p.name not in OF_THE_STUDY and p.kind is not p.VAR_KEYWORD]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in known.values())
    try:
        declared = typing.get_type_hints(cls.__init__)  # type: ignore[misc]
    except (NameError, TypeError):  # a class of the user, whose annotations cannot be looked up
        declared = {}
    for setting, value in settings.items():
        if setting in OF_THE_STUDY or (setting not in allowed and not takes_any):
            own = ", ".join(known for known in allowed if known not in OPTIONS) or "none"
            raise InputError(f"optimizer {name!r} has no setting {setting!r}; it has {own}")
        wanted = declared.get(setting, Any)
        if not fits(value, wanted):
            raise InputError(f"optimizer {name!r}: {setting} takes {described(wanted)}, not {shown(value)}")


def check_option(option: str, setting: str, name: str, optimizers: Mapping[str, type]) -> None:
    """Refuse an option of the command line that another optimizer has.

    Args:
        option: as it is written.
        setting: what it is called in the constructors of optimizers.
        name: of the optimizer that was chosen; one that is not known is not judged.
        optimizers: name -> class.

    Raises:
        InputError: naming the optimizers that have it.
    """
    if name not in optimizers or setting in inspect.signature(optimizers[name]).parameters:
        return
    able = [known for known, cls in optimizers.items() if setting in inspect.signature(cls).parameters]
    raise InputError(f"{option} is for the optimizer{'s' * (len(able) > 1)} {', '.join(able)}, not for {name}")


def fits(value: Any, wanted: Any) -> bool:
    """Whether a value is of a declared type; True for declarations that are not told apart here."""
    if wanted in (int, float):
        if isinstance(value, bool) or not isinstance(value, int if wanted is int else int | float):
            return False
        return abs(value) < 2**63 if wanted is int else abs(value) < math.inf  # also False for NaN
    if wanted in (str, bool, type(None)):
        return isinstance(value, wanted)
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in typing.get_args(wanted))
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(fits(item, typing.get_args(wanted)[1]) for item in value.values())
    if origin in (list, tuple, Sequence):
        return isinstance(value, list | tuple)
    return True


def described(wanted: Any) -> str:
    """A declared type in words."""
    words = {int: "a whole number", float: "a number", str: "a name", bool: "true or false", type(None): "null"}
    if wanted in words:
        return words[wanted]
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(described, typing.get_args(wanted)))
    if origin in (dict, Mapping):
        return f'a table of {described(typing.get_args(wanted)[1]).removeprefix("a ")}s, such as {{"name": 1}}'
    return "a list" if origin in (list, tuple, Sequence) else str(wanted)


def shown(value: Any) -> str:
    """A value as it may stand in a message."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
