"""When a rewrite applies: conditions on what its variables stand for, beyond the pattern.

In: the Program under construction and variable -> value number. Out: whether the row may be used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from symact.program.patterns import Values

Condition: TypeAlias = Callable[[Values, dict[str, int]], bool]

# Instructions that are not defined everywhere.
_PARTIAL = frozenset(("log", "log1p", "sqrt", "pow", "div", "tan"))


def _number(values: Values, constant: int) -> float:
    """The number that a `c` or `d` of a pattern stands for."""
    number = values.number(constant)
    assert number is not None
    return number


def invertible(values: Values, found: dict[str, int]) -> bool:
    """1/c is a float64 of ordinary size."""
    return 1e-30 < abs(_number(values, found["c"])) < 1e30


def apart(values: Values, found: dict[str, int]) -> bool:
    """u and v are two values."""
    return found["u"] != found["v"]


def huge(values: Values, found: dict[str, int]) -> bool:
    """c is so large that a product with it overflows before a sum does, and d about as large."""
    c, d = _number(values, found["c"]), _number(values, found["d"])
    return abs(c) > 1e100 and 1e-10 < abs(d / c) < 1e10


def positive(values: Values, found: dict[str, int]) -> bool:
    """c is above zero."""
    return _number(values, found["c"]) > 0


def descending(values: Values, found: dict[str, int]) -> bool:
    """c is above d."""
    return _number(values, found["c"]) > _number(values, found["d"])


def ascending(values: Values, found: dict[str, int]) -> bool:
    """c is below d."""
    return _number(values, found["c"]) < _number(values, found["d"])


def small_powers(values: Values, found: dict[str, int]) -> bool:
    """c, and d where there is one, are exponents above zero, of ordinary size."""
    return all(0 < _number(values, found[name]) <= 64 for name in "cd" if name in found)


def complement(values: Values, found: dict[str, int]) -> bool:
    """c and d are positive and make 1."""
    c, d = _number(values, found["c"]), _number(values, found["d"])
    return c > 0 and d > 0 and c + d == 1


def square(values: Values, found: dict[str, int]) -> bool:
    """c = d*d up to rounding."""
    c, d = _number(values, found["c"]), _number(values, found["d"])
    return abs(c - d * d) <= 4e-16 * abs(c)


def near(values: Values, found: dict[str, int]) -> bool:
    """c and d lie well within the bound that the row sets."""
    return max(abs(_number(values, found[name])) for name in "cd") < 1e3 and unbounded(values, found)


def total(values: Values, found: dict[str, int]) -> bool:
    """u is defined everywhere, so that nothing is defined anew where it cancels."""
    stack, seen = [found["u"]], set()
    while stack:
        number = stack.pop()
        operation = values.operation(number)
        if operation is None or number in seen:
            continue
        if operation.name in _PARTIAL:
            return False
        seen.add(number)
        stack.extend(operation.arguments)
    return True


def of_parameters(*names: str) -> Condition:
    """These are made of parameters and constants alone, so that they are computed once and without an overflow of x."""

    def holds(values: Values, found: dict[str, int]) -> bool:
        stack, seen = [found[name] for name in names], set()
        while stack:
            number = stack.pop()
            operation = values.operation(number)
            if operation is None and not values.is_parameter(number):
                return False
            if operation is not None and number not in seen:
                seen.add(number)
                stack.extend(operation.arguments)
        return all(values.number(found[name]) is None for name in names)

    return holds


def unclipped(values: Values, found: dict[str, int]) -> bool:
    """u is not minus a max, which the row itself emits."""
    operation = values.operation(found["u"])
    if operation is None or operation.name != "neg":
        return True
    inner = values.operation(operation.arguments[0])
    return inner is None or inner.name != "max"


def half_turn(values: Values, found: dict[str, int]) -> bool:
    """d = c*pi/2 up to rounding."""
    return _multiple(_number(values, found["d"]), _number(values, found["c"]) * math.pi / 2)


def minus_half_turn(values: Values, found: dict[str, int]) -> bool:
    """d = -c*pi/2 up to rounding."""
    return _multiple(_number(values, found["d"]), -_number(values, found["c"]) * math.pi / 2)


def inverse(values: Values, found: dict[str, int]) -> bool:
    """c*d = 1 up to rounding."""
    return _multiple(_number(values, found["c"]) * _number(values, found["d"]), 1.0)


def opposite(values: Values, found: dict[str, int]) -> bool:
    """d = -c."""
    return _number(values, found["d"]) == -_number(values, found["c"])


def _multiple(a: float, b: float) -> bool:
    return abs(a - b) <= 8e-16 * abs(b)


def negative_square(values: Values, found: dict[str, int]) -> bool:
    """-c has a root that is exact in float32."""
    c = _number(values, found["c"])
    if not c < 0 or math.isinf(c):
        return False
    root = math.sqrt(-c)
    return root * root == -c and math.frexp(root)[0] * 2**24 % 1 == 0


def saturating_factor(values: Values, found: dict[str, int]) -> bool:
    """c is no tiny number, so that c*exp(80) is large, and u not clipped yet."""
    return abs(_number(values, found["c"])) > 1e-4 and unbounded(values, found)


def falling_factor(values: Values, found: dict[str, int]) -> bool:
    """The same, and c is negative."""
    return _number(values, found["c"]) < -1e-4 and unbounded(values, found)


def unbounded(values: Values, found: dict[str, int]) -> bool:
    """u is not the result of the row itself, which puts a max or min there."""
    operation = values.operation(found["u"])
    return operation is None or operation.name not in ("max", "min")
