"""Operators on whole arrays in float64.

It is *saturating*: a result too large for the format stays at a huge number and one too small for it at
a tiny number, so that NaN means undefined and nothing else (DESIGN: overflow is not undefined). Arrays
have two halves of columns. The second half repeats the points of the first with other saturation bounds,
and every result in it is perturbed by a few units in the last place; a value is *reliable* where both halves
agree. So cancellation, overflow and underflow on the way to a value show at its end, at no extra cost: stochastic
arithmetic (J. Vignes, Mathematics and Computers in Simulation 35, 1993).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from symact.arrays import Array
from symact.equivalence.numeric.float32 import FLOAT32
from symact.equivalence.numeric.special import special
from symact.expr.functions import SELU_ALPHA, SELU_SCALE
from symact.program.instructions import CHOOSING, HELPERS
from symact.program.program import Operation, Program

HUGE, TINY = 1e307, 1e-305
_PERTURBED_HUGE, _PERTURBED_TINY = 1e303, 1e-301
RELIABLE_HUGE, RELIABLE_TINY = 1e290, 1e-290
# Perturbations are multiples of this step, by these sizes: so many that a few of them hardly ever add up to nothing,
# which would pass a number that is near an integer off as one.
_STEP, _LEAST, _MOST = 2.0**-52, 4, 12
_INTEGERS_BELOW = 2.0**31
# Rows after which the perturbations begin again.
_PERIOD = 251
_SELU_SCALE, _SELU_ALPHA = float(SELU_SCALE), float(SELU_ALPHA)


@lru_cache(maxsize=8)
def _noise(points: int) -> Array:
    generator = np.random.default_rng(20260101)
    shape = (_PERIOD, points)
    steps = generator.integers(_LEAST, _MOST + 1, size=shape) * generator.choice([-1, 1], size=shape)
    # Twice, so that a block of rows meets a part without wrapping.
    return np.tile(1.0 + steps * _STEP, (2, 1))


# Steps that round nothing: values made by these alone are exact if their arguments are.
WHOLE_BELOW = 1e6
EXACT = CHOOSING | {"const", "neg"}


class Saturation:
    """The bounds of each column: ``(columns,)`` arrays, the second half weaker than the first.

    Args:
        points: number of points; there are twice as many columns when `doubled`.
        doubled: whether there is a second, perturbed half.
    """

    def __init__(self, points: int, doubled: bool = True):
        self.points, self.doubled = points, doubled
        columns = 2 * points if doubled else points
        self.huge = np.full(columns, HUGE)
        self.tiny = np.full(columns, TINY)
        if doubled:
            self.huge[points:] = _PERTURBED_HUGE
            self.tiny[points:] = _PERTURBED_TINY
            self.noise = _noise(points)

    def perturb(self, values: Array, first_row: int, exact: tuple[Array, Array] | None = None) -> None:
        """Perturb the second half of ``(rows, columns)`` in place.

        Args:
            values: changed in place.
            first_row: of the noise.
            exact: numbers ``(n,)`` of rows, and ``(n, points)`` where these are not perturbed.
        """
        if not self.doubled:
            return
        half = values[:, self.points :]
        start = first_row % _PERIOD
        noise = self.noise[start : start + len(half)]
        if len(noise) < len(half):
            noise = self.noise[(np.arange(len(half)) + start) % _PERIOD]
        if exact is None:
            half *= noise
        else:
            rows, found = exact
            kept = half[rows][found]
            half *= noise
            here = np.nonzero(found)
            half[rows[here[0]], here[1]] = kept

    def reliable(self, values: Array) -> Array:
        """Where ``(rows, columns)`` values are accurate: ``(rows, points)`` bool; undefined in both halves counts."""
        first = values[:, : self.points]
        if not self.doubled:
            return np.ones(first.shape, bool)
        second = values[:, self.points :]
        size = np.abs(first)
        good = np.abs(first - second) <= 1e-12 * size
        good &= ((size < RELIABLE_HUGE) & (size > RELIABLE_TINY)) | (size == 0)
        reliable: Array = good | (np.isnan(first) & np.isnan(second))
        return reliable


def run(
    program: Program,
    inputs: Sequence[Array],
    bounds: Saturation,
    salt: int | None = None,
    whole_rows: Array | None = None,
) -> Array:
    """An exact Program in saturating float64.

    Args:
        program: of one operator.
        inputs: one array per input of the program, broadcastable to ``(rows, columns)``.
        bounds: of the columns.
        salt: perturb every rounded result in the second half, beginning at this row of the noise.
        whole_rows: ``(n,)`` rows whose arguments may all be whole numbers somewhere; None where that is not known.
    """
    values: list[Array] = list(inputs)
    for number, step in enumerate(program.value_operations):
        out = _step(step, values, bounds)
        if salt is not None and step.name not in EXACT and out.shape[1] == len(bounds.huge):
            possible = whole_rows if len(program.value_operations) == 1 else None
            exact = _exact([values[a] for a in step.arguments], out, bounds.points, possible)
            bounds.perturb(out, salt + 5 * number, exact)
        values.append(out)
    return values[program.output]


def _exact(operands: Sequence[Array], out: Array, points: int, possible: Array | None) -> tuple[Array, Array] | None:
    """Where results in the second half are exact, whole numbers of whole numbers: rows, and where in these.

    tanh(40) is not 1: a whole number out of others is rounding, and a power of a negative base shows it.
    """
    rows = np.arange(len(out)) if possible is None else possible
    if not operands or not len(rows):
        return None
    exact = np.ones((len(rows), points), bool)
    for values in (*operands, out):
        half = values[:, points:] if values.shape[1] > 1 else values
        exact &= whole(half if len(half) == 1 or possible is None else half[rows])
        if not exact.any():
            return None
    return rows, exact


def breakpoint_values(program: Program, inputs: Sequence[Array], bounds: Saturation) -> list[Array]:
    """The values of a program's breakpoints."""
    values = dict(enumerate(inputs))
    for number in program.breakpoint_operations:
        values[len(inputs) + number] = _step(program.operations[number], values, bounds)
    return [values[s] for s in program.breakpoints]


