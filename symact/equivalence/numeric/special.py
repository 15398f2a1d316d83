"""`scipy.special`, imported when one of its functions is first called: it costs a quarter of a second."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any


class _Special:
    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **given: Any) -> Any:
            return _function(name)(*arguments, **given)

        return call


@cache
def _function(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(importlib.import_module("scipy.special"), name)
    return found


special = _Special()
