"""What a notebook shows of a function: typeset mathematics, and its curve with that of its derivative."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from symact.expr.mathml import mathml, mathml_text
from symact.expr.tree import Expr

LEFT, RIGHT, POINTS = -4.0, 4.0, 161
WIDTH, HEIGHT = 220, 130
LARGEST = 6.0  # of the values that are drawn, in either direction
COLOURS = ("#4477aa", "#ee6677")  # the function, its derivative; Tol's bright scheme, apart for all eyes


def shown(expr: Expr, function: Callable[[Tensor], Tensor] | None, below: str = "") -> str:
    """HTML without scripts: mathematics, curves where there is a function of one tensor, and a line of text."""
    tree = mathml(expr)
    formula = f"<code>{html.escape(str(expr))}</code>"
    if tree is not None:
        formula = f'<math display="block">{mathml_text(tree)}</math>'
    text = f"<div><small>{html.escape(below)}</small></div>" if below else ""
    return f"<div>{formula}{'' if function is None else _curves(function)}{text}</div>"


def _curves(function: Callable[[Tensor], Tensor]) -> str:
    x = torch.linspace(LEFT, RIGHT, POINTS, dtype=torch.float64).requires_grad_()
    try:
        y = function(x)
        (slope,) = torch.autograd.grad(y.sum(), x, allow_unused=True)
    except RuntimeError:  # a function per channel has no one curve
        return ""
    drawn = [y.detach().tolist(), torch.zeros_like(x).tolist() if slope is None else slope.tolist()]
    inside = [v for values in drawn for v in values if abs(v) <= LARGEST] or [0.0]
    low, high = min(inside), max(inside)
    margin = 0.05 * (high - low) or 1.0
    low, high = low - margin, high + margin
    lines = [_path(values, low, high, colour) for values, colour in zip(drawn, COLOURS, strict=True)]
    axes = _line(0.0, LEFT, RIGHT, low, high) if low < 0 < high else ""
    middle = WIDTH * -LEFT / (RIGHT - LEFT)
    axes += f'<path d="M{middle:.1f} 0V{HEIGHT}" stroke="#999" stroke-width="0.6"/>'
    title = f"the function and, dashed, its derivative, from {LEFT:g} to {RIGHT:g}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" fill="none" role="img">'
        f"<title>{title}</title>{axes}{''.join(lines)}</svg>"
    )


def _path(values: Sequence[float], low: float, high: float, colour: str) -> str:
    """A line through the values that are finite and in sight, broken where they are not."""
    commands, pen = [], "M"
    for position, value in enumerate(values):
        if low <= value <= high:
            x = WIDTH * position / (len(values) - 1)
            commands.append(f"{pen}{x:.1f} {HEIGHT * (high - value) / (high - low):.1f}")
            pen = "L"
        else:
            pen = "M"
    dashed = ' stroke-dasharray="4 3"' if colour == COLOURS[1] else ""
    return f'<path d="{"".join(commands)}" stroke="{colour}" stroke-width="1.6"{dashed}/>'


def _line(value: float, left: float, right: float, low: float, high: float) -> str:
    y = HEIGHT * (high - value) / (high - low)
    return f'<path d="M0 {y:.1f}H{WIDTH}" stroke="#999" stroke-width="0.6"/>'
