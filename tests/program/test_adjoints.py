"""Adjoints are summed so that what is not taken is never multiplied, and a divisor meets a derivative first."""

from __future__ import annotations

import math

from symact.program.adjoints import Adjoint, applied, divided, masked, scaled, summed
from symact.program.builder import Emitter, Value, call
from symact.program.mpmath_values import at
from symact.program.program import Program


def emitter() -> tuple[Emitter, Value, Value]:
    builder = Emitter(("x", "g"))
    x, g = builder.inputs_as_values()
    return builder, x, g


def total(builder: Emitter, *terms: Adjoint) -> Program:
    return builder.build(applied(builder, summed(builder, list(terms), whole=False)).number)


def test_a_masked_adjoint_is_zero_where_its_condition_fails_even_if_it_is_infinite_there() -> None:
    builder, x, g = emitter()
    program = total(builder, masked(g / x, call("lt", 0.0, x)))
    assert at(program, 2.0, 3.0) == [1.5]
    assert at(program, 0.0, 3.0) == [0.0]


def test_two_branches_of_one_condition_are_one_choice() -> None:
    builder, x, g = emitter()
    condition = call("lt", 0.0, x)
    program = total(builder, masked(g * 2.0, condition), masked(g * 3.0, condition, holds=False))
    assert at(program, 1.0, 1.0) == [2.0]
    assert at(program, -1.0, 1.0) == [3.0]


def test_a_mask_that_all_terms_share_stays_on_the_sum() -> None:
    builder, x, g = emitter()
    condition = call("lt", 0.0, x)
    both = summed(builder, [masked(g, condition), masked(g * x, condition)])
    assert both.masks == ((condition.number, True),)
    assert at(builder.build(applied(builder, both).number), 3.0, 1.0) == [4.0]


def test_a_divisor_waits_for_a_derivative_and_meets_it_before_the_product() -> None:
    builder, x, g = emitter()
    carried = Adjoint(g, (), x)
    program = builder.build(applied(builder, scaled(carried, call("sinh", x))).number)
    assert [o.name for o in program.operations] == ["sinh", "div", "mul"]
    # With another divisor both are divided.
    assert at(builder.build(applied(builder, divided(carried, Adjoint(x, (), g))).number), 3.0, 2.0) == [1.0]


def test_terms_with_one_divisor_are_added_first_and_others_are_not() -> None:
    builder, x, g = emitter()
    assert summed(builder, [Adjoint(g, (), x), Adjoint(g * 2.0, (), x)]).divisor is not None
    mixed = summed(builder, [Adjoint(g, (), x), Adjoint(g)])
    assert mixed.divisor is None
    assert math.isclose(at(builder.build(applied(builder, mixed).number), 4.0, 2.0)[0], 2.5)
