"""Double-word arithmetic: a Program whose every value comes with what rounding took from it.

Sums, products, quotients and square roots are right to twice the digits (Dekker 1971; Joldes, Muller & Popescu 2017), a
function of such a value is corrected by its derivative, and constants bring what float32 does not hold of them. So
differences of nearly equal numbers, exponentials of large products and comparisons with 0.1 come out right in float32,
for about ten times the operations. What a function itself rounds stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

from symact.program.builder import Emitter, Value, call
from symact.program.compensation import remainder
from symact.program.gradient import backward
from symact.program.instructions import INSTRUCTIONS
from symact.program.long_angles import ThreeWords
from symact.program.program import Operation, Program

# A rest is less than this; what is not comes of steps that overflowed, or divided by 0.
_LARGE = 1e38


@dataclass(frozen=True, slots=True)
class Word:
    """`value + rest`; a rest of None is 0."""

    value: Value
    rest: Value | None = None


def _total(*parts: Value | None) -> Value | None:
    total: Value | None = None
    for part in parts:
        if part is not None:
            total = part if total is None else total + part
    return total


def _times(rest: Value | None, factor: Value) -> Value | None:
    return None if rest is None else rest * factor


def _negated(rest: Value | None) -> Value | None:
    return None if rest is None else -rest


def _chosen(condition: Value, first: Value | None, second: Value | None) -> Value | None:
    if first is None and second is None:
        return None
    return call("where", condition, 0.0 if first is None else first, 0.0 if second is None else second)


def _word(value: Value, *rests: Value | None) -> Word:
    rest = _total(*rests)
    if rest is None:
        return Word(value)
    return Word(value, call("where", call("lt", call("abs", rest), _LARGE), rest, 0.0))


def _sum(a: Word, b: Word) -> Word:
    return _word(a.value + b.value, call("sum_rest", a.value, b.value), a.rest, b.rest)


def _difference(a: Word, b: Word) -> Word:
    return _sum(a, Word(-b.value, _negated(b.rest)))


def _product(a: Word, b: Word) -> Word:
    own = call("product_rest", a.value, b.value)
    return _word(a.value * b.value, own, _times(a.rest, b.value), _times(b.rest, a.value))


def _quotient(a: Word, b: Word) -> Word:
    quotient = a.value / b.value
    left = (a.value - quotient * b.value) - call("product_rest", quotient, b.value)
    left = _total(left, a.rest, _negated(_times(b.rest, quotient))) or left
    return _word(quotient, left / b.value)


def _root(a: Word) -> Word:
    root = call("sqrt", a.value)
    left = _total((a.value - root * root) - call("product_rest", root, root), a.rest)
    assert left is not None
    return _word(root, left / (2.0 * root))


def _hypotenuse(a: Word) -> Word:
    """sqrt(1 + a*a), without a square of its own."""
    size = _absolute(a)
    root = Word(call("hypot1", a.value))
    left = _difference(Word(root.value * 0.0 + 1.0), _product(_difference(root, size), _sum(root, size)))
    return _word(root.value, (_total(left.value, left.rest) or left.value) / (2.0 * root.value))


def _absolute(a: Word) -> Word:
    rest = None if a.rest is None else call("where", call("lt", a.value, 0.0), -a.rest, a.rest)
    return Word(call("abs", a.value), rest)


def _comparison(name: str) -> Callable[[Word, Word], Word]:
    def row(a: Word, b: Word) -> Word:
        if a.rest is None and b.rest is None:
            return Word(call(name, a.value, b.value))
        difference = _total(a.value - b.value, a.rest, _negated(b.rest))
        assert difference is not None
        return Word(call(name, difference, 0.0))

    return row


def _extreme(name: str) -> Callable[[Word, Word], Word]:
    def row(a: Word, b: Word) -> Word:
        value = call(name, a.value, b.value)
        if a.rest is None and b.rest is None:
            return Word(value)
        less = _comparison("lt")(a, b).value
        return Word(value, _chosen(less, *((b.rest, a.rest) if name == "max" else (a.rest, b.rest))))

    return row


def _where(condition: Word, a: Word, b: Word) -> Word:
    value = call("where", condition.value, a.value, b.value)
    return Word(value, _chosen(condition.value, a.rest, b.rest))


def _circular(name: str) -> Callable[[Word], Word]:
    def row(a: Word) -> Word:
        return Word(call(name, a.value) if a.rest is None else call(f"{name}_sum", a.value, a.rest))

    return row


def _tangent(a: Word) -> Word:
    if a.rest is None:
        return Word(call("tan", a.value))
    return Word(call("sin_sum", a.value, a.rest) / call("cos_sum", a.value, a.rest))


_ROWS: dict[str, Callable[..., Word]] = {
    "add": _sum,
    "sub": _difference,
    "mul": _product,
    "div": _quotient,
    "neg": lambda a: Word(-a.value, _negated(a.rest)),
    "abs": _absolute,
    "max": _extreme("max"),
    "min": _extreme("min"),
    "lt": _comparison("lt"),
    "le": _comparison("le"),
    "eq": _comparison("eq"),
    "where": _where,
    "sqrt": _root,
    "hypot1": _hypotenuse,
    "sin": _circular("sin"),
    "cos": _circular("cos"),
    "tan": _tangent,
}


@cache
def _slopes(name: str) -> Program:
    """The derivatives of an instruction, times `grad`."""
    arity = INSTRUCTIONS[name].arity
    inputs = ("x", "y")[:arity]
    return backward(Program(inputs, (Operation(name, tuple(range(arity))),), (arity,), variables=arity))


def _function(name: str, *arguments: Word) -> Word:
    """Corrected by its derivatives, times what its arguments lack."""
    values = [a.value for a in arguments]
    value = call(name, *values)
    if INSTRUCTIONS[name].chooses or all(a.rest is None for a in arguments):
        return Word(value)
    builder = value.builder
    one = builder.const(1.0)
    found = builder.inline(_slopes(name), (*[v.number for v in values], one))
    rests: list[Value | None] = []
    for slope, argument in zip(found, arguments, strict=True):
        if argument.rest is not None:
            correction = Value(builder, slope) * argument.rest
            # Where a slope is no number, as that of a root of 0 is.
            usable = call("lt", call("abs", correction), 0.01 * call("abs", value) + 0.01)
            rests.append(call("where", usable, correction, 0.0))
    return _word(value, *rests)


@lru_cache(maxsize=4096)
def doubled(program: Program, double: bool = False, long_angles: bool = False) -> Program:
    """The same function for float64, or else for float32, in double-word arithmetic.

    Args:
        program: of plain steps.
        double: whether for float64.
        long_angles: whether angles that are polynomials of the inputs get three words.
    """
    builder = Emitter(program.inputs, False, program.variables)
    words = [Word(value) for value in builder.inputs_as_values()]
    operations = dict(enumerate(program.operations, len(program.inputs)))
    longer = ThreeWords(program, builder) if long_angles else None
    for operation in program.operations:
        found = longer.circular(operation) if longer is not None else None
        words.append(Word(found) if found is not None else _step(operation, words, operations, double))
        if longer is not None:
            longer.values.append(words[-1].value)
    outputs = [_total(words[output].value, words[output].rest) for output in program.outputs]
    return builder.build(*[output.number for output in outputs if output is not None])


def _step(operation: Operation, words: list[Word], operations: dict[int, Operation], double: bool) -> Word:
    builder = words[0].value.builder
    if operation.name == "const":
        left = remainder(operation.number, double)
        rest = Value(builder, builder.const(left)) if left else None
        return Word(Value(builder, builder.const(operation.number)), rest)
    arguments = [words[a] for a in operation.arguments]
    product = operations.get(operation.arguments[0])
    if operation.name == "div" and product is not None and product.name == "mul":
        # x*x/sqrt(1 + x*x): the product may overflow, its factor divided does not.
        first, second = (words[a] for a in product.arguments)
        return _product(first, _quotient(second, arguments[1]))
    row = _ROWS.get(operation.name)
    return row(*arguments) if row is not None else _function(operation.name, *arguments)