def _step(step: Operation, values: Mapping[int, Array] | Sequence[Array], bounds: Saturation) -> Array:
    """The value of one step in saturating float64."""
    if step.name == "const":
        return np.full((1, 1), step.number)
    operands = [values[a] for a in step.arguments]
    if step.name == "ipow":
        return _ipow(operands[0], int(step.number), bounds)
    return FLOAT64[step.name](bounds, *operands)


def _capped(bounds: Saturation, out: Array) -> Array:
    # To ask first is quicker: hardly any block has values so large.
    return np.clip(out, -bounds.huge, bounds.huge) if (np.abs(out) > _PERTURBED_HUGE).any() else out


def _soft(bounds: Saturation, out: Array, nonzero: Array, sign: Array) -> Array:
    """A zero that only underflow made becomes tiny; `nonzero` tells where the true result is not zero."""
    if out.all():
        return out
    lost = np.nonzero((out == 0) & nonzero)
    if len(lost[0]):
        out[lost] = np.copysign(bounds.tiny[lost[1] % len(bounds.tiny)], np.broadcast_to(sign, out.shape)[lost])
    return out


def whole(values: Array) -> Array:
    """Where values are integers of moderate size."""
    found: Array = np.rint(values) == values
    if found.any():
        found &= np.abs(values) < WHOLE_BELOW
    return found


def _ipow(a: Array, exponent: int, bounds: Saturation) -> Array:
    out = a * a if exponent == 2 else a * a * a if exponent == 3 else np.power(a, float(exponent))
    return _soft(bounds, _capped(bounds, out), a != 0, a if exponent % 2 else np.abs(a))


def _mul(bounds: Saturation, a: Array, b: Array) -> Array:
    out = _capped(bounds, a * b)
    if out.all():
        return out
    return _soft(bounds, out, (a != 0) & (b != 0), out)


def _div(bounds: Saturation, a: Array, b: Array) -> Array:
    out = a / b
    zero = b == 0
    if zero.any():
        out = np.where(zero, np.nan, out)
    return _soft(bounds, _capped(bounds, out), a != 0, out)


def _pow(bounds: Saturation, a: Array, b: Array) -> Array:
    out = np.power(a, b)
    undefined = np.isnan(a) | np.isnan(b) | ((a == 0) & (b < 0)) | ((a < 0) & (np.abs(b) > _INTEGERS_BELOW))
    if undefined.any():
        out = np.where(undefined, np.nan, out)
    return _soft(bounds, _capped(bounds, out), a != 0, out)


def _log(bounds: Saturation, a: Array) -> Array:
    return np.where(a > 0, np.log(a), np.nan)


def _log1p(bounds: Saturation, a: Array) -> Array:
    return np.where(a > -1, np.log1p(a), np.nan)


def _sigmoid(bounds: Saturation, a: Array) -> Array:
    y: Array = np.maximum(1.0 / (1.0 + np.exp(-a)), bounds.tiny)
    return y


