"""A training step of a small chain of linear layers and activations as one native call.

The arithmetic is that of `chain.Chain` in C++ (`symact/backends/cpu/src/mlp_step.cpp`): the same products, the same
activations in the same precision, the same loss. What it saves is a hundred calls per step, each of
which costs more than its arithmetic. In: a model for which `chain.is_chain` holds. Out: its loss and flat
gradient, or its scores.
"""

from __future__ import annotations

import ctypes
import math
from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import nn

from symact.activation.module import Activation
from symact.activation.plan import Plan
from symact.activation.runner import shared_runner
from symact.backends.cpu import library as cpu_library
from symact.backends.cpu.kernel import NativeKernel
from symact.program.pipeline import lower
from symact.tasks.first_order import FlatParameters

# Weights up to which one thread without cache blocking is quicker than a library's products.
SMALL = 2**18

_NO_MEMORY, _BAD_LABEL = 1, 2

# A plan that holds for parameters of ordinary size alone, and the parameters.
_Examined: TypeAlias = tuple[Plan, list[nn.Parameter]]


class _Link(ctypes.Structure):
    """One module, as mlp_step.cpp reads it."""

    _fields_ = (
        ("inputs", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("weight", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("weight_grad", ctypes.c_void_p),
        ("bias_grad", ctypes.c_void_p),
        ("forward", ctypes.c_void_p),
        ("backward", ctypes.c_void_p),
        ("wide_forward", ctypes.c_void_p),
        ("wide_backward", ctypes.c_void_p),
        ("limit", ctypes.c_double),
        ("parameters", ctypes.c_int64),
        ("table", ctypes.c_void_p),
        ("places", ctypes.c_void_p),
    )


def gradient_views(flat: FlatParameters, gradient: torch.Tensor) -> dict[int, torch.Tensor]:
    """``id(parameter)`` -> its part of the flat gradient, in the parameter's shape."""
    views, offset = {}, 0
    for parameter in flat.parameters:
        end = offset + parameter.numel()
        views[id(parameter)] = gradient[offset:end].view_as(parameter)
        offset = end
    return views


@lru_cache(maxsize=1)
def _function() -> Any:
    """The library's function for the instruction set in use, or None without a library."""
    library = cpu_library.load()
    if library is None:
        return None
    function = getattr(library, f"symact_mlp_step_{cpu_library.isa()}")
    pointer = ctypes.c_void_p
    function.argtypes = [pointer, ctypes.c_int, ctypes.c_int64, pointer, pointer, ctypes.c_double, pointer, pointer]
    function.restype = ctypes.c_int
    return function


class NativeChain:
    """As `chain.Chain`, in one native call; made by `of`."""

    def __init__(
        self,
        function: Any,
        links: list[_Link],
        examined: dict[int, _Examined],
        keep: list[Any],
        gradient: torch.Tensor,
        smoothing: float,
    ):
        self._function, self._links, self._keep = function, (_Link * len(links))(*links), keep
        self._examined = [(self._links[number], *found) for number, found in examined.items()]
        self._address, self._inputs, self._outputs = ctypes.addressof(self._links), links[0].inputs, links[-1].outputs
        self.gradient, self.smoothing = gradient, smoothing

    @classmethod
    def of(cls, model: nn.Module, flat: FlatParameters, smoothing: float) -> NativeChain | None:
        """The step of a chain, or None where the model is large, or something has no native kernel."""
        modules = list(model.children())
        if sum(module.weight.numel() for module in modules if isinstance(module, nn.Linear)) > SMALL:
            return None
        function = _function()
        if function is None:
            return None
        gradient = torch.zeros_like(flat.buffer)
        views = gradient_views(flat, gradient)
        keep: list[Any] = []
        links: list[_Link] = []
        examined: dict[int, _Examined] = {}
        width = next(module.in_features for module in modules if isinstance(module, nn.Linear))
        for module in modules:
            if isinstance(module, nn.Linear):
                if module.in_features != width or not module.weight.is_contiguous():
                    return None
                width = module.out_features
                links.append(_linear(module, views))
                continue
            assert isinstance(module, Activation)
            plan, parameters = shared_runner(lower(module.expr)).plan("cpu"), list(module.parameters())
            link = _activation(plan, parameters, views, width, keep)
            if link is None:
                return None
            if plan.seen:
                examined[len(links)] = plan, parameters
            links.append(link)
        # The addresses are those of the parameters' present data, which therefore must live as long.
        keep.extend(parameter.data for parameter in model.parameters())
        return cls(function, links, examined, keep, gradient, smoothing)

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss of the batch, and the flat gradient (overwritten by the next call).

        Raises:
            IndexError: a label is no class.
        """
        loss = torch.empty(())
        self._run(x, y.contiguous(), loss.data_ptr(), None)
        return loss, self.gradient

    def measure(self, x: torch.Tensor, y: torch.Tensor) -> tuple[float, int]:
        """Mean loss, and how many rows have their highest score at their label.

        Raises:
            IndexError: a label is no class.
        """
        found, scores = torch.empty(2), torch.empty(len(x), self._outputs)
        self._run(x, y.contiguous(), found.data_ptr(), scores.data_ptr())
        loss, right = found.tolist()
        return loss, round(right)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """The model's output, ``(n, classes)``."""
        result = torch.empty(len(x), self._outputs)
        self._run(x, None, None, result.data_ptr())
        return result

    def _run(self, x: torch.Tensor, y: torch.Tensor | None, loss: int | None, scores: int | None) -> None:
        if x.shape[1] != self._inputs or (y is not None and (y.dtype != torch.int64 or y.shape != x.shape[:1])):
            raise ValueError(
                f"a chain of {self._inputs} inputs got {tuple(x.shape)}, labels {y if y is None else y.shape}"
            )
        for link, plan, parameters in self._examined:
            link.limit = plan.bound if plan.allows(parameters) else -math.inf
        x = x.contiguous()
        labels = None if y is None else y.data_ptr()
        failed = self._function(
            self._address, len(self._links), len(x), x.data_ptr(), labels, self.smoothing, loss, scores
        )
        if failed == _BAD_LABEL:
            raise IndexError(f"a label is not below the number of classes, {self._outputs}")
        if failed == _NO_MEMORY:
            raise MemoryError("no memory for a step of the chain")


def _linear(module: nn.Linear, views: dict[int, torch.Tensor]) -> _Link:
    link = _Link(inputs=module.in_features, outputs=module.out_features, weight=module.weight.data_ptr())
    if id(module.weight) in views:
        link.weight_grad = views[id(module.weight)].data_ptr()
    if module.bias is not None:
        link.bias = module.bias.data_ptr()
        if id(module.bias) in views:
            link.bias_grad = views[id(module.bias)].data_ptr()
    return link


def _activation(
    plan: Plan, parameters: list[nn.Parameter], views: dict[int, torch.Tensor], width: int, keep: list[Any]
) -> _Link | None:
    narrow = plan.narrow
    wide = (narrow.exact if isinstance(narrow, NativeKernel) else None) or plan.wide or narrow
    shapes = all(p.dtype == torch.float32 and p.dim() < 2 and p.numel() in (1, width) for p in parameters)
    if not isinstance(narrow, NativeKernel) or not isinstance(wide, NativeKernel) or not shapes:
        return None
    link = _Link(inputs=width, outputs=width, limit=plan.bound, parameters=len(parameters))
    link.forward, link.backward = narrow.handles
    link.wide_forward, link.wide_backward = wide.handles
    if parameters:
        numbers = [number for p in parameters for number in (p.data_ptr(), p.numel(), 1)]
        places = [views[id(p)].data_ptr() if id(p) in views else 0 for p in parameters]
        table, where = (ctypes.c_int64 * len(numbers))(*numbers), (ctypes.c_int64 * len(places))(*places)
        keep += [table, where]
        link.table, link.places = ctypes.addressof(table), ctypes.addressof(where)
    keep += [narrow, wide]
    return link
