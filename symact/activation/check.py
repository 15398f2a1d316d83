"""`check`: how far a compiled function is from the truth, values and gradients, and where.

The truth is the formula in high precision (`precise`), at points from 0 to 1e30 on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import mpmath
import torch

from symact.activation.high_precision import evaluate
from symact.activation.module import compile as compile_expression
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr, of_x_alone, parse, to_sympy

_MIDDLE = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 50.0, 88.0, 89.0, 100.0)
_FAR = (1e3, 1e4, 1e5, 1e8, 1e15, 1e20, 1e30)
POINTS = (0.0, *(s * m for m in (1e-30, 1e-15, 1e-8, 1e-5, 1e-3, 1e-2, *_MIDDLE, *_FAR) for s in (1.0, -1.0)))

# An error is relative where the true value is above this, else absolute on the same scale.
_SCALE = 0.1
# What is promised in float32: 1e-5 relative, or 1e-6 absolute.
PROMISED = 1e-5
_LARGEST = float(torch.finfo(torch.float32).max)


@dataclass(frozen=True)
class CheckReport:
    """What `check` found.

    Attributes:
        worst_value_error: the largest error of a value: absolute below 0.1, relative above, on one
            scale (1e-5 relative and 1e-6 absolute are both 1e-5 here).
        worst_gradient_error: the same of the derivative.
        at: where the worse of the two is.
        points: number of points at which the function is defined.
    """

    worst_value_error: float
    worst_gradient_error: float
    at: float
    points: int

    @property
    def passed(self) -> bool:
        """Whether values and gradients are as promised for float32, at one point at least."""
        return self.points > 0 and max(self.worst_value_error, self.worst_gradient_error) <= PROMISED

    @property
    def verdict(self) -> str:
        """One line for a person."""
        if not self.points:
            return "the function is defined at none of the points that are tried"
        if self.passed:
            return f"right to {PROMISED:g} at {self.points} points"
        worst = max(self.worst_value_error, self.worst_gradient_error)
        what = "value" if worst == self.worst_value_error else "gradient"
        return f"the {what} is wrong at x = {self.at:g}: error {worst:.3g}, where {PROMISED:g} is promised"


def error(found: float, exact: Any) -> float:
    """Distance of `found` from the exact number: `|found - exact|/max(|exact|, 0.1)`.

    Zero where float32 cannot hold the exact number and `found` is infinite of its sign; infinite where
    `found` is NaN or infinite and should not be.
    """
    exact_size = abs(exact)
    if exact_size > _LARGEST:
        good = math.copysign(1.0, found) == float(mpmath.sign(exact)) and abs(found) >= 0.999 * _LARGEST
        return 0.0 if good else math.inf
    if not math.isfinite(found):
        return 0.0 if math.isinf(found) and exact_size > 0.999 * _LARGEST else math.inf
    return float(abs(found - exact) / max(exact_size, mpmath.mpf(_SCALE)))


def check(
    expr: Expr | str,
    grammar: Vocabulary | None = None,
    points: Iterable[float] = POINTS,
    dtype: torch.dtype = torch.float32,
) -> CheckReport:
    """Compare a compiled function with high precision, at the initial values of its parameters.

    Args:
        expr: an expression or its text.
        grammar: its grammar.
        points: where; rounded to `dtype` first.
        dtype: float32 or float64.

    Raises:
        FormulaError: the text cannot be read.
        InputError: it is a function of two inputs.
    """
    expression = of_x_alone(parse(expr, grammar) if isinstance(expr, str) else expr, "the check")
    formula = to_sympy(expression)
    constants = {p.name: p.init for p in expression.parameters}
    x = torch.tensor(sorted(points), dtype=dtype, requires_grad=True)
    values = compile_expression(expression)(x)
    (slopes,) = torch.autograd.grad(values.sum(), x)
    worst = [0.0, 0.0]
    at = defined = 0
    found = zip(x.tolist(), values.tolist(), slopes.tolist(), strict=True)
    for place, value, slope in found:
        exact = evaluate(formula, place, constants)
        if exact is None or mpmath.isnan(exact.value):
            continue
        defined += 1
        errors = [error(value, exact.value), 0.0 if mpmath.isnan(exact.slope) else error(slope, exact.slope)]
        if max(errors) > max(worst):
            at = place
        worst = [max(pair) for pair in zip(worst, errors, strict=True)]
    return CheckReport(worst[0], worst[1], float(at), defined)
