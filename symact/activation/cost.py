"""What a function costs where it is used: the time of its value and its gradient, on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from symact.activation.module import Activation
from symact.errors import SymactError
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr

ELEMENTS = 65_536
ROUNDS = 7
SECONDS = 0.004  # of each measurement, at least


def costs(expressions: Sequence[Expr], grammar: Vocabulary | None = None) -> list[float | None]:
    """Nanoseconds per element of value and gradient together, float32, one thread; None where it cannot be compiled.

    It is the CPU time of this thread. All are measured in turn, `ROUNDS` times, and the shortest time of each counts.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x = torch.linspace(-4, 4, ELEMENTS).requires_grad_()
        once = [_prepared(expression, grammar, x) for expression in expressions]
        best = [min(times) for times in zip(*[[_seconds(*each) for each in once] for _ in range(ROUNDS)], strict=True)]
    finally:
        torch.set_num_threads(threads)
    return [None if seconds == 0 else 1e9 * seconds / ELEMENTS for seconds in best]


def _prepared(
    expression: Expr, grammar: Vocabulary | None, x: torch.Tensor
) -> tuple[Activation | None, torch.Tensor, int]:
    """An activation that has run before, and how often it runs in one measurement."""
    try:
        activation = Activation(expression, grammar)
        _run(activation, x)
        began = time.thread_time()
        _run(activation, x)
        return activation, x, max(1, round(SECONDS / max(1e-7, time.thread_time() - began)))
    except (SymactError, RuntimeError):
        return None, x, 0


def _run(activation: Activation, x: torch.Tensor) -> None:
    activation(x).sum().backward()
    x.grad = None


def _seconds(activation: Activation | None, x: torch.Tensor, times: int) -> float:
    if activation is None:
        return 0.0
    began = time.thread_time()
    for _ in range(times):
        _run(activation, x)
    return (time.thread_time() - began) / times
