"""Which form of a Program is right in which precision: found by running it, on a grid from 1e-30 to 1e30.

Rewrites make most Programs accurate everywhere. Some functions still need more range or digits somewhere
(`x**2/(1 + x**2)` at 1e25, `exp(x) - 1 - x` near 0). `form` is the cheapest of a Program's forms that is right
everywhere: the Program itself, the same by its series near 0, or with exponents of its own. Where float32 has none,
float64 computes what `reach` says float32 does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
import torch

from symact.activation.extended_range import DOUBLE, SINGLE, extended
from symact.backends import torch_source
from symact.backends.cpu import kernel as cpu_kernel
from symact.backends.cpu.kernel import DIFFERS, NOT_FINITE, UNDEFINED, NativeKernel
from symact.backends.select import Kernel, Pointwise
from symact.program.compensation import compensated
from symact.program.program import Program
from symact.program.taylor import expanded

# Agreement asked for; an outside check of 1e-5 relative or 1e-6 absolute is then safe.
RELATIVE, ABSOLUTE = 4e-6, 4e-7
# In float32 an exponent of 88 is rounded by as much; in float64 an outside check of 1e-12 is safe.
_OF_EXPONENTS, _OF_DOUBLE = 7e-6, 2e-13
# Where values cannot be looked at first (on a GPU, in compiled code), float64 is taken for all of them if float32 ends
# below this magnitude, which ordinary activations reach; float64 is slow there.
ORDINARY = 1e4
# The largest number of float32.
_LARGEST = 3.4028234e38
# What parameters stand at: no special values; the first alone where there is no time for more.
_SAMPLES = (0.9, 0.07, 11.0)
# In float64, where nothing else takes over, also for other signs and sizes of parameters.
_FAR = (-0.8, 1e-5, 1e5, -1e9)


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
    constants = [operation.number for operation in program.operations if operation.name == "const"]
    if any(DOUBLE.bound < abs(number) < math.inf for number in constants):
        # What stands for infinity would take the place of such a constant.
        return compensated(expanded(program, True), True)
    return compensated(extended(expanded(program, True)), True)


@lru_cache(maxsize=65536)
def limit(program: Program) -> float:
    """The largest magnitude on the grid up to which plain float32 is enough; inf where it is everywhere."""
    return Reach(_bad(program, program)).limit


@lru_cache(maxsize=65536)
def form(program: Program, within: float = math.inf) -> Program | None:
    """The cheapest form of a Program that plain operations compute right in float32, or None.

    Args:
        program: forward, backward, or a derivative of those.
        within: up to which |x| it has to be right.
    """
    counted = grid() <= within
    for plain, tolerance in _narrow_forms(program):
        candidate = compensated(plain, False)
        if not (_bad(program, candidate, tolerance) & counted).any():
            return candidate
    return None


def _narrow_forms(program: Program) -> Iterator[tuple[Program, float]]:
    yield program, RELATIVE
    if expanded(program) is not program:
        yield expanded(program), RELATIVE
    yield extended(program, SINGLE), _OF_EXPONENTS
    if expanded(program) is not program:
        yield extended(expanded(program), SINGLE), _OF_EXPONENTS


@lru_cache(maxsize=65536)
def double_form(program: Program) -> Program:
    """The cheapest form of a Program that plain operations compute right in float64, by the yardstick of `wide`."""
    for plain in (program, expanded(program, True), extended(program, DOUBLE)):
        candidate = compensated(plain, True)
        if not _bad_double(program, candidate).any():
            return candidate
    return wide(program)


@dataclass(frozen=True)
class Reach:
    """For which |x| float32 gives values and gradients as float64 does.

    Attributes:
        bad: ``(magnitudes,)`` where it does not, of `grid()`.
    """

    bad: np.ndarray

    @cached_property
    def limit(self) -> float:
        """The largest magnitude of the grid up to which float32 is enough; -1 for none, inf for all."""
        if not self.bad.any():
            return math.inf
        first = int(self.bad.argmax())
        return float(grid()[first - 1]) if first else -1.0

    @cached_property
    def window(self) -> tuple[float, float, bool]:
        """From which |x| to which float32 is enough, and whether it is at 0; the range that most numbers are in.

        Inputs of activations are about as large as 1; far from there the range counts that holds most of the grid.
        """
        ends = np.flatnonzero(self.bad[1:] != np.append(True, self.bad[1:-1])) + 1
        ranges = list(zip(ends[::2], [*ends[1::2], len(grid())] if len(ends) % 2 else ends[1::2], strict=True))
        if not ranges:
            return math.inf, math.inf, not self.bad[0]
        first, end = max(ranges, key=lambda r: (_held()[r[1]] - _held()[r[0]], r[1] - r[0]))
        low = 0.0 if first == 1 else float(grid()[first])
        return low, math.inf if end == len(grid()) else float(grid()[end - 1]), not self.bad[0]


@cache
def _held() -> list[float]:
    """Which part of normally distributed numbers is smaller than each magnitude of the grid, and than infinity."""
    return [math.erf(size / math.sqrt(2.0)) for size in (*grid().tolist(), math.inf)]


def reach(forward: Program, backward: Program, kernel: Kernel | None = None) -> Reach:
    """Where values and gradients together are good, as `kernel` or plain operations compute them in float32.

    What happens at 0 does not count where the function is not defined there.
    """
    if isinstance(kernel, NativeKernel):
        exact = cpu_kernel.kernel(wide(forward), wide(backward))
        if exact is not None:
            return _marked(kernel, exact, DIFFERS)
    if kernel is None:
        bad = _bad(forward, forward) | _bad(backward, backward)
        values = _outputs(forward, torch.float32, _SAMPLES[0])[0]
    else:
        x = _both_sides().float()
        values, slopes = kernel.forward(x, ()), kernel.backward(torch.ones_like(x), x, ())[0]
        bad = _differing([*_exact(forward, _SAMPLES[0]), *_exact(backward, _SAMPLES[0])], [values, slopes])
    bad[0] &= bool(values[_both_sides() == 0].isfinite().all())
    return Reach(bad)


def reach_alone(kernel: NativeKernel) -> Reach | None:
    """The same where the kernel's own run in float64 tells it: where both agree in the middle of the grid, else None.

    Between the magnitude at which float32 fails and the one at which float64 does lie points at which they differ, so
    what hangs together with the middle is right in both. That a function has no value somewhere, float64
    alone does not say: it may have overflowed on the way.
    """
    found = _marked(kernel, kernel, DIFFERS | UNDEFINED)
    low, high, _ = found.window
    return found if low <= 1.0 <= high else None


def _marked(kernel: NativeKernel, exact: NativeKernel, wrong: int) -> Reach:
    """Where a kernel in float32 is as another in float64, for what counts as wrong; no operation of torch sees it."""
    marks = kernel.marks(exact, *_sides_of_numpy(), RELATIVE, ABSOLUTE)
    if not (marks & wrong).any():
        return _everywhere()
    values, slopes = marks.reshape(2, 2, -1)
    bad = (values | slopes) & wrong
    # On a side of 0 where the function has no value at all, nothing is wrong.
    bad[(values[:, 1:] & UNDEFINED).all(1)] = 0
    bad[:, 0] *= not (values[:, 0] & NOT_FINITE).any()
    return Reach(bad.any(0))


@cache
def _everywhere() -> Reach:
    return Reach(np.zeros(len(grid()), bool))


@cache
def _sides_of_numpy() -> tuple[np.ndarray, np.ndarray]:
    """The grid on both sides of 0, and ones."""
    x = np.concatenate([-grid(), grid()])
    return x, np.ones_like(x)


def reach_of_values(kernel: Pointwise, exact: Pointwise, parameters: int = 0) -> Reach:
    """Where a fused kernel of x, and of parameters, gives all its outputs in float32 as another does in float64."""
    bad, sides = np.zeros(len(grid()), bool), _both_sides()
    for sample in _SAMPLES if parameters else _SAMPLES[:1]:
        # The same numbers in both precisions.
        values = [torch.full_like(sides, sample * (1.0 + 0.3 * (i + 1))).float() for i in range(parameters)]
        found = kernel(sides.float(), *values)
        wrong = _differing(list(exact(sides, *[value.double() for value in values])), list(found))
        wrong[0] &= all(bool(output[sides == 0].isfinite().all()) for output in found)
        bad |= wrong
    return Reach(bad)


def _samples(program: Program) -> tuple[float, ...]:
    parametric = any(not name.startswith("grad") for name in program.inputs[1:])
    return _SAMPLES if parametric else _SAMPLES[:1]


def _others(program: Program, dtype: torch.dtype, sample: float) -> list[torch.Tensor]:
    """Parameters near a number, no two the same; `grad` is 1."""
    names = program.inputs[1:]
    values = [1.0 if name.startswith("grad") else sample * (1.0 + 0.3 * i) for i, name in enumerate(names)]
    return [torch.tensor(value, dtype=dtype) for value in values]


def _outputs(program: Program, dtype: torch.dtype, sample: float) -> list[torch.Tensor]:
    x = _both_sides().to(dtype)
    with torch.no_grad():
        found = torch_source.function(program)(x, *_others(program, dtype, sample))
    return [output.expand(len(x)) for output in (found if isinstance(found, tuple) else (found,))]


@lru_cache(maxsize=64)
def _exact(program: Program, sample: float) -> list[torch.Tensor]:
    return _outputs(wide(program), torch.float64, sample)


def _bad(program: Program, candidate: Program, relative: float = RELATIVE) -> np.ndarray:
    """At which magnitudes of the grid a form of a Program is wrong in float32."""
    if any(o.name == "const" and _LARGEST < abs(o.number) < math.inf for o in candidate.operations):
        return np.ones(len(grid()), bool)
    bad = np.zeros(len(grid()), bool)
    for sample in _samples(program):
        bad |= _differing(_exact(program, sample), _outputs(candidate, torch.float32, sample), relative)
    return bad


def _bad_double(program: Program, candidate: Program) -> np.ndarray:
    """At which magnitudes of the grid a form of a Program is wrong in float64.

    What a function is at 0 where it has no value does not count.
    """
    bad = torch.zeros(len(grid()), dtype=torch.bool)
    for sample in (*_samples(program), *(_FAR if _samples(program) != _SAMPLES[:1] else ())):
        for exact, found in zip(_exact(program, sample), _outputs(candidate, torch.float64, sample), strict=True):
            huge = (exact.abs() > 1e290) & (found.abs() > 1e290) & (exact.sign() == found.sign())
            close = (exact - found).abs() <= _OF_DOUBLE * exact.abs().clamp(min=1.0)
            pole = (exact.abs() > 1e290) & (_both_sides() == 0)
            bad |= ~(close | huge | pole | (exact == found) | exact.isnan()).view(2, -1).all(0)
    bad[0] &= expanded(program) is not program or any(name.startswith("grad") for name in program.inputs)
    return bad.numpy()


def _differing(exact: list[torch.Tensor], found: list[torch.Tensor], relative: float = RELATIVE) -> np.ndarray:
    bad = torch.zeros(len(grid()), dtype=torch.bool)
    for wanted, output in zip(exact, found, strict=True):
        bad |= _differs(wanted.float().double(), output.double(), relative).view(2, -1).any(0)
    return bad.numpy()


def _differs(exact: torch.Tensor, found: torch.Tensor, relative: float = RELATIVE) -> torch.Tensor:
    error = (exact - found).abs()
    close = (error <= ABSOLUTE) | ((error <= relative * exact.abs()) & exact.isfinite())
    # What is bounded stands for infinity; at a pole in 0 itself nothing is right or wrong.
    infinite = exact.isinf() & ((found * exact.sign() > 2.9e38) | (_both_sides() == 0))
    return ~(close | infinite | (exact == found) | exact.isnan())


@cache
def _both_sides() -> torch.Tensor:
    sizes = torch.from_numpy(grid())
    return torch.cat([-sizes, sizes])
