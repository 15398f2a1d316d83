"""`normalized`: a function shifted and scaled so that what it gives for normal inputs has mean 0 and variance 1.

So do self-normalizing networks (Klambauer et al. 2017, arXiv:1706.02515) for one function, and AQuaSurF's
`normalize=True` (Bingham & Miikkulainen 2023, arXiv:2301.05785) for any.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from symact.activation.module import compile as compile_function
from symact.activation.module import expression_of
from symact.errors import InputError
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr, of_x_alone, parse

# Beyond this a normal density is below 1e-36. Panels end at multiples of 1/1600, and so at the usual kinks.
_REACH, _PANELS_PER_UNIT = 13, 1600
# Variances by quadratures of 2 and of 3 nodes a panel, and without the outermost unit, agree to this, unless the
# integral diverges.
_AGREEMENT = 1e-4


def normalized(expr: Expr | str, grammar: Vocabulary | None = None) -> Expr:
    """`(f(x) - m)/s`, where m and s are mean and standard deviation of f(z) for z of N(0, 1).

    Args:
        expr: a function of x or its text; its parameters stand at their initial values where m and s are computed.
        grammar: whose operators and parameters it names.

    Returns:
        the expression of it, with both numbers to 12 digits; it can be compiled, compared and exported like any other.

    Raises:
        FormulaError: the text cannot be read.
        InputError: it is a function of two inputs, is constant, or has no finite mean or variance.
    """
    given = of_x_alone(expression_of(expr, grammar), "symact.normalized")
    (mean, variance), *others = _moments(given, 3), _moments(given, 2), _moments(given, 3, _REACH - 1)
    if not all(abs(variance - other) <= _AGREEMENT * variance for _, other in others):
        raise InputError(f"{given}: its mean and variance for normal inputs are not finite, so it cannot be normalized")
    if variance <= (1e-12 * mean) ** 2:
        raise InputError(f"{given}: it is constant for normal inputs, so it cannot be normalized")
    deviation = math.sqrt(variance)
    return parse(f"({given} - ({mean if abs(mean) > 1e-12 * deviation else 0:.12g}))/{deviation:.12g}", grammar)


def _moments(expr: Expr, count: int, reach: int = _REACH) -> tuple[float, float]:
    """Mean and variance, by Gauss-Legendre quadrature of so many nodes on small panels of [-reach, reach]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    half = 0.5 / _PANELS_PER_UNIT
    centres = np.arange(-reach * _PANELS_PER_UNIT, reach * _PANELS_PER_UNIT) / _PANELS_PER_UNIT + half
    points = (centres[:, None] + half * nodes).ravel()
    density = np.exp(-0.5 * points**2) / math.sqrt(2 * math.pi) * np.tile(half * weights, len(centres))
    with torch.no_grad(), np.errstate(all="ignore"):
        values = compile_function(expr)(torch.from_numpy(points)).numpy()
        # What overflows where there is no weight to speak of is left out.
        used = np.isfinite(values) | (np.abs(points) < 10)
        mean = float((density * values)[used].sum())
        return mean, float((density * (values - mean) ** 2)[used].sum())
