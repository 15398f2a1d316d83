"""What a worker pays before the clock of a candidate starts: imports, data, the first call of everything.

A limit of time is for the candidate. What symact itself does first (importing PyTorch, loading its native library,
compiling a first function), what a task's file imports inside its functions, and what a task does in its own
`prepare()` are no part of any training.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from contextlib import suppress
from typing import Any

from symact.errors import InputError, SymactError
from symact.store import outcomes


def import_what_is_named(text: str) -> None:
    """Import the modules that a task's text imports inside functions; what cannot be imported is left to the task."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import):
                names = [alias.name for alias in inner.names]
            elif isinstance(inner, ast.ImportFrom) and not inner.level and inner.module:
                names = [inner.module]
            elif isinstance(inner, ast.Call) and _name(inner.func) in ("import_module", "__import__"):
                first = inner.args[:1]
                names = [a.value for a in first if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            else:
                continue
            for name in names:
                with suppress(Exception):
                    importlib.import_module(name)


def _name(function: ast.expr) -> str:
    """Of `f` or `module.f`."""
    return getattr(function, "id", getattr(function, "attr", ""))


def prepare(task: Any) -> None:
    """Let a task load what all its trainings share, where it has a method `prepare()`.

    Raises:
        InputError: it says so, or fails.
    """
    method = getattr(task, "prepare", None)
    if not callable(method):
        return
    with suppress(TypeError, ValueError):
        parameters = inspect.signature(method).parameters.values()
        if any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters):
            return  # a method of the same name for something else
    try:
        method()
    except SymactError:
        raise
    except Exception as error:
        raise InputError(
            f"prepare() of the task failed: {type(error).__name__}: {outcomes.described(error)}"
        ) from error


def first_training() -> None:
    """Import PyTorch and what symact runs on it, and train one step of something small."""
    import torch

    from symact.activation.module import Activation

    torch.set_num_threads(1)
    layer, activation = torch.nn.Linear(2, 2), Activation("x*sigmoid(x)")
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    optimizer.zero_grad()
    activation(layer(torch.ones(1, 2))).sum().backward()
    optimizer.step()
