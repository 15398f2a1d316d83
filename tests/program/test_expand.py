"""Macros written out are what they stand for, and an exact Program expands to what its formula says."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from mpmath import mp, mpf

from symact.expr.tree import parse
from symact.program.expand import expand
from symact.program.instructions import MACROS
from symact.program.mpmath_values import MEANING
from symact.program.pipeline import lower
from symact.program.program import Operation, Program, verify
from tests.program.meanings import PAIRS, POINTS, meaning


def computed(program: Program, *arguments: float) -> Any:
    """The output of a Program that back ends run, in mpmath."""
    values = [mpf(argument) for argument in arguments]
    for step in program.operations:
        if step.name == "const":
            values.append(mpf(step.number))
        else:
            values.append(MEANING[step.name](*[values[a] for a in step.arguments]))
    return values[program.output]


def single(name: str, exponent: int = 0) -> Program:
    arity = MACROS[name].arity
    return Program(("a", "b")[:arity], (Operation(name, tuple(range(arity)), exponent),), (arity,))


def close(found: Any, exact: Any) -> bool:
    return bool(abs(found - exact) <= 1e-13 * (1 + abs(exact)))


@pytest.mark.parametrize("name", [name for name in MACROS if name != "ipow"])
def test_an_expansion_is_the_macro(name: str) -> None:
    program = expand(single(name))
    with mp.workprec(400):
        # The arguments of `and` and `or` are conditions, 1 or 0.
        pairs = PAIRS if name == "ne" else list(itertools.product((0.0, 1.0), repeat=2))
        for at in [(x,) for x in POINTS] if MACROS[name].arity == 1 else pairs:
            exact = meaning(name, *at)
            assert exact is None or close(computed(program, *at), exact), at


@pytest.mark.parametrize("exponent", [2, 3, 7, 10, 64])
def test_a_whole_power_is_a_product(exponent: int) -> None:
    program = expand(single("ipow", exponent))
    assert {step.name for step in program.operations} == {"mul"}
    assert computed(program, 1.5) == mpf(1.5) ** exponent


def test_no_back_end_is_given_a_macro() -> None:
    with pytest.raises(ValueError, match="unknown operation 'relu'"):
        verify(single("relu"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x**(3/2)", ["sqrt", "mul"]),
        ("x**0.3", ["const", "pow"]),
        ("where(x != 0 and x < 1, x, 2)", None),
        ("relu(x)", ["const", "max"]),
        ("gelu(x)", ["ndtr", "mul"]),
    ],
)
def test_formulas_expand_to_few_operations(text: str, names: list[str] | None) -> None:
    program = lower(parse(text))
    assert names is None or [step.name for step in program.operations] == names
    assert all(isinstance(step.value, float) for step in program.operations)
