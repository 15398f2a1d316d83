"""A function and its derivatives at once, for losses that are written in them (Taylor mode)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symact.activation.module import Activation, CompiledFunction
from symact.activation.module import compile as compiled
from symact.errors import InputError
from symact.expr.tree import Expr

if TYPE_CHECKING:
    from torch import Tensor


def jet(function: CompiledFunction | Activation | Expr | str, x: Tensor, order: int) -> tuple[Tensor, ...]:
    """The function at `x` and its derivatives there, elementwise: ``(f(x), f'(x), ..., f^(order)(x))``.

    One fused pass computes them all. They are differentiable themselves, in `x` and in learnable parameters, so a loss
    may hold any of them.

    Args:
        function: compiled, a module, or an expression; without a grammar where it is text.
        x: of any shape and floating dtype.
        order: of the last derivative, from 0 to 8.

    Raises:
        InputError: the order is none of these, or `x` is no real dense tensor.
    """
    if isinstance(order, bool) or not isinstance(order, int) or not 0 <= order <= MAXIMUM_ORDER:
        raise InputError(f"the order of a jet is a whole number from 0 to {MAXIMUM_ORDER}, not {order!r}")
    if not isinstance(function, CompiledFunction | Activation):
        function = compiled(function)
    return function.jet(x, order)


# Programs grow about twofold an order.
MAXIMUM_ORDER = 8
