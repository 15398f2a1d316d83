"""Where the sums of a function cancel: what no fixed grid of inputs and parameters meets.

Beside the root of `x*x + eps` for a negative eps the root of it has few digits, `c*x*x + alpha*x` is small where its
terms are large, and `1 - beta` has few digits beside 1. Such points lie elsewhere for each function, so they are looked
for: along x for given parameters, and along each parameter for given x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from symact.backends import torch_source
from symact.program.program import Program

# How near to a root points are tried, as a part of it; no number is round.
_BESIDE = torch.tensor([s * d for d in (3.1e-2, 1.3e-2, 4.7e-3, 1.7e-3, 5.9e-4, 2.3e-4, 7.1e-5) for s in (1.0, -1.0)])
# Steps of the rule of false position; the intervals are short.
_STEPS = 4
# Between which inputs roots are looked for.
_SIZES = np.geomspace(3e-3, 97.0, 120)
# At which inputs parameters are varied, for how many of the given values of the others, and in how many steps.
_FIXED, _DRAWS, _VALUES = (-23.7, -6.31, -1.73, -0.317, 0.317, 1.73, 6.31, 23.7), 8, 80
# Roots that are looked at along each of them.
_MOST = 160


@lru_cache(maxsize=512)
def _sums(program: Program) -> Program | None:
    """A Program with all its sums as outputs; None where it has none."""
    first = len(program.inputs)
    found = [first + i for i, operation in enumerate(program.operations) if operation.name in ("add", "sub")]
    return replace(program, outputs=tuple(found)) if found else None


def cancellations(program: Program, given: Sequence[Sequence[float]], sizes: tuple[float, float]) -> list[Tensor]:
    """Points beside those at which a sum on the way is 0.

    Args:
        program: of one variable.
        given: what its further inputs stand at, parameters first and ones for gradients; as many at once as there are.
        sizes: between which sizes parameters are varied, with the signs that they are given.

    Returns:
        ``(n,)`` of each input, numbers of float32 as float64.
    """
    sums = _sums(program)
    if sums is None or not given:
        return [torch.zeros(0, dtype=torch.float64) for _ in program.inputs]
    function = torch_source.function(sums)

    def values(*inputs: Tensor) -> Tensor:
        found = function(*inputs)
        return torch.stack(torch.broadcast_tensors(*(found if isinstance(found, tuple) else (found,))))

    numbers = torch.tensor([list(row) for row in given], dtype=torch.float64)
    draws = [numbers[:, None, j] for j in range(numbers.shape[1])]
    axis = torch.from_numpy(np.concatenate([-_SIZES[::-1], _SIZES]))
    found = [_beside(values, [axis.expand(len(numbers), -1), *draws], 0)]
    few = numbers[:_DRAWS]
    x = torch.tensor(_FIXED, dtype=torch.float64)
    steps = torch.from_numpy(np.geomspace(*sizes, _VALUES))
    for j in range(len(program.parameters)):
        # Every x with every draw, and all values of one parameter.
        inputs = [
            x.repeat(len(few))[:, None],
            *[few[:, j].repeat_interleave(len(x))[:, None] for j in range(few.shape[1])],
        ]
        inputs[1 + j] = inputs[1 + j].sign() * steps
        found.append(_beside(values, inputs, 1 + j))
    return [torch.cat(parts).float().double() for parts in zip(*found, strict=True)]


def _beside(values: Callable[..., Tensor], inputs: list[Tensor], along: int) -> list[Tensor]:
    """Points beside the roots that lie between neighbours along one of the inputs, ``(rows, steps)``."""
    shape = torch.broadcast_shapes(*[t.shape for t in inputs])
    inputs = [t.expand(shape) for t in inputs]
    there = values(*inputs).expand(-1, *shape)
    places = (there[:, :, 1:] * there[:, :, :-1] < 0).nonzero()
    places = places[:: max(len(places) // _MOST, 1)]
    output, row, left = places.unbind(1)
    here = [t[row, left] for t in inputs]
    low, high = here[along], inputs[along][row, left + 1]
    below, above = there[output, row, left], there[output, row, left + 1]
    one = torch.arange(len(places))
    for _ in range(_STEPS):
        here[along] = (low * above - high * below) / (above - below)
        middle = values(*here).expand(-1, len(places))[output, one]
        is_left = middle * below > 0
        # The end that stays counts half, so that it does not stay for long.
        below, above = torch.where(is_left, middle, 0.5 * below), torch.where(is_left, 0.5 * above, middle)
        low, high = torch.where(is_left, here[along], low), torch.where(is_left, high, here[along])
    beside = [t[:, None].expand(-1, len(_BESIDE)) for t in here]
    beside[along] = beside[along] * (1.0 + _BESIDE.double())
    return [t.reshape(-1) for t in beside]
