"""Angles in three words: `sin(x**3 - 3*x)` is right for angles up to 7e13, where two words lose digits from 4e6 on.

In: a Program. Out: the same function for float32, in which every angle that is a polynomial of the inputs has three
words, and is brought within half a turn before its sine is taken. Products and sums of words come with what rounding
takes from them, as in `compensation`; so no digit is lost where a large term cancels another. Half as many digits as
an angle has are gone after each of two subtractions of whole turns, which are exact (W. J. Cody and W. Waite, 1980).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from mpmath import mp, mpf

from symact.program.builder import Emitter, Value, call
from symact.program.compensation import BOUND, CIRCULAR, circular, meant, total
from symact.program.program import Operation, Program

# Up to these sizes angles in two and in three words have the digits that their sines need.
TWO_WORDS, THREE_WORDS = 2.0**22, 2.0**46
_ARITHMETIC = frozenset(("const", "add", "sub", "mul", "neg", "abs", "max", "min", "where"))


@dataclass(frozen=True, slots=True)
class _Words:
    """`high + middle + low`, each at most a few units in the last place of the one before; None is 0."""

    high: Value
    middle: Value | None = None
    low: Value | None = None


@dataclass(frozen=True)
class Angles:
    """The angles of a Program that lose digits.

    Attributes:
        program: computes them.
        exact: whether two words hold each without loss, of whatever size it is.
    """

    program: Program
    exact: tuple[bool, ...]


def in_three_words(program: Program) -> Program | None:
    """The same function for float32; None where no angle loses digits that three words hold."""
    return found[0] if (found := _passed(program)) is not None else None


def angles(program: Program) -> Angles | None:
    """The angles that get three words then."""
    return found[1] if (found := _passed(program)) is not None else None


@lru_cache(maxsize=4096)
def _passed(program: Program) -> tuple[Program, Angles] | None:
    if not any(operation.name in CIRCULAR for operation in program.operations):
        return None
    builder = Emitter(program.inputs, False, program.variables)
    words = ThreeWords(program, builder)
    for operation in program.operations:
        if operation.name == "const":
            words.values.append(Value(builder, builder.const(operation.number)))
            continue
        found = words.circular(operation)
        words.values.append(found or call(operation.name, *[words.values[a] for a in operation.arguments]))
    if not words.angles:
        return None
    own = Program(program.inputs, program.operations, tuple(words.angles), variables=program.variables)
    result = builder.build(*[words.values[output].number for output in program.outputs])
    return result, Angles(own, tuple(words.angles.values()))


class ThreeWords:
    """What gives three words to the angles of a Program while the same function is built.

    Args:
        program: the Program.
        builder: of the same inputs, to which steps are added.

    Attributes:
        values: by value number, what the builder computes so far; whoever builds appends each.
        angles: which values are angles that got three words, and whether two hold each of them.
    """

    def __init__(self, program: Program, builder: Emitter):
        self.program, self.builder, self.angles = program, builder, dict[int, bool]()
        self.values = [Value(builder, number) for number in range(len(program.inputs))]
        self._words: dict[int, _Words] = {}
        self._degree = self._degrees()

    def circular(self, operation: Operation) -> Value | None:
        """A sine, or what is made of one, of an angle in three words; None for other operations and angles."""
        if operation.name not in CIRCULAR or self._degree[angle := operation.arguments[0]] < 1:
            return None
        words = self._made(angle)
        if words.middle is None or (self._degree[angle] < 2 and words.low is None):
            return None
        self.angles[angle] = words.low is None
        return circular(operation.name, self.values[angle], *_reduced(words))

    def _degrees(self) -> list[int]:
        """Of every value the degree as a polynomial of the inputs; less than 0 for what is none."""
        found = [1] * len(self.program.inputs)
        for operation in self.program.operations:
            # What is chosen by is a condition, whatever it is made of.
            parts = operation.arguments[1:] if operation.name == "where" else operation.arguments
            parts_degrees = [found[a] for a in parts]
            if operation.name == "const":
                found.append(0 if math.isfinite(operation.number) else -1)
            elif operation.name not in _ARITHMETIC or min(parts_degrees) < 0:
                found.append(-1)
            else:
                found.append(sum(parts_degrees) if operation.name == "mul" else max(parts_degrees))
        return found

    def _made(self, number: int) -> _Words:
        if number not in self._words:
            self._words[number] = self._make(number)
        return self._words[number]

    def _is_bound(self, number: int) -> bool:
        position = number - len(self.program.inputs)
        operation = self.program.operations[position] if position >= 0 else None
        return operation is not None and operation.name == "const" and abs(operation.number) >= BOUND

    def _make(self, number: int) -> _Words:
        position = number - len(self.program.inputs)
        if position < 0:
            return _Words(self.values[number])
        operation = self.program.operations[position]
        if operation.name == "const":
            high, *rest = [word or None for word in _split(operation.number)]
            values = [None if word is None else Value(self.builder, self.builder.const(word)) for word in rest]
            return _Words(Value(self.builder, self.builder.const(high or 0.0)), *values)
        if operation.name == "where":
            condition, first, second = operation.arguments
            return _chosen(self.values[condition], self._made(first), self._made(second))
        if operation.name in ("max", "min"):
            inner = [a for a in operation.arguments if not self._is_bound(a)]
            if len(inner) == 1:
                return self._made(inner[0])
        words = [self._made(a) for a in operation.arguments]
        match operation.name:
            case "neg":
                return _negated(words[0])
            case "abs":
                return _chosen(call("lt", _leading(words[0]), 0.0), _negated(words[0]), words[0])
            case "max":
                return _chosen(call("lt", _leading(_sum(words[0], _negated(words[1]))), 0.0), words[1], words[0])
            case "min":
                return _chosen(call("lt", _leading(_sum(words[0], _negated(words[1]))), 0.0), words[0], words[1])
            case "add":
                return _sum(*words)
            case "sub":
                return _sum(words[0], _negated(words[1]))
        return _product(*words)


@lru_cache(maxsize=4096)
def _split(value: float) -> tuple[float, float, float]:
    """Three numbers of float32 that add up to the number that is meant."""
    with mp.workprec(300):
        left, words = meant(value), []
        for _ in range(3):
            words.append(float(np.float32(float(left))))
            left -= mpf(words[-1])
    return words[0], words[1], words[2]


def _leading(words: _Words) -> Value:
    return words.high if words.middle is None else words.high + words.middle


def _negated(words: _Words) -> _Words:
    middle, low = (None if word is None else -word for word in (words.middle, words.low))
    return _Words(-words.high, middle, low)


def _chosen(condition: Value, first: _Words, second: _Words) -> _Words:
    def choice(one: Value | None, other: Value | None) -> Value | None:
        if one is None and other is None:
            return None
        return call("where", condition, 0.0 if one is None else one, 0.0 if other is None else other)

    high = call("where", condition, first.high, second.high)
    return _Words(high, choice(first.middle, second.middle), choice(first.low, second.low))


def _collected(high: Value, middles: Sequence[Value | None], lows: Sequence[Value | None]) -> _Words:
    """The sum of words of two sizes below the first, of which the larger are added without loss."""
    middle, lost = None, list(lows)
    for word in middles:
        if word is None:
            continue
        if middle is not None:
            lost.append(call("sum_rest", middle, word))
        middle = word if middle is None else middle + word
    return _Words(high, middle, total(lost))


def _sum(a: _Words, b: _Words) -> _Words:
    rest = call("sum_rest", a.high, b.high)
    return _collected(a.high + b.high, [rest, a.middle, b.middle], [a.low, b.low])


def _times(one: Value | None, other: Value | None) -> tuple[Value | None, Value | None]:
    """A product and what rounding takes from it."""
    if one is None or other is None:
        return None, None
    return one * other, call("product_rest", one, other)


def _product(a: _Words, b: _Words) -> _Words:
    high, rest = _times(a.high, b.high)
    assert high is not None
    pairs = [_times(a.high, b.middle), _times(a.middle, b.high)]
    small = [(a.high, b.low), (a.low, b.high), (a.middle, b.middle)]
    lows = [None if one is None or other is None else one * other for one, other in small]
    return _collected(high, [rest, *[product for product, _ in pairs]], [*[lost for _, lost in pairs], *lows])


def _reduced(angle: _Words) -> tuple[Value, Value]:
    """An angle less whole turns, in two words."""
    high, low = _turned(angle.high, [angle.middle], [angle.low], 3)
    high, low = _turned(high, [low], [], 2)
    # Beyond the largest angle nothing is right, but everything stays bounded.
    return high, call("max", call("min", low, 1.0), -1.0)


def _turned(high: Value, middles: list[Value | None], lows: list[Value | None], words: int) -> tuple[Value, Value]:
    """Words of an angle less the turns that the first has, where a turn has so many words."""
    first, second, third = _TURN
    turns = call("floor", high * (1.0 / first) + 0.5)
    left = high - turns * first
    middles = [-call("product_rest", turns, Value(turns.builder, turns.builder.const(first))), *middles]
    product = turns * second
    middles.append(-product)
    if words > 2:
        lost = call("product_rest", turns, Value(turns.builder, turns.builder.const(second)))
        lows = [*lows, -lost, -(turns * third)]
    for word in middles:
        if word is not None:
            lows.append(call("sum_rest", left, word))
            left = left + word
    low = total(lows)
    assert low is not None
    return left, low


with mp.workprec(300):
    _TURN: tuple[float, float, float] = _split(float(2 * mp.pi))
