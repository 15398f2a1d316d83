"""The published rule of AQuaSurF (arXiv:2301.05785): equal float32 outputs at 1,000 points of clip(N(0,1), -5, 5).

-0.0 counts as 0.0 and NaN as NaN. Expressions whose arguments have the same bits share their evaluation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symact.expr.kernels import Array
from symact.expr.space import Space
from symact.expr.vocabulary import Vocabulary

POINTS = 1000


def single_precision(grammar: Vocabulary, space: Space, progress: Callable[[int, int], object]) -> object:
    raise NotImplementedError


def normal_points(seed: int = 0) -> Array:
    """``(1000,)`` float32 draws of a standard normal variable, clipped to [-5, 5]."""
    return np.clip(np.random.default_rng(seed).standard_normal(POINTS), -5, 5).astype(np.float32)
