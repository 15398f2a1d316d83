"""Angles in two words: `sin(30*x)` is right where the rounding of `30*x` alone would be 1e-3.

In: a Program, and for which precision. Out: the same function, in which the angle of a sine, cosine or tangent that is
a polynomial of the inputs comes with what rounding took from it: `product_rest` and `sum_rest` are exact, and constants
bring what float32, or float64, cannot hold of them. A multiple of pi by a whole number (or that by a power of two)
loses its whole turns first, which is exact: `sin(pi*x)` is 0 at 1e30. Derivatives are taken before this, since a rest
has none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from mpmath import mp, mpf

from symact.program.builder import Emitter, Value, call
from symact.program.program import Program

CIRCULAR = frozenset(("sin", "cos", "tan", "sinc", "sinc_grad"))
# A bound that large is no part of the angle but of its range.
BOUND = 1e30


def has_angles(program: Program) -> bool:
    """Whether a Program takes the sine of anything, or its kin."""
    return any(operation.name in CIRCULAR for operation in program.operations)


def compensated(program: Program, double: bool) -> Program:
    """The same function for float64, or else for float32, with its angles in two words; the same object without any."""
    if not has_angles(program):
        return program
    return _in_two_words(program, double, False) or program


def with_exact_sums(program: Program) -> Program:
    """The same for float32, in which sums of products of the inputs are rounded once before anything is made of them.

    The root, or a power below 1, of `alpha*x + s` has few digits beside its zero where that is rounded twice.
    """
    return _in_two_words(program, False, True) or program


@lru_cache(maxsize=8192)
def _in_two_words(program: Program, double: bool, sums: bool) -> Program | None:
    compensation = _Compensation(program, double, sums)
    return compensation.result() if compensation.used else None


class _Compensation:
    """One pass over a Program.

    Attributes:
        used: whether any angle, or sum, has a rest.
    """

    def __init__(self, program: Program, double: bool, sums: bool):
        self.program, self.double, self.sums, self.used = program, double, sums, False
        self.builder = Emitter(program.inputs, False, program.variables)
        self.values = [Value(self.builder, number) for number in range(len(program.inputs))]
        self._rests: dict[int, Value | None] = {}
        self._polynomial = self._polynomials()
        for number, operation in enumerate(program.operations, len(program.inputs)):
            self.values.append(self._value(number, operation.name))

    def result(self) -> Program:
        """The Program."""
        return self.builder.build(*[self.values[output].number for output in self.program.outputs])

    def _arguments(self, number: int) -> tuple[int, ...]:
        return self.program.operations[number - len(self.program.inputs)].arguments

    def _name(self, number: int) -> str:
        position = number - len(self.program.inputs)
        return self.program.operations[position].name if position >= 0 else ""

    def _constant(self, number: int) -> float | None:
        position = number - len(self.program.inputs)
        if position < 0 or self.program.operations[position].name != "const":
            return None
        return self.program.operations[position].number

    def _polynomials(self) -> list[bool]:
        """Which values are made of inputs and constants by arithmetic alone."""
        found = [True] * len(self.program.inputs)
        for operation in self.program.operations:
            made = operation.name in ("const", "add", "sub", "mul", "neg", "abs", "max", "min")
            found.append(made and all(found[a] for a in operation.arguments))
            if operation.name in ("max", "min") and found[-1]:
                bounds = [self._constant(a) for a in operation.arguments]
                found[-1] = any(b is not None and abs(b) >= BOUND for b in bounds)
        return found

    def _value(self, number: int, name: str) -> Value:
        constant = self._constant(number)
        if constant is not None:
            return Value(self.builder, self.builder.const(constant))
        arguments = [self.values[a] for a in self._arguments(number)]
        if name not in CIRCULAR:
            if self.sums and not self._polynomial[number]:
                arguments = [self._whole(a) for a in self._arguments(number)]
            return call(name, *arguments)
        turned, rest = self._turned(self._arguments(number)[0])
        if rest is None:
            return call(name, *arguments)
        self.used = True
        return circular(name, arguments[0], turned, rest)

    def _turned(self, number: int) -> tuple[Value, Value | None]:
        """A value but for whole turns, and what rounding takes from that."""
        name, arguments = self._name(number), self._arguments(number) if self._name(number) else ()
        if not self._polynomial[number]:
            return self.values[number], None
        match name:
            case "neg":
                value, rest = self._turned(arguments[0])
                return -value, None if rest is None else -rest
            case "max" | "min":
                return self._turned(next(a for a in arguments if self._constant(a) is None))
            case "add" | "sub":
                (first, one), (second, other) = map(self._turned, arguments)
                if name == "sub":
                    second, other = -second, None if other is None else -other
                return first + second, total([call("sum_rest", first, second), one, other])
            case "mul":
                for constant, factor in (arguments, arguments[::-1]):
                    known = self._constant(constant)
                    turn = None if known is None else _turn(known)
                    if turn is not None:
                        value = self.values[factor]
                        value = value - turn * call("floor", value * (1.0 / turn) + 0.5)
                        return self._times(constant, factor, value)
        return self.values[number], self._rest(number)

    def _times(self, constant: int, factor: int, value: Value) -> tuple[Value, Value | None]:
        """A constant times a value that stands for a factor, and what rounding takes from that."""
        number, rest, left = self.values[constant], self._rest(constant), self._rest(factor)
        parts = [None if rest is None else rest * value, None if left is None else left * number]
        return number * value, total([call("product_rest", number, value), *parts])

    def _whole(self, number: int) -> Value:
        """A value with what rounding took from it, where that is a sum."""
        rest = self._rest(number) if self._polynomial[number] and self._has_sum(number) else None
        if rest is None:
            return self.values[number]
        self.used = True
        # Beyond the range of float32 a rest is a difference of infinities.
        bounded = call("lt", call("abs", rest), math.inf)
        return self.values[number] + call("where", bounded, rest, 0.0)

    def _has_sum(self, number: int) -> bool:
        name = self._name(number)
        return name in ("add", "sub") or (bool(name) and any(map(self._has_sum, self._arguments(number))))

    def _rest(self, number: int) -> Value | None:
        """What rounding took from a value; None for nothing, and where the value is no polynomial."""
        if not self._polynomial[number]:
            return None
        if number not in self._rests:
            self._rests[number] = self._made(number)
        return self._rests[number]

    def _made(self, number: int) -> Value | None:
        constant, name = self._constant(number), self._name(number)
        if constant is not None:
            left = remainder(constant, self.double)
            return Value(self.builder, self.builder.const(left)) if left else None
        if not name:
            return None
        arguments = self._arguments(number)
        values, rests = [self.values[a] for a in arguments], [self._rest(a) for a in arguments]
        match name:
            case "neg":
                return None if rests[0] is None else -rests[0]
            case "abs":
                return None if rests[0] is None else call("where", call("lt", values[0], 0.0), -rests[0], rests[0])
            case "max" | "min":
                return next((r for r, a in zip(rests, arguments, strict=True) if self._constant(a) is None), None)
            case "add" | "sub":
                second, other = values[1], rests[1]
                if name == "sub":
                    second, other = -second, None if other is None else -other
                return total([call("sum_rest", values[0], second), rests[0], other])
        exact = any(c is not None and _power_of_two(c) for c in map(self._constant, arguments))
        own = None if exact else call("product_rest", *values)
        return total([own, *(None if r is None else r * v for r, v in zip(rests, values[::-1], strict=True))])


def circular(name: str, angle: Value, turned: Value, rest: Value) -> Value:
    """A sine, or what is made of one, of an angle of which two words are given, but for whole turns."""
    if name in ("sin", "cos"):
        return call(f"{name}_sum", turned, rest)
    sine, cosine = call("sin_sum", turned, rest), call("cos_sum", turned, rest)
    if name == "tan":
        return sine / cosine
    small = call("lt", call("abs", angle), 2.0)
    near = call(name, call("where", small, angle, 0.0))
    divisor = call("where", small, 2.0, angle)
    far = sine / divisor
    return call("where", small, near, far if name == "sinc" else (cosine - far) / divisor)


def total(parts: Sequence[Value | None]) -> Value | None:
    """The sum of what there is; None for nothing."""
    total: Value | None = None
    for part in parts:
        if part is not None:
            total = part if total is None else total + part
    return total


@lru_cache(maxsize=4096)
def _turn(constant: float) -> float | None:
    """The period of `sin(constant*u)` in `u`, where that is a power of two; else None."""
    ratio = constant / math.pi
    if not 1e-6 < abs(ratio) < 1e6:
        return None
    near = Fraction(ratio).limit_denominator(1024)
    if not _same(float(near), ratio) or not _power_of_two(float(near.denominator)):
        return None
    whole = near.numerator
    return float(2 * near.denominator / (whole & -whole))


def _power_of_two(value: float) -> bool:
    return math.isfinite(value) and abs(math.frexp(value)[0]) == 0.5


@lru_cache(maxsize=4096)
def remainder(value: float, double: bool) -> float:
    """What a precision does not hold of the number that is meant."""
    if not math.isfinite(value) or not 1e-30 < abs(value) < 1e30:
        return 0.0
    held = value if double else float(np.float32(value))
    with mp.workprec(300):
        return float(meant(value) - mpf(held))


def meant(value: float) -> Any:
    """A short decimal, also of degrees, a ratio, a part of pi, a root of those, or else just the number."""
    text = repr(value)
    if len(text) <= 13:
        return _quotient(Fraction(text))
    degrees = repr(value * 180.0)
    if len(degrees) <= 13 and _same(float(degrees) / 180.0, value):
        return _quotient(Fraction(degrees) / 180)
    for unit, most in ((mpf(1), 1000), (mp.pi, 64)):
        ratio = Fraction(float(value / unit)).limit_denominator(most)
        if ratio and _same(float(_quotient(ratio) * unit), value):
            return _quotient(ratio) * unit
    for unit in (mpf(1), mp.pi, mp.pi**2, 1 / mp.pi):
        ratio = Fraction(float(mpf(value) ** 2 / unit)).limit_denominator(64)
        root = mp.sqrt(_quotient(ratio) * unit) * (1 if value > 0 else -1)
        if ratio and _same(float(root), value):
            return root
    return mpf(value)


def _quotient(ratio: Fraction) -> Any:
    return mpf(ratio.numerator) / ratio.denominator


def _same(a: float, b: float) -> bool:
    """Equal but for the rounding of a product of constants."""
    return abs(a - b) <= 4e-16 * abs(b)
