"""Which fused back end runs a Program: the registry, and the protocol that a back end keeps.

A back end is a module with `kernel(forward, backward) -> Kernel | None`. `BACKENDS` names one per
device type. Plain torch operations (`torch_source`) are what runs everywhere else.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Tensor

from symact.program.program import Program

BACKENDS: dict[str, str] = {"cpu": "symact.backends.cpu.kernel", "cuda": "symact.backends.triton.kernel"}


# Device type -> the module with `pointwise(program) -> Pointwise | None`, for derivatives of derivatives.
POINTWISE: dict[str, str] = {"cpu": BACKENDS["cpu"], "cuda": BACKENDS["cuda"]}


class Kernel(Protocol):
    """A fused forward and backward of one Program.

    `x` is a floating tensor of any shape and layout. A parameter has shape `()`, or
    `(C,)` with `C = x.shape[1]` (`x.shape[-1]` where `x` has fewer than two dimensions).
    """

    def supports(self, x: Tensor, parameters: tuple[Tensor, ...]) -> bool:
        """Whether these tensors can be given to `forward` and `backward`."""

    def forward(self, x: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
        """The values, in the dtype, shape and layout of `x`."""

    def backward(self, grad: Tensor, x: Tensor, parameters: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The gradient of `x`, then of each parameter, summed to its shape."""


class Pointwise(Protocol):
    """One Program all of whose inputs and outputs are tensors of one shape and dtype, fused."""

    def supports(self, tensors: tuple[Tensor, ...]) -> bool:
        """Whether these tensors can be given to it."""

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """One tensor an output, like the first input."""


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class Selector:
    """Chooses among back ends.

    Args:
        backends: device type -> the module of its back end.

    Attributes:
        generation: grows when the choice changes, so that who keeps a kernel asks again.
    """

    def __init__(self, backends: Mapping[str, str]):
        self.generation = 0
        self._modules = dict(backends)

    def kernel(self, device: str, forward: Program, backward: Program) -> Kernel | None:
        """The fused kernel for tensors on a device type, new each time, or None where plain torch runs."""
        module = _module(self._modules[device]) if device in self._modules else None
        found: Kernel | None = None if module is None else module.kernel(forward, backward)
        return found

    def pointwise(self, device: str, program: Program) -> Pointwise | None:
        """The fused kernel of a Program over whole tensors, new each time, or None where plain torch runs."""
        module = _module(POINTWISE[device]) if device in self._modules and device in POINTWISE else None
        found: Pointwise | None = None if module is None else module.pointwise(program)
        return found

    @contextmanager
    def only_plain(self) -> Iterator[None]:
        """Run plain torch operations inside the block, whatever back ends there are."""
        saved = self._modules
        self._choose({})
        try:
            yield
        finally:
            self._choose(saved)

    def _choose(self, modules: dict[str, str]) -> None:
        self._modules = modules
        self.generation += 1


SELECTOR = Selector(BACKENDS)
