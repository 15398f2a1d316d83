"""Packed tensors: `x` and `g` of a gate in one, along its last dimension, as models have that make both by one matrix.

`layout_of` finds such a pair of halves in a graph of torch.fx.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor, fx


class Layout(NamedTuple):
    """How a packed tensor holds `x` and `g` along its last dimension.

    Attributes:
        interleaved: they take turns, at even and at odd places; else they are its halves.
        x_last: `x` is the second half, or stands at odd places.
    """

    interleaved: bool = False
    x_last: bool = False


def halves(h: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """`x` and `g` of a packed tensor."""
    first, second = (h[..., 0::2], h[..., 1::2]) if layout.interleaved else h.chunk(2, -1)
    return (second, first) if layout.x_last else (first, second)


# The size of the last dimension of a node's tensor, where it is known.
Width: TypeAlias = Callable[[fx.Node], int | None]


def layout_of(x: fx.Node, g: fx.Node, width: Width) -> tuple[fx.Node, Layout] | str:
    """The tensor that `x` and `g` of a graph are halves of, and how it holds them; or why they cannot be read of one.

    Returns:
        the tensor's node and the layout; or the reason, which is empty where there is no such tensor.
    """
    first, second = _part(x, width), _part(g, width)
    if first is None or second is None or first[0] is not second[0] or first[1:3] == second[1:3]:
        return ""
    (whole, interleaved, x_last, _), (_, other, _, dimension) = first, second
    if interleaved != other:
        return ""
    if dimension != -1:
        return f"its halves lie along dimension {dimension}, which need not be the last"
    return whole, Layout(interleaved, x_last)


def _part(node: fx.Node, width: Width) -> tuple[fx.Node, bool, bool, Any] | None:
    """What a node is half of, whether every other element of it, whether the later half, and along which dimension."""
    if node.op != "call_function" or node.target is not operator.getitem or not isinstance(node.args[0], fx.Node):
        return None
    source: fx.Node = node.args[0]
    place: Any = node.args[1]
    if isinstance(place, int) and place in (0, 1):
        whole, dimension = _cut(source, width)
        return None if whole is None else (whole, False, place == 1, dimension)
    if not (isinstance(place, tuple) and len(place) == 2 and place[0] is Ellipsis and isinstance(place[1], slice)):
        return None
    start, stop, step = place[1].start or 0, place[1].stop, place[1].step or 1
    if step == 2 and stop is None and start in (0, 1):
        return source, True, start == 1, -1
    size = width(source)
    if step != 1 or size is None or size % 2:
        return None
    later = {(0, size // 2): False, (size // 2, size): True, (size // 2, None): True}.get((start, stop))
    return None if later is None else (source, False, later, -1)


def _cut(node: fx.Node, width: Width) -> tuple[fx.Node | None, Any]:
    """The tensor that a node cuts in two halves, or None, and along which dimension."""
    name = node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
    if name not in ("chunk", "split", "tensor_split") or not node.args or not isinstance(node.args[0], fx.Node):
        return None, None
    whole, rest = node.args[0], list[Any](node.args[1:])
    named: list[Any] = [value for key, value in node.kwargs.items() if key != "dim"]
    pieces = next(iter((*rest[:1], *named)), None)
    dimension: Any = rest[1] if len(rest) > 1 else node.kwargs.get("dim", 0)
    if name == "split":
        size = width(whole)
        halved = size is not None and pieces in (size / 2, [size / 2] * 2, (size / 2,) * 2)
    else:
        halved = isinstance(pieces, int) and pieces == 2
    return (whole, dimension) if halved else (None, None)
