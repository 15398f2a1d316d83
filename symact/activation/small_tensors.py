"""Small tensors on CPU, whose time is Python's: 1,000 elements take the library half a microsecond.

So what they need is written out here, without the calls and questions of the general path, and the input is
not saved the usual way, which costs 3 microseconds: the graph holds it as long as it lives itself, and the
check that nobody changed it meanwhile is made here. Who watches what is saved
(`torch.autograd.graph.saved_tensors_hooks`) gets the general path.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from symact.backends.cpu.kernel import DONE, TYPES, NativeKernel, fields

# Elements up to which a tensor is small.
SMALL = 16384

_empty_like = torch.empty_like
_grad_enabled = torch.is_grad_enabled
_transforms_active = torch._C._are_functorch_transforms_active
_batched = torch._C._functorch.is_legacy_batchedtensor


def stored(grad: Tensor) -> Tensor:
    """A gradient in memory: autograd also hands on zeros without storage, and sparse ones."""
    if grad.layout is not torch.strided:
        return grad if grad.layout is torch.jagged else grad.to_dense()
    return torch.zeros(grad.shape, dtype=grad.dtype, device=grad.device) if grad._is_zerotensor() else grad


class _Small(Function):
    """A fused kernel without parameters, on a contiguous tensor that begins at the address `place`."""

    @staticmethod
    def forward(ctx: Any, owner: Any, kernel: NativeKernel, x: Tensor, place: int) -> Tensor:
        y = _empty_like(x)
        kind, size = TYPES[x.dtype], x.numel()
        ctx.kept = owner, kernel, x, x._version, kind, size, place
        call = fields(kernel.forward_code, kind, size, 1, place, 0, y.data_ptr(), 0, 0)
        if (outcome := kernel.run_small(call)) != DONE:
            kernel.finish(outcome, call)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        ctx.saved_tensors  # noqa: B018 (none; asking raises PyTorch's error where the graph was freed)
        owner, kernel, x, version, kind, size, place = ctx.kept
        if x._version != version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"the input of an activation, of shape {tuple(x.shape)}, is at version {x._version}; "
                f"expected version {version} instead"
            )
        if _grad_enabled() or _transforms_active() or _batched(grad):
            return None, None, owner.gradients((x,), grad)[0], None
        if not grad.is_contiguous() or grad.is_neg() or not grad.data_ptr():
            grad = stored(grad).resolve_neg().contiguous()
        y = _empty_like(x)
        call = fields(kernel.backward_code, kind, size, 1, place, grad.data_ptr(), y.data_ptr(), 0, 0)
        if (outcome := kernel.run_small(call)) != DONE:
            kernel.finish(outcome, call)
        return None, None, y, None


# What `Function.apply` does when no transform is active, without asking again.
apply: Any = super(Function, _Small).apply
# The node calls `backward` itself, not by way of a method that asks whether it is there: a microsecond.
_Small._backward_cls.apply = _Small.backward  # type: ignore[attr-defined]


def forward(kernel: NativeKernel, x: Tensor, place: int) -> Tensor:
    """The values alone, where `x` begins at an address that is not 0."""
    y = _empty_like(x)
    call = fields(kernel.forward_code, TYPES[x.dtype], x.numel(), 1, place, 0, y.data_ptr(), 0, 0)
    if (outcome := kernel.run_small(call)) != DONE:
        kernel.finish(outcome, call)
    return y
