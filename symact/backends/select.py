"""Which fused back end runs a Program: the registry, and the protocol that a back end keeps.

A back end is a module with `kernel(forward, backward) -> Kernel | None`. `BACKENDS` names one per
device type. Plain torch operations (`torch_source`) are what runs everywhere else.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Protocol

from torch import Tensor

from symact.program.program import Program

BACKENDS: dict[str, str] = {"cpu": "symact.backends.cpu.kernel", "cuda": "symact.backends.triton.source"}

_enabled: set[str] = set(BACKENDS)

# Grows when the choice of back ends changes, so that who keeps a kernel asks again.
version = 0


class Kernel(Protocol):
    """A fused forward and backward of one Program.

    `x` is a floating tensor of any shape, contiguous or channels_last. A parameter has shape `()`, or
    `(C,)` with `C = x.shape[1]` (`x.shape[-1]` where `x` has fewer than two dimensions).
    """

    def supports(self, x: Tensor, parameters: tuple[Tensor, ...]) -> bool:
        """Whether these tensors can be given to `forward` and `backward`."""

    def forward(self, x: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
        """The values, in the dtype, shape and layout of `x`."""

    def backward(self, grad: Tensor, x: Tensor, parameters: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The gradient of `x`, then of each parameter, summed to its shape."""


@lru_cache(maxsize=65536)
def kernel(device: str, forward: Program, backward: Program) -> Kernel | None:
    """The fused kernel for tensors on `device`, or None where plain torch runs."""
    if device not in _enabled:
        return None
    try:
        module = importlib.import_module(BACKENDS[device])
    except ImportError:
        return None
    if not hasattr(module, "kernel"):
        # The folder of C++ sources alone, without its module, imports as an empty package.
        return None
    found: Kernel | None = module.kernel(forward, backward)
    return found


@contextmanager
def only_plain() -> Iterator[None]:
    """Run plain torch operations inside the block, whatever back ends there are."""
    saved = set(_enabled)
    _change(set())
    try:
        yield
    finally:
        _change(saved)


def _change(enabled: set[str]) -> None:
    global version
    _enabled.clear()
    _enabled.update(enabled)
    kernel.cache_clear()
    version += 1
