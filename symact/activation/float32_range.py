"""Where float32 is enough for a Program: found by running it in both precisions.

Rewrites make most Programs accurate everywhere. Some functions still need more range or digits than
float32 has somewhere (`x**2/(1 + x**2)` at 1e25, `exp(x) - 1 - x` near 0). Those run in float64
there: `limit` is the largest |x| up to which float32 gives the same values as float64, on a grid
that reaches from 1e-30 to 1e30.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch

from symact.activation.extended_range import extended
from symact.backends import torch_source
from symact.backends.select import Kernel
from symact.program.program import Program
from symact.program.taylor import expanded

# Agreement asked for; an outside check of 1e-5 relative or 1e-6 absolute is then safe.
RELATIVE, ABSOLUTE = 4e-6, 4e-7


@cache
def grid() -> np.ndarray:
    """The magnitudes that are tried, ascending: 0, then 1e-30 to 1e30, densest between 0.1 and 100."""
    decades = [10.0**e * m for e in range(-30, 30) for m in (1.0, 3.3)]
    middle = np.geomspace(0.05, 130.0, 90)
    return np.unique(
        np.array([0.0, *decades, 1e30, *middle, 88.0, 89.0, 104.0, 150.0], dtype=np.float32).astype(np.float64)
    )


@lru_cache(maxsize=4096)
def wide(program: Program) -> Program:
    """The same function for float64: by its series near 0, with no overflow or underflow on the way elsewhere."""
    return extended(expanded(program))


@lru_cache(maxsize=65536)
def limit(program: Program) -> float:
    """The largest magnitude on the grid up to which plain float32 is enough; inf where it is everywhere.

    Parameters stand at 0.9, so that no special value hides anything; `grad` at 1.
    """
    return Reach(_bad(program, _narrow(program))).limit


@dataclass(frozen=True)
class Reach:
    """For which |x| float32 gives values and gradients as float64 does.

    Attributes:
        bad: ``(magnitudes,)`` where it does not, of `grid()`.
    """

    bad: np.ndarray

    @property
    def limit(self) -> float:
        """The largest magnitude of the grid up to which float32 is enough; -1 for none, inf for all."""
        if not self.bad.any():
            return math.inf
        first = int(self.bad.argmax())
        return float(grid()[first - 1]) if first else -1.0

    @property
    def window(self) -> tuple[float, float, bool]:
        """From which |x| to which float32 is enough, and whether it is at 0; the range that holds most of the grid."""
        edges = np.flatnonzero(np.diff(np.r_[True, self.bad[1:], True].astype(np.int8)))
        starts, ends = edges[::2] + 1, edges[1::2]
        if not len(starts):
            return math.inf, math.inf, not self.bad[0]
        longest = int((ends - starts).argmax())
        first, last = int(starts[longest]), int(ends[longest])
        low = 0.0 if first == 1 else float(grid()[first])
        return low, math.inf if last == len(grid()) - 1 else float(grid()[last]), not self.bad[0]


def reach(forward: Program, backward: Program, kernel: Kernel | None = None) -> Reach:
    """Where values and gradients together are good, as `kernel` or plain operations compute them in float32.

    What happens at 0 does not count where the function is not defined there.
    """
    if kernel is not None and agrees_everywhere(kernel):
        return Reach(np.zeros(len(grid()), bool))
    narrow = x = _both_sides().float()
    if kernel is not None:
        values = [kernel.forward(x, ())]
        slopes = [kernel.backward(torch.ones_like(x), x, ())[0]]
    else:
        values, slopes = _narrow(forward), _narrow(backward)
    bad = _bad(forward, values) | _bad(backward, slopes)
    bad[0] &= bool(values[0][narrow == 0].isfinite().all())
    return Reach(bad)


def _others(program: Program, dtype: torch.dtype) -> list[torch.Tensor]:
    return [torch.tensor(1.0 if name.startswith("grad") else 0.9, dtype=dtype) for name in program.inputs[1:]]


def _outputs(program: Program, dtype: torch.dtype) -> list[torch.Tensor]:
    x = _both_sides().to(dtype)
    with torch.no_grad():
        found = torch_source.function(program)(x, *_others(program, dtype))
    return [output.expand(len(x)) for output in (found if isinstance(found, tuple) else (found,))]


def _narrow(program: Program) -> list[torch.Tensor]:
    return _outputs(program, torch.float32)


def _bad(program: Program, narrow: list[torch.Tensor]) -> np.ndarray:
    """At which magnitudes of the grid outputs in float32 are not those of float64."""
    bad = torch.zeros(len(grid()), dtype=torch.bool)
    for exact, found in zip(_outputs(wide(program), torch.float64), narrow, strict=True):
        bad |= _differs(exact.float().double(), found.double()).view(2, -1).any(0)
    return bad.numpy()


def _differs(exact: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    error = (exact - found).abs()
    close = (error <= ABSOLUTE) | (error <= RELATIVE * exact.abs())
    return ~(close | (exact == found) | exact.isnan())


@cache
def _both_sides() -> torch.Tensor:
    sizes = torch.from_numpy(grid())
    return torch.cat([-sizes, sizes])


def agrees_everywhere(kernel: Kernel) -> bool:
    """Whether a fused kernel gives the same in float32 and in float64 on the grid: the common case, in 0.1 ms."""
    x = _both_sides()
    narrow = x.float()
    pairs = (
        (kernel.forward(x, ()), kernel.forward(narrow, ())),
        (kernel.backward(torch.ones_like(x), x, ())[0], kernel.backward(torch.ones_like(narrow), narrow, ())[0]),
    )
    return not any((exact.isnan() | _differs(exact.float().double(), found.double())).any() for exact, found in pairs)
