"""Reverse mode on Programs, one row per operation: Program -> backward Program.

Kinks are declared here and nowhere else, and follow PyTorch: `abs'(0) = sign'(x) = 0`; where
max or min of a value and a constant tie, the constant wins (`relu'(0) = 0`, as `hardtanh`), but in
`min(u, 0)` the value, since `max(u, 0) + min(u, 0)` is `u` (so `celu'(0) = 1`);
where two values tie, each gets one half (as `torch.maximum`); `where` passes everything to the
branch that is taken, and comparisons pass nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache

from symact.program.adjoints import Adjoint, applied, divided, masked, scaled, summed
from symact.program.builder import Emitter, Value, call
from symact.program.continuation import continued
from symact.program.derivatives import DIFFERENTIABLE, derivative
from symact.program.instructions import INSTRUCTIONS
from symact.program.program import Operation, Program

Row = Callable[..., tuple[Value | Adjoint | None, ...]]


def _number(value: Value) -> float | None:
    return value.builder.number(value.number)


def _constant(value: Value) -> bool:
    return _number(value) is not None


def _max(g: Value, y: Value, a: Value, b: Value) -> tuple[Adjoint, Adjoint]:
    a_wins, b_wins = call("lt", b, a), call("lt", a, b)
    if _constant(a) or _constant(b):
        return masked(g, a_wins), masked(g, b_wins)
    half = call("where", call("eq", a, b), 0.5 * g, g)
    return masked(half, b_wins, False), masked(half, a_wins, False)


def _min(g: Value, y: Value, a: Value, b: Value) -> tuple[Adjoint, Adjoint]:
    a_wins, b_wins = call("lt", a, b), call("lt", b, a)
    if 0.0 in (_number(a), _number(b)):
        return masked(g, b_wins, False), masked(g, a_wins, False)
    if _constant(a) or _constant(b):
        return masked(g, a_wins), masked(g, b_wins)
    half = call("where", call("eq", a, b), 0.5 * g, g)
    return masked(half, b_wins, False), masked(half, a_wins, False)


def _pow(g: Value, y: Value, a: Value, b: Value) -> tuple[Value | Adjoint | None, ...]:
    """d/da = b*a**(b-1), 0 where b is 0; d/db = y*log(a), 0 where a is 0."""
    base = exponent = None
    if not _constant(a):
        slope = g * b * call("pow", a, b - 1.0)
        base = slope if _constant(b) else masked(slope, call("eq", b, 0.0), False)
    if not _constant(b) and _number(a) != 0:
        change = g * y * call("log", a)
        exponent = change if _constant(a) else masked(change, call("eq", a, 0.0), False)
    return base, exponent


_INVERSE_ROOT_PI = 1.0 / math.sqrt(math.pi)


def _sech_squared(x: Value) -> Value:
    sech = 1.0 / call("cosh", x)
    return sech * sech


def _by_table(name: str) -> Row:
    """The derivative that the table of functions has, factor by factor: what is large may meet what is small first."""

    def row(g: Value, y: Value, a: Value) -> tuple[Value]:
        builder, operations = a.builder, derivative(name).operations
        numbers = {0: a.number}
        for number, operation in enumerate(operations, 1):
            if (operation.name, operation.arguments) == (name, (0,)):
                numbers[number] = y.number
        product = g.number
        for step, factor in _factors(name):
            arguments = () if factor is None else (_emitted(builder, operations, numbers, factor),)
            product = builder.emit(step, product, *arguments)
        return (Value(builder, product),)

    return row


def _emitted(builder: Emitter, operations: tuple[Operation, ...], numbers: dict[int, int], number: int) -> int:
    """A value of a Program of one input, with what it needs; `numbers` holds what is there already."""
    found = numbers.get(number)
    if found is None:
        operation = operations[number - 1]
        if operation.name == "const":
            found = builder.const(operation.number)
        else:
            arguments = [_emitted(builder, operations, numbers, argument) for argument in operation.arguments]
            found = builder.emit(operation.name, *arguments)
        numbers[number] = found
    return found


@cache
def _factors(name: str) -> tuple[tuple[str, int | None], ...]:
    """The derivative of an instruction as what a gradient is multiplied with and divided by, one after another."""
    program = derivative(name)
    steps: list[tuple[str, int | None]] = []

    def take(number: int) -> None:
        operation = program.operations[number - 1]
        match operation.name, operation.arguments:
            case "mul", (first, second):
                take(first)
                take(second)
            case "div", (first, second):
                take(first)
                steps.append(("div", second))
            case "neg", (inner,):
                take(inner)
                steps.append(("neg", None))
            case _:
                steps.append(("mul", number))

    take(program.output)
    return tuple(steps)


# (adjoint g of the result, result y, arguments) -> adjoints of the arguments, None for nothing. A function stands here
# only where the formula of the table would lose digits, or does not say all.
GRADIENTS: dict[str, Row] = {
    "add": lambda g, y, a, b: (g, g),
    "sub": lambda g, y, a, b: (g, -g),
    "mul": lambda g, y, a, b: (g * b, g * a),
    "div": lambda g, y, a, b: (g / b, Adjoint(-(g * y), (), b)),
    "neg": lambda g, y, a: (-g,),
    "abs": lambda g, y, a: (masked(g * call("sign", a), call("eq", a, 0.0), False),),
    "max": _max,
    "min": _min,
    "where": lambda g, y, c, a, b: (None, masked(g, c), masked(g, c, False)),
    "pow": _pow,
    "log": lambda g, y, a: (Adjoint(g, (), a),),
    "tanh": lambda g, y, a: (g * _sech_squared(a),),
    "erfcx": lambda g, y, a: (g * call("erfcx_grad", a),),
    "i0e": lambda g, y, a: (g * _i0e_slope(a),),
    "i1e": lambda g, y, a: (g * _i1e_slope(a),),
    "sinc": lambda g, y, a: (g * call("sinc_grad", a),),
    "sinc_grad": lambda g, y, a: (g * _sinc_grad_slope(y, a),),
    "erfcx_grad": lambda g, y, a: (g * _erfcx_bend(y, a),),
    "i1e_ratio": lambda g, y, a: (g * _i1e_ratio_slope(y, a),),
    "i0e_minus_i1e": lambda g, y, a: (g * (_i0e_slope(a) - _i1e_slope(a)),),
    "hypot1": lambda g, y, a: (g * (a / y),),
    "product_rest": lambda g, y, a, b: (None, None),
    "sum_rest": lambda g, y, a, b: (None, None),
    "sin_sum": lambda g, y, a, b: (g * call("cos_sum", a, b), g * call("cos_sum", a, b)),
    "cos_sum": lambda g, y, a, b: (-(g * call("sin_sum", a, b)), -(g * call("sin_sum", a, b))),
}
# Comparisons, signs and roundings are constant wherever they have a derivative, and pass nothing on.
GRADIENTS |= {
    name: lambda g, y, *arguments: (None,) * len(arguments)
    for name, row in INSTRUCTIONS.items()
    if row.chooses and name not in GRADIENTS
}
GRADIENTS |= {name: _by_table(name) for name in DIFFERENTIABLE if name not in GRADIENTS}


def _erfcx_bend(y: Value, a: Value) -> Value:
    """2*erfcx(a) + 2*a*y, from 8 on by the asymptotic series of erfcx (DLMF 7.12.1), differentiated twice."""
    inverse = 1.0 / call("max", a, 8.0)
    square = inverse * inverse
    # The coefficients are (-1)**n*(2*n - 1)!!/2**n*(2*n + 1)*(2*n + 2).
    terms, factor = [], _INVERSE_ROOT_PI
    for n in range(17):
        terms.append(factor * (2 * n + 1) * (2 * n + 2))
        factor *= -(n + 0.5)
    series: Value | float = terms[-1]
    for term in terms[-2::-1]:
        series = square * series + term
    return call("where", call("lt", a, 8.0), 2.0 * call("erfcx", a) + 2.0 * a * y, inverse * (square * series))


def _i0e_slope(a: Value) -> Value:
    """i1e(a) - sign(a)*i0e(a), even differences by `i0e_minus_i1e`."""
    size = call("abs", a)
    return -(call("sign", a) * call("i0e_minus_i1e", size))


def _i1e_slope(a: Value) -> Value:
    """i0e - i1e/a - sign(a)*i1e."""
    return call("i0e_minus_i1e", call("abs", a)) - call("i1e_ratio", a)


def _i1e_ratio_slope(y: Value, a: Value) -> Value:
    """i2e(a)/a - sign(a)*y, where I2(a)/a is a power series for |a| < 1 (DLMF 10.25.2)."""
    size = call("abs", a)
    quarter = 0.25 * (a * a)
    series = quarter * (1.0 / 35.0) + 1.0
    for k in (4, 3, 2, 1):
        series = quarter * series * (1.0 / (k * (k + 2))) + 1.0
    small = 0.125 * (a * call("exp", -size)) * series
    large = (call("i0e", a) - 2.0 * y) / a
    return call("where", call("lt", size, 1.0), small, large) - call("sign", a) * y


def _sinc_grad_slope(y: Value, a: Value) -> Value:
    """-(sinc(a) + 2*y/a), -1/3 at 0, where y/a is -1/3."""
    tiny = call("lt", call("abs", a), 1e-4)
    return call("where", tiny, a * a * 0.1 - 1.0 / 3.0, -(call("sinc", a) + 2.0 * (y / a)))


@lru_cache(maxsize=4096)
def backward(program: Program) -> Program:
    """The vector-Jacobian product of a Program.

    Args:
        program: with one output; or several, for derivatives of derivatives.

    Returns:
        a Program with inputs `(*program.inputs, "grad")` (`grad_0, grad_1, ...` for several
        outputs) and one output per input of `program`: the elementwise terms, not yet summed where
        an input is broadcast.
    """
    count = len(program.outputs)
    grads = ("grad",) if count == 1 else tuple(f"grad_{i}" for i in range(count))
    builder = Emitter((*program.inputs, *grads), variables=program.variables)
    inputs = builder.inputs_as_values()
    numbers = builder.copy(program)
    values = [Value(builder, number) for number in numbers]
    adjoints: list[list[Adjoint]] = [[] for _ in values]
    powers, sech_squares, bounded = _half_powers(program), _sech_squares(program), _bounded_quotients(program)
    sines = _quotients_by_hypotenuse(program)
    for output, grad in zip(program.outputs, inputs[len(program.inputs) :], strict=True):
        adjoints[output].append(Adjoint(grad))
    active = _depends_on_inputs(program)
    first = len(program.inputs)
    for position in range(len(program.operations) - 1, -1, -1):
        number = first + position
        operation = program.operations[position]
        if not adjoints[number] or not active[number]:
            continue
        total = summed(builder, adjoints[number])
        if number in powers:
            base, halves = powers[number]
            slope = 0.5 * halves * _half_power(values[base], halves - 2)
            if active[base]:
                adjoints[base].append(scaled(total, slope))
            continue
        if number in sech_squares:
            inner = sech_squares[number]
            adjoints[inner].append(scaled(total, -2.0 * (call("tanh", values[inner]) * values[number])))
            continue
        if number in bounded:
            numerator, offset = bounded[number]
            divisor = values[operation.arguments[1]]
            adjoints[numerator].append(scaled(total, values[offset] / divisor / divisor))
            if active[offset]:
                adjoints[offset].append(scaled(total, -(values[number] / divisor)))
            continue
        if number in sines:
            one = Value(builder, builder.const(1.0)) / values[operation.arguments[1]]
            adjoints[sines[number]].append(scaled(total, one * one * one))
            continue
        terms = _terms(operation.name, total, values[number], [values[a] for a in operation.arguments])
        for argument, term in zip(operation.arguments, terms, strict=True):
            if term is not None and active[argument]:
                adjoints[argument].append(term)
    zero = builder.const(0.0)
    outputs = [applied(builder, summed(builder, a, whole=False)).number if a else zero for a in adjoints[:first]]
    return continued(program, builder.build(*outputs))


def _sech_squares(program: Program) -> dict[int, int]:
    """Values `1/cosh(u)**2` as value number -> u: their slope is `-2*tanh(u)` times themselves, in one step."""
    first, found = len(program.inputs), dict[int, int]()
    for number, operation in enumerate(program.operations, first):
        if operation.name != "mul" or operation.arguments[0] != operation.arguments[1]:
            continue
        ratio = program.operations[operation.arguments[0] - first] if operation.arguments[0] >= first else None
        if ratio is None or ratio.name != "div" or min(ratio.arguments) < first:
            continue
        one, below = (program.operations[a - first] for a in ratio.arguments)
        if one.name == "const" and one.value == 1.0 and below.name == "cosh":
            found[number] = below.arguments[0]
    return found


def _bounded_quotients(program: Program) -> dict[int, tuple[int, int]]:
    """Quotients `u/(c + abs(u))` of a constant or parameter c, as value number -> (u, c): slope `c/(c + abs(u))**2`.

    The rule of quotients subtracts two numbers that are all but the same where `u` is large.
    """
    first, found = len(program.inputs), dict[int, tuple[int, int]]()

    def operation(number: int) -> Operation | None:
        return program.operations[number - first] if number >= first else None

    for number, quotient in enumerate(program.operations, first):
        divisor = operation(quotient.arguments[1]) if quotient.name == "div" else None
        if divisor is None or divisor.name != "add":
            continue
        above = quotient.arguments[0]
        for one, other in (divisor.arguments, divisor.arguments[::-1]):
            constant, size = operation(one), operation(other)
            is_fixed = constant.name == "const" if constant is not None else one >= program.variables
            if is_fixed and size is not None and size.name == "abs" and above in (other, size.arguments[0]):
                found[number] = above, one
    return found


def _quotients_by_hypotenuse(program: Program) -> dict[int, int]:
    """Quotients `u/sqrt(1 + u*u)` as value number -> u: their slope is `1/sqrt(1 + u*u)**3`, for the same reason."""
    first, found = len(program.inputs), dict[int, int]()
    for number, quotient in enumerate(program.operations, first):
        if quotient.name != "div" or quotient.arguments[1] < first:
            continue
        divisor = program.operations[quotient.arguments[1] - first]
        if divisor.name == "hypot1" and divisor.arguments[0] == quotient.arguments[0]:
            found[number] = quotient.arguments[0]
    return found


def _half_powers(program: Program) -> dict[int, tuple[int, int]]:
    """Products that are `u**(k/2)` for an odd k > 2, as value number -> (u, k).

    By the rule of products their slope would be 0*inf where u is 0.
    """
    first, found, powers = len(program.inputs), {}, {}
    for number, operation in enumerate(program.operations, first):
        if operation.name == "sqrt":
            powers[number] = operation.arguments[0], 1
        elif operation.name == "mul":
            for base, halves in _readings(powers, operation.arguments[0]):
                for other, more in _readings(powers, operation.arguments[1]):
                    if base == other:
                        powers[number] = base, halves + more
            if powers.get(number, (0, 0))[1] % 2:
                found[number] = powers[number]
    return found


def _readings(powers: dict[int, tuple[int, int]], number: int) -> tuple[tuple[int, int], ...]:
    """A value as half powers: of itself, and of what it is a half power of."""
    return ((number, 2), powers[number]) if number in powers else ((number, 2),)


def _half_power(base: Value, halves: int) -> Value:
    """`base**(halves/2)` for an odd number of halves."""
    result = call("sqrt", base)
    for _ in range(halves // 2):
        result = result * base
    return result


@lru_cache(maxsize=4096)
def pushforward(program: Program, active: tuple[int, ...]) -> Program:
    """The Jacobian-vector product of a Program: forward mode.

    Each term is that of `backward`, where the tangent of an input stands for the gradient of an output.

    Args:
        program: with any number of outputs.
        active: positions of the inputs that have tangents, ascending.

    Returns:
        a Program with inputs `(*program.inputs, tangents of the active inputs)` and one output, its
        tangent, per output of `program`.
    """
    if len(program.inputs) == len(program.outputs) == 1:
        return backward(program)
    first = len(program.inputs)
    tangents_in = (f"tangent_{program.inputs[position]}" for position in active)
    builder = Emitter((*program.inputs, *tangents_in), False, program.variables)
    tangents = []
    for output in program.outputs:
        slopes = backward(replace(program, outputs=(output,)))
        terms = [
            Value(builder, builder.inline(slopes, (*range(first), first + place))[position])
            for place, position in enumerate(active)
        ]
        tangents.append(sum(terms[1:], terms[0]).number)
    return builder.build(*tangents)


def _terms(name: str, total: Adjoint, y: Value, arguments: list[Value]) -> list[Adjoint | None]:
    """What one operation passes on to its arguments."""
    divisor = total.divisor
    if divisor is not None and name not in _PASSING:
        one = Value(y.builder, y.builder.const(1.0))
        row = GRADIENTS[name](one, y, *arguments)
        return [None if t is None else divided(total, t if isinstance(t, Adjoint) else Adjoint(t)) for t in row]
    terms: list[Adjoint | None] = []
    for term in GRADIENTS[name](total.value, y, *arguments):
        if term is None:
            terms.append(None)
        else:
            value, masks = (term.value, term.masks) if isinstance(term, Adjoint) else (term, ())
            own = term.divisor if isinstance(term, Adjoint) else None
            terms.append(Adjoint(value, (*total.masks, *masks), own if divisor is None else divisor))
    return terms


# Operations whose derivatives are 1, -1 or 0: a divisor passes through them.
_PASSING = frozenset(("add", "sub", "neg", "max", "min", "where"))


def _depends_on_inputs(program: Program) -> list[bool]:
    active = [True] * len(program.inputs)
    for operation in program.operations:
        active.append(any(active[a] for a in operation.arguments))
    return active
