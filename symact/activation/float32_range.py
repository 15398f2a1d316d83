"""Which form of a Program is right in which precision: found by running it, on a grid from 1e-30 to 1e30.

Rewrites make most Programs accurate everywhere. Some functions still need more range or digits somewhere
(`x**2/(1 + x**2)` at 1e25, `exp(x) - 1 - x` near 0). `form` is the cheapest of a Program's forms that is right
everywhere: the Program itself, the same by its series near 0, or with exponents of its own. Where float32 has none,
float64 computes what `reach` says float32 does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import TypeAlias

import numpy as np
import torch

from symact.activation.cancellations import cancellations
from symact.activation.double_word import doubled
from symact.activation.extended_range import DOUBLE, SCALED, SINGLE, extended
from symact.backends import torch_source
from symact.backends.cpu import kernel as cpu_kernel
from symact.backends.cpu.kernel import DIFFERS, NOT_FINITE, UNDEFINED, NativeKernel
from symact.backends.select import Kernel, Pointwise
from symact.program.builder import Builder
from symact.program.compensation import compensated
from symact.program.long_angles import THREE_WORDS, TWO_WORDS, angles, in_three_words
from symact.program.program import Operation, Program
from symact.program.taylor import expanded

# Agreement asked for; an outside check of 1e-5 relative or 1e-6 absolute is then safe.
RELATIVE, ABSOLUTE = 4e-6, 4e-7
# What may err where many parameters are tried, and the points that are worst looked for, times what else may.
_PROMISED = 2.0
# In float32 an exponent of 88 is rounded by as much; in float64 an outside check of 1e-12 is safe.
_OF_EXPONENTS, _OF_DOUBLE = 7e-6, 2e-13
_ZERO = Operation("const", (), 0.0)
# Where values cannot be looked at first (on a GPU, in compiled code), float64 is taken for all of them if float32 ends
# below this magnitude, which ordinary activations reach; float64 is slow there.
ORDINARY = 1e4
# Up to this magnitude of inputs angles decide whether they get two words or three.
FAR_ANGLES = 1e4
# Two words round to this part of a number.
_OF_TWO_WORDS = 2.0**46
# The largest number of float32.
_LARGEST = 3.4028234e38
# What parameters stand at: no special values; the first alone where there is no time for more.
_SAMPLES = (0.9, 0.07, 11.0)
# What parameters stand near, or one value for each.
Sample: TypeAlias = float | tuple[float, ...]
# In float64, where nothing else takes over, also for other signs and sizes of parameters.
_FAR = (-0.8, 1e-5, 1e5, -1e9)
# The same where float64 stands for float32.
_OF_MENDING, _FAR_MENDED = 1e-9, (-0.8, 1e-5, 77.0)


_ODD = 0.98765432  # makes a round number one of 24 bits


@cache
def grid() -> np.ndarray:
    """The magnitudes that are tried, ascending: 0, then 1e-30 to 1e30, densest between 0.1 and 100.

    Round numbers are what formulas compare with. Products of them are exact, and would hide that large angles lose
    their digits; of others one in ten shows where that begins, so many are tried.
    """
    decades = [10.0**e * m for e in range(-30, 30) for m in (1.0, 3.3)]
    middle = np.geomspace(0.05, 130.0, 90)
    return np.unique(
        np.array([0.0, *decades, 1e30, *_angles(), *middle, 88.0, 89.0, 104.0, 150.0], dtype=np.float32).astype(
            np.float64
        )
    )


@cache
def _angles() -> np.ndarray:
    """Magnitudes at which an angle may lose digits, none of them round."""
    return np.geomspace(176.54321, 2.3e8, 160).astype(np.float32).astype(np.float64)


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
    """The largest magnitude up to which plain float32 is enough, of every variable; inf where it is everywhere."""
    bad, sizes = _bad(program, program), points(program.variables).sizes
    if not bad.any():
        return math.inf
    smaller = sizes[sizes < sizes[bad].min()]
    return float(smaller.max()) if len(smaller) else -1.0


@lru_cache(maxsize=65536)
def form(program: Program, within: float = math.inf) -> Program | None:
    """The cheapest form of a Program that plain operations compute right in float32, or None.

    Such operations cannot take float64 for some elements, and for all elements it would cost more than they are worth.
    So the digits that angles lose beyond 1e3 decide between two words and three alone. Where a form has to be right for
    some inputs only, what lies beyond the angles that its words hold does not count either.

    Args:
        program: forward, backward, or a derivative of those.
        within: up to which |x| it has to be right.
    """
    if _undefined(program):
        return program
    sizes, (is_long, held, scaled) = points(program.variables).sizes, _held_in_words(program)
    counted, partly = (sizes <= within) & (held | (within == math.inf)) & ~np.isin(sizes, _angles()), []
    for candidate, tolerance in _narrow_forms(program, is_long):
        bad = _bad(program, candidate, tolerance, scaled) & counted
        if not bad.any():
            return candidate
        partly.append((candidate, bad))
    if program.variables > 1:
        return None
    for near, bad in partly:
        for far, other in partly:
            # Up to where the first is right, and from where on the second is.
            first, last = int(np.flatnonzero(bad)[0]), int(np.flatnonzero(other)[-1])
            if 0 < last + 1 <= first:
                candidate = _spliced(near, far, float(sizes[first]))
                if not (_bad(program, candidate, _OF_EXPONENTS) & counted).any():
                    return candidate
    return None


@lru_cache(maxsize=4096)
def _held_in_words(program: Program) -> tuple[bool, np.ndarray, np.ndarray]:
    """Whether angles get three words, at which magnitudes their words hold them, and where some are larger than that.

    Sines of the last, of products that two words hold, are right beside 1, not beside themselves.
    """
    where = points(program.variables)
    found, held = _angle_sizes(program), np.ones(len(where.sizes), bool)
    beyond = ~held
    is_long = any((size[where.sizes <= FAR_ANGLES] > TWO_WORDS).any() for size, _ in found)
    for size, exact in found:
        if is_long or not exact:
            held &= ~(size > (THREE_WORDS if is_long else TWO_WORDS))
        beyond |= size > (THREE_WORDS if is_long else TWO_WORDS)
    return is_long, held, beyond


def _angle_sizes(program: Program) -> list[tuple[np.ndarray, bool]]:
    """Of each angle that is a polynomial: how large it is, ``(magnitudes,)``, and whether two words hold it exactly."""
    found = angles(program)
    if found is None:
        return []
    where, outputs = points(program.variables), [_outputs(found.program, torch.float64, s) for s in samples(program)]
    return [(np.max([_largest(o[i], where) for o in outputs], axis=0), e) for i, e in enumerate(found.exact)]


def rounded_angles(program: Program) -> np.ndarray:
    """``(magnitudes,)`` where two words may round an angle by too much; few of the points tried would show it."""
    lost = np.zeros(len(points(program.variables).sizes), bool)
    for size, exact in _angle_sizes(program):
        if not exact:
            lost |= size > ABSOLUTE * _OF_TWO_WORDS
    return lost


def _largest(values: torch.Tensor, where: Points) -> np.ndarray:
    """``(magnitudes,)`` the largest absolute values among the signs; inf for no number."""
    sizes: np.ndarray = values.abs().nan_to_num(math.inf).numpy()[where.places].max(0)
    return sizes


def _spliced(near: Program, far: Program, edge: float) -> Program:
    """One form of a function of x where |x| is less than a number, another elsewhere."""
    builder = Builder(near.inputs, near.variables)
    inputs = tuple(range(len(near.inputs)))
    inside = builder.emit("lt", builder.emit("abs", 0), builder.const(edge))
    pairs = zip(builder.inline(near, inputs), builder.inline(far, inputs), strict=True)
    return builder.build(*[builder.emit("where", inside, first, second) for first, second in pairs])


def _undefined(program: Program) -> bool:
    """Whether all that a Program computes is a quotient by the constant 0, which no form of it gets right."""
    none = [False] * len(program.inputs)
    for operation in program.operations:
        place = operation.arguments[1] - len(program.inputs) if operation.name == "div" else -1
        by_zero = place >= 0 and program.operations[place] == _ZERO
        none.append(by_zero or (operation.name != "where" and any(none[a] for a in operation.arguments)))
    return all(none[output] for output in program.outputs)


def _narrow_forms(program: Program, long_angles: bool) -> Iterator[tuple[Program, float]]:
    """The forms for float32 and how exact each must be, the cheapest first."""

    def with_words(plain: Program) -> Program:
        return (in_three_words(plain) if long_angles else None) or compensated(plain, False)

    given = (program,) if expanded(program) is program else (program, expanded(program))
    for each in given:
        yield with_words(each), RELATIVE
    for range_ in (SINGLE, SCALED):
        for each in given:
            yield with_words(extended(each, range_)), _OF_EXPONENTS
    for each in given:
        yield compensated(doubled(each, long_angles=long_angles), False), RELATIVE


@lru_cache(maxsize=65536)
def double_form(program: Program) -> Program:
    """The cheapest form of a Program that plain operations compute right in float64, by the yardstick of `wide`."""
    return _right_in_double(program, _OF_DOUBLE, _FAR)


@lru_cache(maxsize=4096)
def mending_form(program: Program) -> Program:
    """The same for elements of float32, which has fewer digits, and whose parameters are at most 100 there.

    At infinity too it is what `wide` is: infinite in float32, or the limit.
    """
    return _with_limits(program, _right_in_double(program, _OF_MENDING, _FAR_MENDED))


def _right_in_double(program: Program, relative: float, far: tuple[float, ...]) -> Program:
    for plain in (program, expanded(program, True), extended(program, DOUBLE)):
        candidate = compensated(plain, True)
        if not _bad_double(program, candidate, relative, far).any():
            return candidate
    return wide(program)


def _with_limits(program: Program, chosen: Program) -> Program:
    """A form with the limits of `wide` at infinities that it misses; they are constants where there are no parameters.

    Args:
        program: forward or backward; functions of several variables have no limits.
        chosen: a form of it that is right elsewhere.
    """
    missed = [] if program.variables > 1 else [_missed_limits(program, chosen, s) for s in samples(program)]
    if not any(map(any, missed)):
        return chosen
    if len(missed) > 1:
        return wide(program)
    builder = Builder(program.inputs)
    outputs = list(builder.inline(chosen, tuple(range(len(program.inputs)))))
    for place, limits in enumerate(missed[0]):
        for infinity, limit in limits.items():
            value = builder.const(limit)
            if len(program.inputs) > 1:  # the gradient
                value = builder.emit("mul", 1, value)
            there = builder.emit("eq", 0, builder.const(infinity))
            outputs[place] = builder.emit("where", there, value, outputs[place])
    return builder.build(*outputs)


def _missed_limits(program: Program, chosen: Program, sample: float) -> list[dict[float, float]]:
    """For each output the infinities at which a form is not what `wide` is, and what that is.

    It counts if it goes on from the values before: `wide` takes `x/(1 + x**2)` for infinite.
    """
    sides = torch.tensor([-math.inf, math.inf], dtype=torch.float64)
    x = torch.cat([sides, sides.sign() * grid()[-1]])
    inputs, missed = [x, *[torch.tensor(number).double() for number in numbers(program, sample)]], []
    for wanted, found in zip(_at(wide(program), inputs), _at(chosen, inputs), strict=True):
        (limit, last), here = wanted.chunk(2), found[:2]
        infinite, size = limit.abs() > 1e290, limit.abs().clamp(min=1.0)
        goes_on = torch.where(infinite, last * limit.sign() > 1.0, (last - limit).abs() <= 0.1 * size)
        same = torch.where(infinite, here * limit.sign() > 1e290, (here - limit).abs() <= _OF_MENDING * size)
        at = goes_on & ~same
        missed.append(dict(zip(sides[at].tolist(), limit[at].tolist(), strict=True)))
    return missed


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

    @property
    def windows(self) -> tuple[tuple[float, float, bool], ...]:
        """The window of the one variable."""
        return (self.window,)

    @property
    def holds_one(self) -> bool:
        """Whether float32 is enough up to 1."""
        return self.limit >= 1.0


@cache
def _held() -> list[float]:
    """Which part of normally distributed numbers is smaller than each magnitude of the grid, and than infinity."""
    return [math.erf(size / math.sqrt(2.0)) for size in (*grid().tolist(), math.inf)]


def reach(
    forward: Program,
    backward: Program,
    kernel: Kernel | None = None,
    tried: tuple[Sample, ...] = (),
    forms: tuple[Program, Program] | None = None,
) -> Reach:
    """Where values and gradients together are good, as `kernel` or plain operations compute them in float32.

    What happens at 0 does not count where the function is not defined there.

    Args:
        forward: the Program.
        backward: its backward Program.
        kernel: of both, without parameters; None for plain operations.
        tried: what parameters stand at; by default `samples`.
        forms: what plain operations run for the two; by default they, with their angles in two words.
    """
    if isinstance(kernel, NativeKernel):
        exact = cpu_kernel.kernel(wide(forward), wide(backward))
        if exact is not None:
            return _marked(kernel, exact, DIFFERS, _look(True))
    if kernel is None:
        bad = np.zeros(len(grid()), bool)
        for each, form_ in zip((forward, backward), forms or _plain_forms(forward, backward), strict=True):
            bad |= _bad(each, form_, _PROMISED * RELATIVE if tried else RELATIVE, tried=tried)
        values = _outputs(forward, torch.float32, tried[0] if tried else _SAMPLES[0])[0]
    else:
        x = points(1).variables[0].float()
        values, slopes = kernel.forward(x, ()), kernel.backward(torch.ones_like(x), x, ())[0]
        bad = _differing([*_exact(forward, _SAMPLES[0]), *_exact(backward, _SAMPLES[0])], [values, slopes], points(1))
    bad[0] &= bool(values[points(1).variables[0] == 0].isfinite().all())
    return Reach(bad)


def _plain_forms(forward: Program, backward: Program) -> tuple[Program, Program]:
    return compensated(forward, False), compensated(backward, False)


def reach_alone(kernel: NativeKernel, angles: bool = True) -> Reach | None:
    """The same where the kernel's own run in float64 tells it: where both agree in the middle of the grid, else None.

    Between the magnitude at which float32 fails and the one at which float64 does lie points at which they differ, so
    what hangs together with the middle is right in both. That a function has no value somewhere, float64
    alone does not say: it may have overflowed on the way.

    Args:
        kernel: of a function of x alone.
        angles: whether it may have some; else one in four of the many points for them is enough.
    """
    found = _marked(kernel, kernel, DIFFERS | UNDEFINED, _look(angles))
    low, high, _ = found.window
    return found if low <= 1.0 <= high else None


def _marked(kernel: NativeKernel, exact: NativeKernel, wrong: int, look: _Look) -> Reach:
    """Where a kernel in float32 is as another in float64, for what counts as wrong; no operation of torch sees it."""
    marks = kernel.marks(exact, look.inputs, RELATIVE, ABSOLUTE)
    if not (marks & wrong).any():
        return _everywhere()
    values, slopes = marks.reshape(2, 2, -1)
    bad = (values | slopes) & wrong
    # On a side of 0 where the function has no value at all, nothing is wrong.
    bad[(values[:, 1:] & UNDEFINED).all(1)] = 0
    bad[:, 0] *= not (values[:, 0] & NOT_FINITE).any()
    either = bad.any(0)
    return Reach(either[look.below] | either[look.above])


@cache
def _everywhere() -> Reach:
    return Reach(np.zeros(len(grid()), bool))


@dataclass(frozen=True)
class _Look:
    """At which magnitudes of the grid a kernel is looked at.

    Attributes:
        inputs: they on both sides of 0, and ones.
        below: for every magnitude of the grid, the place among them of the nearest that is not above it,
        above: and of the nearest that is not below.
    """

    inputs: tuple[np.ndarray, np.ndarray]
    below: np.ndarray
    above: np.ndarray


@cache
def _look(angles: bool) -> _Look:
    left_out = np.zeros(0) if angles else np.delete(_angles(), np.s_[::4])
    sizes = grid()[~np.isin(grid(), left_out)]
    x = np.concatenate([-sizes, sizes])
    below = np.searchsorted(sizes, grid(), "right") - 1
    return _Look((x, np.ones_like(x)), below, np.searchsorted(sizes, grid()))


def reach_of_values(kernel: Pointwise, exact: Pointwise, parameters: int = 0) -> Reach:
    """Where a fused kernel of x, and of parameters, gives all its outputs in float32 as another does in float64."""
    bad, sides = np.zeros(len(grid()), bool), points(1).variables[0]
    for sample in _SAMPLES if parameters else _SAMPLES[:1]:
        # The same numbers in both precisions.
        values = [torch.full_like(sides, sample * (1.0 + 0.3 * (i + 1))).float() for i in range(parameters)]
        found = kernel(sides.float(), *values)
        wrong = _differing(list(exact(sides, *[value.double() for value in values])), list(found), points(1))
        wrong[0] &= all(bool(output[sides == 0].isfinite().all()) for output in found)
        bad |= wrong
    return Reach(bad)


def reach_of_cancellations(
    forward: Program,
    backward: Program,
    tried: tuple[Sample, ...],
    values: ParameterValues,
    forms: tuple[Program, Program] | None = None,
) -> Reach:
    """The same of values and slopes in x, by plain operations, where sums cancel: these are held to the promise alone.

    What single elements that are small give to the slopes in parameters is lost in the sum of all.

    Args:
        forward: the Program, of one variable.
        backward: its backward Program.
        tried: what parameters stand at, one of them varied,
        values: among these.
        forms: as for `reach`.
    """
    points = cancellations(backward, [numbers(backward, sample) for sample in tried], (values.low, values.high))
    bad, at = np.zeros(len(grid()), bool), points[0]
    if not len(at):
        return Reach(bad)
    count, zero = len(forward.inputs), torch.zeros(len(at), dtype=torch.bool)
    largest = torch.stack([torch.ones_like(at), *[p.abs() for p in points[1:count]]]).amax(0)
    wrong = zero
    first, slopes = forms or _plain_forms(forward, backward)
    for each, form_ in (
        (forward, first),
        (replace(backward, outputs=backward.outputs[:1]), replace(slopes, outputs=slopes.outputs[:1])),
    ):
        inputs = points[: len(each.inputs)]
        plain = [_at(exact, inputs) for exact in (wide(each), doubled(expanded(each, True), True))]
        known = [_known(value, finer, zero) for value, finer in zip(*plain, strict=True)]
        found = _at(form_, [t.float() for t in inputs])
        for wanted, output in zip(known, found, strict=True):
            wrong = wrong | differs(
                wanted.float().double(), output.double(), zero, _PROMISED * RELATIVE, _PROMISED * ABSOLUTE * largest
            )
    above = np.searchsorted(grid(), at[wrong].abs().numpy())
    bad[above] = bad[above - 1] = True
    return Reach(bad)


def _at(program: Program, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    with torch.no_grad():
        found = torch_source.function(program)(*inputs)
    return [output.expand(len(inputs[0])) for output in (found if isinstance(found, tuple) else (found,))]


def samples(program: Program) -> tuple[float, ...]:
    """What the parameters of a Program stand at, one after another."""
    parametric = any(not name.startswith("grad") for name in program.inputs[program.variables :])
    return _SAMPLES if parametric else _SAMPLES[:1]


@dataclass(frozen=True)
class ParameterValues:
    """Which values of parameters forms are tried at, all of a Program at once: each its own.

    Attributes:
        low: the smallest size,
        high: and the largest.
        signed: whether of both signs.
        draws: how many.
    """

    low: float
    high: float
    signed: bool
    draws: int

    def drawn(self, count: int) -> tuple[tuple[float, ...], ...]:
        """Values of so many parameters, as samples."""
        return _drawn(self, count)


@lru_cache(maxsize=64)
def _drawn(values: ParameterValues, count: int) -> tuple[tuple[float, ...], ...]:
    generator, shape = np.random.default_rng(count), (values.draws, count)
    sizes = np.exp(generator.uniform(np.log(values.low), np.log(values.high), shape))
    signs = generator.choice([-1.0, 1.0], shape) if values.signed else np.ones(shape)
    if values.signed:
        signs[:2] = -1.0
    return tuple(tuple(row) for row in (sizes * signs).tolist())


def numbers(program: Program, sample: Sample) -> list[float]:
    """What stands for the inputs behind the variables: parameters near a number, no two the same; 1 for gradients."""
    names = program.inputs[program.variables :]
    if isinstance(sample, tuple):
        given = iter(sample)
        return [1.0 if name.startswith("grad") else next(given) for name in names]
    return [1.0 if name.startswith("grad") else sample * (1.0 + 0.3 * i) for i, name in enumerate(names)]


def _outputs(program: Program, dtype: torch.dtype, sample: Sample) -> list[torch.Tensor]:
    variables = [t.to(dtype) for t in points(program.variables).variables]
    # Numbers of float32, as the parameters of a module are.
    others = [torch.tensor(value, dtype=torch.float32).to(dtype) for value in numbers(program, sample)]
    with torch.no_grad():
        found = torch_source.function(program)(*variables, *others)
    return [output.expand(len(variables[0])) for output in (found if isinstance(found, tuple) else (found,))]


@lru_cache(maxsize=64)
def _wide_outputs(program: Program, sample: Sample) -> list[torch.Tensor]:
    return _outputs(wide(program), torch.float64, sample)


@lru_cache(maxsize=64)
def _exact(program: Program, sample: Sample) -> list[torch.Tensor]:
    """In float64; NaN, for anything, where double words say that float64 is wrong there, too."""
    found, zero = _wide_outputs(program, sample), points(program.variables).zero
    finer = _outputs(doubled(expanded(program, True), True), torch.float64, sample)
    return [_known(plain, fine, zero) for plain, fine in zip(found, finer, strict=True)]


def _known(plain: torch.Tensor, fine: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    error = (plain - fine).abs()
    wrong = fine.isfinite() & plain.isfinite() & (error > ABSOLUTE) & (error > RELATIVE * fine.abs())
    return torch.where(wrong & (plain.abs() < _LARGEST) & ~zero, math.nan, plain)


def _bad(
    program: Program,
    candidate: Program,
    relative: float = RELATIVE,
    scaled: np.ndarray | None = None,
    tried: tuple[Sample, ...] = (),
) -> np.ndarray:
    """At which magnitudes of the grid a form of a Program is wrong in float32.

    Args:
        program: the Program.
        candidate: a form of it.
        relative: how exact it must be.
        scaled: where errors may be as much larger as the variables are, of slopes that sines are multiplied to.
        tried: what parameters stand at; by default `samples`.
    """
    where = points(program.variables)
    allowed = np.where(scaled, where.sizes, 1.0) if scaled is not None else np.ones(len(where.sizes))
    absolute = torch.empty(len(where.zero), dtype=torch.float64)
    absolute[torch.from_numpy(where.places.copy())] = torch.from_numpy(np.maximum(allowed, 1.0) * ABSOLUTE)
    if any(o.name == "const" and _LARGEST < abs(o.number) < math.inf for o in candidate.operations):
        return np.ones(len(where.sizes), bool)
    bad = np.zeros(len(where.sizes), bool)
    for sample in tried or samples(program):
        found = _outputs(candidate, torch.float32, sample)
        # A function that a parameter scales errs by as much more.
        largest = max([1.0, *map(abs, numbers(program, sample))]) * (_PROMISED if tried else 1.0)
        bad |= _differing(_exact(program, sample), found, where, relative, absolute * largest)
    return bad


def _bad_double(program: Program, candidate: Program, relative: float, far: tuple[float, ...]) -> np.ndarray:
    """At which magnitudes of the grid a form of a Program is wrong in float64.

    What a function is at 0 where it has no value does not count.
    """
    where = points(program.variables)
    bad = np.zeros(len(where.sizes), bool)
    for sample in (*samples(program), *(far if len(samples(program)) > 1 else ())):
        # Double words have not the range of `wide`: what they call wrong may be right.
        pairs = zip(_wide_outputs(program, sample), _outputs(candidate, torch.float64, sample), strict=True)
        for exact, found in pairs:
            huge = (exact.abs() > 1e290) & (found.abs() > 1e290) & (exact.sign() == found.sign())
            close = (exact - found).abs() <= relative * exact.abs().clamp(min=1.0)
            pole = (exact.abs() > 1e290) & where.zero
            wrong = ~(close | huge | pole | (exact == found) | exact.isnan())
            bad |= wrong.numpy()[where.places].any(0)
    bad[0] &= expanded(program) is not program or any(name.startswith("grad") for name in program.inputs)
    return bad


def _differing(
    exact: list[torch.Tensor],
    found: list[torch.Tensor],
    where: Points,
    relative: float = RELATIVE,
    absolute: float | torch.Tensor = ABSOLUTE,
) -> np.ndarray:
    bad = np.zeros(len(where.sizes), bool)
    for wanted, output in zip(exact, found, strict=True):
        wrong = differs(wanted.float().double(), output.double(), where.zero, relative, absolute)
        bad |= wrong.numpy()[where.places].any(0)
    return bad


def differs(
    exact: torch.Tensor,
    found: torch.Tensor,
    zero: torch.Tensor,
    relative: float = RELATIVE,
    absolute: float | torch.Tensor = ABSOLUTE,
) -> torch.Tensor:
    """``(n,)`` where what is found is not what it should be; `zero` says where an input is 0."""
    error = (exact - found).abs()
    close = (error <= absolute) | ((error <= relative * exact.abs()) & exact.isfinite())
    # What is bounded stands for infinity; at a pole in 0 itself nothing is right or wrong.
    infinite = exact.isinf() & ((found * exact.sign() > 2.9e38) | zero)
    return ~(close | infinite | (exact == found) | exact.isnan())


@dataclass(frozen=True)
class Points:
    """Where forms of a Program are tried, with every sign of every variable.

    Attributes:
        variables: ``(n,)`` of each, in float64.
        zero: ``(n,)`` whether any of them is 0.
        places: ``(signs, magnitudes)`` positions of points that differ by signs alone.
        sizes: ``(magnitudes,)`` the largest |x| of the variables.
    """

    variables: tuple[torch.Tensor, ...]
    zero: torch.Tensor
    places: np.ndarray
    sizes: np.ndarray


@cache
def points(variables: int) -> Points:
    """The grid, or the coarser ones of several variables, every magnitude with every other."""
    axis = grid() if variables == 1 else coarse_grid()
    sides = np.stack([-axis, axis])
    # One dimension for the signs and one for the magnitudes of each variable, signs first.
    meshes = np.meshgrid(*[np.arange(2 * len(axis))] * variables, indexing="ij")
    chosen = [torch.from_numpy(sides.reshape(-1)[mesh.reshape(-1)]) for mesh in meshes]
    positions = np.arange(meshes[0].size).reshape([2, len(axis)] * variables)
    signs_first = positions.transpose([*range(0, 2 * variables, 2), *range(1, 2 * variables, 2)])
    places = signs_first.reshape(2**variables, -1)
    zero, sizes = chosen[0] == 0, chosen[0].abs()
    for more in chosen[1:]:
        zero, sizes = zero | (more == 0), torch.maximum(sizes, more.abs())
    return Points(tuple(chosen), zero, places, sizes.numpy()[places[0]])


@cache
def coarse_grid() -> np.ndarray:
    """The magnitudes of the grid of several variables: every other decade, and what lies where functions change."""
    decades = [10.0**e * (1.0 if e < 2 else _ODD) for e in range(-30, 31, 2)]
    middle = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0, 22.0, 32.0, 45.0, 64.0]
    overflow = [83.0, 87.0, 88.0, 89.0, 104.0, 150.0, 1e3 * _ODD]
    return np.unique(np.array([0.0, *decades, *middle, *overflow], dtype=np.float32).astype(np.float64))
