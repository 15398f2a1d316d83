"""Derivatives where a formula has a kink that the function has not: `sign(x)*log(1 + abs(x))` has slope 1 at 0.

In: a Program and its backward Program. Out: the latter, with its limit at each point where the former joins
smoothly. Kinks are declared operation by operation (see `gradient`), so that the terms of a smooth function can
disagree about a point: `log(1 + exp(-abs(x))) + max(x, 0)` is softplus. At such a point values are followed from
either side as *germs*, their value and their slope there. Where the function is continuous and both limits of the
derivative are one number that the Program does not give, the limit is put there, as a function of the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from symact.expr.functions import FUNCTIONS
from symact.program.builder import Emitter
from symact.program.derivatives import DIFFERENTIABLE, derivative
from symact.program.mpmath_values import at, value
from symact.program.program import Operation, Program
from symact.program.taylor import extended_to_zero

# Values of inputs other than x at which a claim is tried: no special ones.
_SAMPLES = ((0.9, 1.3, 0.7, 1.9), (1.7, 0.6, 2.3, 1.1))
_CLOSE = 1e-12
_KINKS = frozenset(("abs", "sign", "max", "min", "lt", "le", "eq"))


# A value `a*x + b` as (a, b); NaN stands for what depends on parameters.
_Line: TypeAlias = tuple[float, float]


class _UnknownError(ArithmeticError):
    """A germ is not known well enough to go on."""


@dataclass(frozen=True, slots=True)
class Germ:
    """`value + slope*t` for small t > 0; a slope of NaN is unknown."""

    value: float
    slope: float = 0.0

    @property
    def sign(self) -> float:
        """The sign for small t > 0."""
        leading = self.value if self.value != 0.0 else self.slope
        if math.isnan(leading):
            raise _UnknownError
        return math.copysign(1.0, leading) if leading != 0.0 else 0.0


def _minus(a: Germ, b: Germ) -> Germ:
    return Germ(a.value - b.value, a.slope - b.slope)


def _product(a: Germ, b: Germ) -> Germ:
    return Germ(a.value * b.value, a.value * b.slope + a.slope * b.value)


def _quotient(a: Germ, b: Germ) -> Germ:
    if b.value != 0.0:
        ratio = a.value / b.value
        return Germ(ratio, (a.slope - ratio * b.slope) / b.value)
    if a.value != 0.0:
        return Germ(math.copysign(math.inf, a.value) * b.sign, math.nan)
    return Germ(a.slope / b.slope if b.slope else math.nan, math.nan)


_LIMITS = {"exp": (0.0, math.inf), "expm1": (-1.0, math.inf), "tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


def _number(name: str, *arguments: float) -> float:
    """`name(arguments)` in float64; NaN where it is not finite."""
    if len(arguments) == 1 and math.isinf(arguments[0]) and name in _LIMITS:
        return _LIMITS[name][arguments[0] > 0]
    return value(name, *arguments)


def _function(name: str, u: Germ) -> Germ:
    number = _number(name, u.value)
    if u.slope == 0.0:
        return Germ(number)
    if name == "hypot1":
        return Germ(number, u.value / number * u.slope)
    # At a kink its derivative would be that of neither side.
    known = name in DIFFERENTIABLE and not FUNCTIONS[name].pieces
    return Germ(number, at(derivative(name), u.value)[0] * u.slope if known else math.nan)


def _power(a: Germ, b: Germ) -> Germ:
    if a.value == 0.0 and b.slope == 0.0 and b.value > 0.0:
        return Germ(0.0, 0.0 if b.value > 1.0 else math.nan)
    number = _number("pow", a.value, b.value)
    if b.slope == 0.0 and a.value != 0.0:
        return Germ(number, b.value * number / a.value * a.slope)
    return Germ(number, math.nan if a.slope or b.slope else 0.0)


_ARITHMETIC: dict[str, Callable[..., Germ]] = {
    "add": lambda a, b: Germ(a.value + b.value, a.slope + b.slope),
    "sub": _minus,
    "mul": _product,
    "div": _quotient,
    "neg": lambda a: Germ(-a.value, -a.slope),
    "pow": _power,
}
# What an operation with a kink is on the side where its argument, or the difference of its arguments, has a sign:
# the number of an argument (negative: minus it), or a constant.
_CHOICES: dict[str, Callable[[float], int | float]] = {
    "abs": lambda sign: 0 if sign >= 0 else -1,
    "sign": float,
    "max": lambda sign: 0 if sign >= 0 else 1,
    "min": lambda sign: 0 if sign <= 0 else 1,
    "lt": lambda sign: float(sign < 0),
    "le": lambda sign: float(sign <= 0),
    "eq": lambda sign: float(sign == 0),
}


def _choice(operation: Operation, arguments: list[Germ]) -> int | float | None:
    """Which branch an operation takes, None for one without branches."""
    if operation.name == "where":
        return 1 if arguments[0].value != 0.0 else 2
    if operation.name not in _KINKS:
        return None
    return _CHOICES[operation.name]((arguments[0] if len(arguments) == 1 else _minus(*arguments)).sign)


def _germs(program: Program, x: Germ, sample: tuple[float, ...]) -> tuple[list[Germ], list[int | float | None]]:
    """The germs of the outputs, and what every operation chose.

    Raises:
        _UnknownError: an output is not known.
    """
    others = [Germ(sample[i % len(sample)]) for i in range(len(program.inputs) - 1)]
    values: list[Germ | None] = [x, *others]
    choices: list[int | float | None] = []
    for operation in program.operations:
        known = [values[a] for a in operation.arguments]
        if operation.name == "const":
            values.append(Germ(operation.number))
            choices.append(None)
            continue
        # A branch that is not taken may be unknown.
        arguments = [a if a is not None else Germ(math.nan, math.nan) for a in known]
        try:
            choice = _choice(operation, arguments)
            found: Germ | None
            if isinstance(choice, float):
                found = Germ(choice)
            elif choice is not None:
                found = arguments[choice] if choice >= 0 else _ARITHMETIC["neg"](arguments[0])
            elif operation.name in _ARITHMETIC:
                found = _ARITHMETIC[operation.name](*arguments)
            else:
                found = _function(operation.name, arguments[0])
        except (_UnknownError, OverflowError):
            choice, found = None, None
        values.append(found)
        choices.append(choice)
    outputs = []
    for output in program.outputs:
        germ = values[output]
        if germ is None or not math.isfinite(germ.value):
            raise _UnknownError
        outputs.append(germ)
    return outputs, choices


def _at(program: Program, x: float, sample: tuple[float, ...]) -> list[float]:
    return at(program, x, *[sample[i % len(sample)] for i in range(len(program.inputs) - 1)])


def centers(program: Program) -> list[float]:
    """Where operations whose argument is `a*x + b` have kinks, if they do not all take the branch of one side there."""
    lines = _lines(program)
    found: dict[float, set[float]] = {}
    for operation in program.operations:
        if operation.name not in _KINKS:
            continue
        arguments = [lines[a] for a in operation.arguments]
        difference = arguments[0] if len(arguments) == 1 else _line(Operation("sub"), arguments)
        center = _root(difference)
        if difference is not None and center is not None:
            known = 0.0 if math.isnan(difference[0]) else math.copysign(1.0, difference[0])
            found.setdefault(center, set()).add(_side(operation.name, arguments) * known)
    return [center for center, sides in found.items() if sides not in ({1.0}, {-1.0})]


def _side(name: str, arguments: list[_Line | None]) -> float:
    """The sign of the difference of the arguments whose branch is taken where they are equal; 0 for none."""
    if name in ("lt", "le"):
        return 1.0 if name == "lt" else -1.0
    if name in ("max", "min"):
        constants = [a is not None and a[0] == 0.0 for a in arguments]
        if constants[0] == constants[1]:
            return 0.0
        constant = arguments[constants.index(True)]
        # The constant wins, but in min(u, 0) the value does.
        wins = constants.index(True) if name == "max" or constant != (0.0, 0.0) else constants.index(False)
        first = 1.0 if wins == 0 else -1.0
        return first if name == "max" else -first
    return 0.0


def _lines(program: Program) -> list[_Line | None]:
    """Which values are lines."""
    lines: list[_Line | None] = [(1.0, 0.0), *[(0.0, math.nan)] * (len(program.inputs) - 1)]
    for operation in program.operations:
        lines.append(_line(operation, [lines[a] for a in operation.arguments]))
    return lines


def _root(line: _Line | None) -> float | None:
    """Where a line is 0 in float64, too, whatever its slope."""
    if line is None or line[0] == 0.0 or math.isnan(line[1]):
        return None
    if math.isnan(line[0]):
        return 0.0 if line[1] == 0.0 else None
    root = -line[1] / line[0]
    return root if math.isfinite(root) and line[0] * root + line[1] == 0.0 else None


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0.0 or b == 0.0 else a * b


def _line(operation: Operation, arguments: list[_Line | None]) -> _Line | None:
    if operation.name == "const":
        return 0.0, operation.number
    if None in arguments:
        return None
    match operation.name, *arguments:
        case "add", (a, b), (c, d):
            return a + c, b + d
        case "sub", (a, b), (c, d):
            return a - c, b - d
        case "mul", (a, b), (0.0, d):
            return _times(a, d), _times(b, d)
        case "mul", (0.0, b), (c, d):
            return _times(b, c), _times(b, d)
        case "div", (a, b), (0.0, d) if d != 0.0:
            return _times(a, 1.0 / d), _times(b, 1.0 / d)
        case "neg", (a, b):
            return -a, -b
    return None


def _close(a: list[float], b: list[float]) -> list[bool]:
    return [abs(p - q) <= _CLOSE * max(abs(p), abs(q)) or abs(p - q) < 1e-15 for p, q in zip(a, b, strict=True)]


def continued(program: Program, slopes: Program) -> Program:
    """The backward Program of `program`, right where its kinks are none.

    Args:
        program: what was differentiated.
        slopes: its backward Program.
    """
    for center in centers(program):
        found = _mended(program, slopes, center)
        if found is not None:
            slopes = found
    return slopes


def _mended(program: Program, slopes: Program, center: float) -> Program | None:
    """With the limits at one point; None where nothing is to be mended."""
    mended: set[int] | None = None
    choices: list[int | float | None] = []
    for sample in _SAMPLES:
        try:
            (right, taken), (left, _) = (_germs(slopes, Germ(center, side), sample) for side in (1.0, -1.0))
        except _UnknownError:
            return None
        limits, others = [g.value for g in right], [g.value for g in left]
        smooth = _close(limits, others)
        wrong = [not same for same in _close(_at(slopes, center, sample), limits)]
        here = {i for i, (a, b) in enumerate(zip(smooth, wrong, strict=True)) if a and b}
        if not here or not _continuous(program, center, sample):
            return None
        mended, choices = here if mended is None else mended & here, taken
    return _patched(slopes, center, mended, choices) if mended else None


def _continuous(program: Program, center: float, sample: tuple[float, ...]) -> bool:
    here = _at(program, center, sample)
    try:
        sides = [[g.value for g in _germs(program, Germ(center, side), sample)[0]] for side in (1.0, -1.0)]
    except _UnknownError:
        return False
    return all(all(_close(here, side)) for side in sides)


def _patched(slopes: Program, center: float, mended: set[int], choices: list[int | float | None]) -> Program:
    builder = Emitter(slopes.inputs, variables=slopes.variables)
    numbers = builder.copy(slopes)
    point = builder.const(center)
    limits = [point, *range(1, len(slopes.inputs))]
    for operation, choice in zip(slopes.operations, choices, strict=True):
        limits.append(_limit(builder, operation, choice, [limits[a] for a in operation.arguments]))
    here = builder.emit("eq", 0, point)
    outputs = [
        builder.emit("where", here, limits[output], numbers[output]) if i in mended else numbers[output]
        for i, output in enumerate(slopes.outputs)
    ]
    return builder.build(*outputs)


def _limit(builder: Emitter, operation: Operation, choice: int | float | None, arguments: list[int]) -> int:
    if operation.name == "const":
        return builder.const(operation.number)
    if isinstance(choice, float):
        return builder.const(choice)
    if choice is not None:
        return arguments[choice] if choice >= 0 else builder.emit("neg", arguments[0])
    return builder.emit(operation.name, *arguments)


def without_points(program: Program) -> Program:
    """Without branches `where(x == c, v, f)` for a single point where they only continue `f`.

    Such a branch would cut the derivatives of a function off at the point.
    """
    for position, operation in enumerate(program.operations):
        if operation.name != "where":
            continue
        center = _point(program, operation.arguments[0])
        if center is None:
            continue
        joined = _joined(program, position, center)
        if joined is not None:
            return without_points(joined)
    return program


def _point(program: Program, condition: int) -> float | None:
    """Where a condition `u == v` holds, if `u - v` is `a*x + b`."""
    offset = len(program.inputs)
    if condition < offset or program.operations[condition - offset].name != "eq":
        return None
    lines = _lines(program)
    first, second = program.operations[condition - offset].arguments
    return _root(_line(Operation("sub"), [lines[first], lines[second]]))


def _joined(program: Program, position: int, center: float) -> Program | None:
    """The Program with the other branch in the place of a `where`, if that continues to the same value."""
    _, here, branch = program.operations[position].arguments
    whole = replace(program, outputs=(here, branch))
    pairs = [_at(whole, center, sample) for sample in _SAMPLES]
    extended: Program | None = None
    if any(math.isnan(there) for _, there in pairs) and len(program.inputs) == 1:
        near = _moved(_part(program, branch), center)
        extended = None if near is None else _moved(extended_to_zero(near), -center)
        if extended is not None:
            pairs = [[pairs[0][0], at(extended, center)[0]]]
    if not all(_close([wanted], [there])[0] for wanted, there in pairs):
        return None
    builder = Emitter(program.inputs, variables=program.variables)
    numbers = list(range(len(program.inputs)))
    for place, operation in enumerate(program.operations):
        if place == position:
            inputs = tuple(range(len(program.inputs)))
            numbers.append(numbers[branch] if extended is None else builder.inline(extended, inputs)[0])
        elif operation.name == "const":
            numbers.append(builder.const(operation.number))
        else:
            numbers.append(builder.emit(operation.name, *[numbers[a] for a in operation.arguments]))
    return builder.build(*[numbers[output] for output in program.outputs])


def _part(program: Program, number: int) -> Program:
    builder = Emitter(program.inputs, variables=program.variables)
    return builder.build(builder.copy(program)[number])


def _moved(program: Program | None, by: float) -> Program | None:
    """A Program of x at `x + by`."""
    if program is None or by == 0.0:
        return program
    builder = Emitter(program.inputs, variables=program.variables)
    return builder.build(*builder.inline(program, (builder.emit("add", 0, builder.const(by)),)))