def _logsigmoid(bounds: Saturation, a: Array) -> Array:
    y: Array = np.minimum(np.minimum(a, 0.0) - np.log1p(np.exp(-np.abs(a))), -bounds.tiny)
    return y


def _softplus(bounds: Saturation, a: Array) -> Array:
    y: Array = np.maximum(np.maximum(a, 0.0) + np.log1p(np.exp(-np.abs(a))), bounds.tiny)
    return y


def _swish(bounds: Saturation, a: Array) -> Array:
    return _mul(bounds, a, _sigmoid(bounds, a))


def _logcosh(bounds: Saturation, a: Array) -> Array:
    size = np.abs(a)
    near = np.log1p(2.0 * np.sinh(np.minimum(size, 1.0) / 2) ** 2)
    out = np.where(size < 1, near, size + (np.log1p(np.exp(-2 * size)) - np.log(2.0)))
    return _soft(bounds, out, a != 0, size)


def _elu(bounds: Saturation, a: Array) -> Array:
    return np.where(a > 0, a, np.expm1(np.minimum(a, 0.0)))


def _logical(values: Array, *operands: Array) -> Array:
    out = values.astype(float)
    for operand in operands:
        lost = np.isnan(operand)
        if lost.any():
            out = np.where(lost, np.nan, out)
    return out


def _where(bounds: Saturation, condition: Array, then: Array, otherwise: Array) -> Array:
    out = np.where(condition != 0, then, otherwise)
    lost = np.isnan(condition)
    return np.where(lost, np.nan, out) if lost.any() else out


def _lgamma(bounds: Saturation, a: Array) -> Array:
    """log(abs(Gamma(a))); SciPy keeps the digits near the zeros at 1 and 2 for complex numbers only."""
    pole = (a <= 0) & (a == np.floor(a))
    return _capped(bounds, np.where(pole, np.nan, special.loggamma(a + 0j).real))


def _plain(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda bounds, *arguments: function(*arguments)


def _growing(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda bounds, *arguments: _capped(bounds, function(*arguments))


def _positive(function: Callable[[Array], Array]) -> Callable[..., Array]:
    return lambda bounds, a: np.clip(function(a), bounds.tiny, bounds.huge)


# Bounds, arguments -> values: one row per instruction that may overflow, underflow or be undefined in the middle of a
# formula. The others NumPy computes as it does in float32.
FLOAT64: dict[str, Callable[..., Array]] = {
    **{name: _plain(row) for name, row in FLOAT32.items() if name not in HELPERS},
    "add": _growing(np.add),
    "sub": _growing(np.subtract),
    "mul": _mul,
    "div": _div,
    "pow": _pow,
    "lt": lambda _, a, b: _logical(a < b, a, b),
    "le": lambda _, a, b: _logical(a <= b, a, b),
    "eq": lambda _, a, b: _logical(a == b, a, b),
    "ne": lambda _, a, b: _logical(a != b, a, b),
    "and": lambda _, a, b: _logical((a != 0) & (b != 0), a, b),
    "or": lambda _, a, b: _logical((a != 0) | (b != 0), a, b),
    "where": _where,
    "exp": _positive(np.exp),
    "expm1": _growing(np.expm1),
    "log": _log,
    "log1p": _log1p,
    "sinh": _growing(np.sinh),
    "cosh": _growing(np.cosh),
    "erfc": _positive(special.erfc),
    "erfcx": _positive(special.erfcx),
    "sigmoid": _sigmoid,
    "logsigmoid": _logsigmoid,
    "softplus": _softplus,
    "relu": _plain(lambda a: np.maximum(a, 0.0)),
    "elu": _elu,
    "selu": lambda bounds, a: _capped(
        bounds, _SELU_SCALE * np.where(a > 0, a, _SELU_ALPHA * np.expm1(np.minimum(a, 0)))
    ),
    "swish": _swish,
    "gelu": lambda bounds, a: _mul(bounds, a, np.maximum(special.ndtr(a), bounds.tiny)),
    "ndtr": _positive(special.ndtr),
    "log_ndtr": lambda bounds, a: np.clip(special.log_ndtr(a), -bounds.huge, -bounds.tiny),
    "logcosh": _logcosh,
    "sinc": _plain(lambda a: np.where(a == 0, 1.0, np.sin(a) / np.where(a == 0, 1.0, a))),
    "lgamma": _lgamma,
    "heaviside": lambda _, a: _logical(a > 0, a),
}
