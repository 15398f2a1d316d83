"""Derivatives of derivatives by fused kernels: the backward of a backward is a Program, too.

A `DerivativeChain` says what a pass of reverse mode computes of x and of the gradients that came in. Its kernel saves
those and nothing else, and its own backward is the next chain, for as many passes as somebody asks for. Which form of
the derivatives is right in which precision is found once for those that a chain needs, as `plan` does for values and
gradients. A learnable parameter is one more tensor of the shape of x, expanded, so that autograd sums its gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import Tensor
from torch.autograd import Function

from symact.activation import small_tensors
from symact.activation.float32_range import ORDINARY, Reach, double_form, form, reach_of_values, wide
from symact.activation.joint_range import Box, box_of_values
from symact.backends.cpu.kernel import PointwiseKernel, pointwise
from symact.backends.select import SELECTOR, Pointwise
from symact.program.compensation import compensated
from symact.program.higher import DerivativeChain, chained, joined, partial
from symact.program.program import Program
from symact.program.taylor import expanded


class FusedChain(Function):
    """One pass of reverse mode over a function, by a fused kernel."""

    @staticmethod
    def forward(ctx: Any, owner: Any, chain: DerivativeChain, kernel: Pointwise, *tensors: Tensor) -> Any:
        """What the chain computes, by its kernel."""
        ctx.arguments = owner, chain
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        results = kernel(*tensors)
        return results if len(results) > 1 else results[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        """By the chain that follows."""
        owner, chain = ctx.arguments
        needed = ctx.needs_input_grad[3:]
        following = chain.pulled_back(tuple([g is not None for g in grads]), needed)
        coming = [small_tensors.stored(g) for g in grads if g is not None]
        found = iter(owner.chain(following, (*ctx.saved_tensors, *coming)) if following.outputs and coming else ())
        return None, None, None, *[next(found, None) if wanted else None for wanted in needed]


# What `Function.apply` does when no transform is active, without asking again.
apply: Any = super(Function, FusedChain).apply
# The node calls `backward` itself, not by way of a method that asks whether it is there: a microsecond.
FusedChain._backward_cls.apply = FusedChain.backward  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Forms:
    """A function and its derivatives up to some order, for tensors of float32 or less on CPU.

    Attributes:
        narrow: the form for float32;
        reach: where that is right;
        wide: the form for float64, where it is not.
    """

    narrow: Program
    reach: Reach | Box
    wide: Program


def kernel(program: Program, chain: DerivativeChain, device: str, double: bool) -> Pointwise | None:
    """The fused kernel of a chain, or None where none is right or none runs.

    Args:
        program: the forward Program of the function.
        chain: what it computes.
        device: a type of device.
        double: whether for tensors of float64.
    """
    parts = tuple([partial(program, by) for by in chain.partials])
    if double:
        return SELECTOR.pointwise(device, chained(chain, joined(map(double_form, parts))))
    if device != "cpu":
        found = [form(part) or form(part, ORDINARY) for part in parts]
        narrow = [part for part in found if part is not None]
        return SELECTOR.pointwise(device, chained(chain, joined(narrow))) if len(narrow) == len(parts) else None
    forms = _forms(parts)
    if forms is None:
        return None
    own = SELECTOR.pointwise("cpu", chained(chain, forms.narrow))
    if forms.reach.bad.any():
        if not isinstance(own, PointwiseKernel):
            return None
        own.mend(lambda: _exact(chained(chain, forms.wide), chained(chain, forms.narrow)), *forms.reach.windows)
    return own


def _exact(program: Program, narrow: Program) -> PointwiseKernel:
    """What computes in float64; the narrow form, where the other is too long."""
    found = pointwise(program) or pointwise(narrow)
    assert found is not None
    return found


@lru_cache(maxsize=4096)
def _forms(parts: tuple[Program, ...]) -> _Forms | None:
    """The form that reaches furthest in float32, and how far; None without a kernel."""
    best: _Forms | None = None
    exact = joined(map(wide, parts))
    reference = SELECTOR.pointwise("cpu", exact)
    near_zero = tuple(map(expanded, parts))
    for given in (parts, near_zero):
        narrow = joined(compensated(part, False) for part in given)
        kernel = SELECTOR.pointwise("cpu", narrow)
        if kernel is None or reference is None:
            return None
        found = _Forms(narrow, _reach(narrow, kernel, reference), exact)
        if best is None or found.reach.bad.sum() < best.reach.bad.sum():
            best = found
        if found.reach.holds_one or near_zero == parts:
            break
    return best


def _reach(program: Program, kernel: Pointwise, exact: Pointwise) -> Reach | Box:
    if program.variables > 1:
        return box_of_values(program, kernel, exact)
    return reach_of_values(kernel, exact, len(program.inputs) - 1)
