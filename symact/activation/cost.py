"""What a function costs where it is used: the time of its value and its gradient, on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from symact.activation.gate import Gate
from symact.activation.module import Activation, FormulaModule
from symact.errors import SymactError
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr

ELEMENTS = 65_536
ROUNDS = 7
SECONDS = 0.004  # of each measurement, at least


def costs(expressions: Sequence[Expr], grammar: Vocabulary | None = None) -> list[float | None]:
    """Nanoseconds per element of value and gradient together, float32, one thread; None where it cannot be compiled.

    Of a function of x and g it is that of a gate and both its gradients. It is the CPU time of this thread. All are
    measured in turn, `ROUNDS` times, and the shortest time of each counts.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x = torch.linspace(-4, 4, ELEMENTS).requires_grad_()
        g = x.detach().flip(0).requires_grad_()
        once = [_prepared(expression, grammar, x, g) for expression in expressions]
        best = [min(times) for times in zip(*[[_seconds(*each) for each in once] for _ in range(ROUNDS)], strict=True)]
    finally:
        torch.set_num_threads(threads)
    return [None if seconds == 0 else 1e9 * seconds / ELEMENTS for seconds in best]


def _prepared(
    expression: Expr, grammar: Vocabulary | None, x: torch.Tensor, g: torch.Tensor
) -> tuple[FormulaModule | None, tuple[torch.Tensor, ...], int]:
    """A module that has run before, what it takes, and how often it runs in one measurement."""
    gated = len(expression.inputs) > 1
    inputs = (x, g) if gated else (x,)
    try:
        activation = Gate(expression, grammar) if gated else Activation(expression, grammar)
        _run(activation, inputs)
        began = time.thread_time()
        _run(activation, inputs)
        return activation, inputs, max(1, round(SECONDS / max(1e-7, time.thread_time() - began)))
    except (SymactError, RuntimeError):
        return None, inputs, 0


def _run(activation: FormulaModule, inputs: tuple[torch.Tensor, ...]) -> None:
    activation(*inputs).sum().backward()
    for tensor in inputs:
        tensor.grad = None


def _seconds(activation: FormulaModule | None, inputs: tuple[torch.Tensor, ...], times: int) -> float:
    if activation is None:
        return 0.0
    began = time.thread_time()
    for _ in range(times):
        _run(activation, inputs)
    return (time.thread_time() - began) / times
