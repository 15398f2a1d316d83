"""Where float32 is enough for a Program: found by running it in both precisions.

Rewrites make most Programs accurate everywhere. Some functions still need more range or digits than
float32 has somewhere (`x**2/(1 + x**2)` at 1e25, `exp(x) - 1 - x` near 0). Those run in float64
there: `limit` is the largest |x| up to which float32 gives the same values as float64, on a grid
that reaches from 1e-30 to 1e30.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
import torch

from symact.lower import torch_code
from symact.lower.program import Program

# Agreement asked for; an outside check of 1e-5 relative or 1e-6 absolute is then safe.
RELATIVE, ABSOLUTE = 4e-6, 4e-7


@cache
def grid() -> np.ndarray:
    """The magnitudes that are tried, ascending: 0, then 1e-30 to 1e30, densest between 0.1 and 100."""
    decades = [10.0**e * m for e in range(-30, 30) for m in (1.0, 3.3)]
    middle = np.geomspace(0.05, 130.0, 90)
    return np.unique(np.float32([0.0, *decades, 1e30, *middle, 88.0, 89.0, 104.0, 150.0]).astype(np.float64))


@lru_cache(maxsize=65536)
def limit(program: Program) -> float:
    """The largest magnitude on the grid up to which float32 is enough; inf where it is everywhere.

    Parameters stand at 0.9, so that no special value hides anything; `grad` at 1.
    """
    sizes = torch.from_numpy(grid())
    x = torch.cat([-sizes, sizes])
    others = [torch.tensor(1.0 if name.startswith("grad") else 0.9) for name in program.inputs[1:]]
    run = torch_code.function(program)
    with torch.no_grad():
        wide = run(x, *[value.double() for value in others])
        narrow = run(x.float(), *others)
    if isinstance(wide, torch.Tensor):
        wide, narrow = (wide,), (narrow,)
    bad = torch.zeros(len(sizes), dtype=torch.bool)
    for exact, found in zip(wide, narrow, strict=True):
        bad |= _differs(exact.float().double(), found.double()).view(2, -1).any(0)
    if not bad.any():
        return math.inf
    first = int(bad.nonzero()[0])
    return float(sizes[first - 1]) if first else -1.0


def _differs(exact: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    error = (exact - found).abs()
    close = (error <= ABSOLUTE) | (error <= RELATIVE * exact.abs())
    return ~(close | (exact == found) | exact.isnan())
