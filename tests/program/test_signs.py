"""What is known of signs and domains holds wherever it is looked at."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from symact.equivalence.numeric.float64 import FLOAT64, Saturation, run
from symact.program import signs
from symact.program.loading import load_grammar
from symact.program.pipeline import exact_program
from symact.program.program import Operation, Program
from symact.program.signs import ABOVE, BELOW, DEFINED, NONZERO

# Functions of x that have every combination of flags that a function can have.
X = np.concatenate([-np.geomspace(1e-3, 6, 40)[::-1], np.geomspace(1.1e-3, 6, 41)])
SAMPLES = {
    DEFINED | NONZERO: [X, np.sin(X) + 0.1 * X, X**3, 3 * X],
    DEFINED: [np.where(X > 1, X - 1, np.where(X < -1, X + 1, 0.0))],
    DEFINED | ABOVE: [np.maximum(X, 0.0), np.maximum(X - 2, 0)],
    DEFINED | ABOVE | NONZERO: [np.exp(X), X**2, np.full_like(X, 2.0), np.abs(X)],
    DEFINED | BELOW: [np.minimum(X, 0.0)],
    DEFINED | BELOW | NONZERO: [-np.exp(X), -(X**2), np.full_like(X, -0.5)],
    DEFINED | ABOVE | BELOW: [np.zeros_like(X)],
    NONZERO: [np.where(X > 0, np.log(np.abs(X)), np.nan)],
    ABOVE: [np.where(X > 0, np.maximum(X - 1, 0), np.nan)],
    ABOVE | NONZERO: [np.where(X > 0, np.sqrt(np.abs(X)), np.nan)],
    BELOW: [np.where(X < 0, np.minimum(X + 1, 0), np.nan)],
    BELOW | NONZERO: [np.where(X < 0, X, np.nan)],
    0: [np.where(X > -1, np.maximum(X, 0) - np.maximum(X - 2, 0) * 3, np.nan)],
}


def _holds(flags: int, values: np.ndarray) -> bool:
    known = values[~np.isnan(values)]
    return (
        (not flags & DEFINED or len(known) == len(values))
        and (not flags & ABOVE or bool((known >= 0).all()))
        and (not flags & BELOW or bool((known <= 0).all()))
        and (not flags & NONZERO or bool((known != 0).all()))
    )


def test_the_samples_are_what_they_are_said_to_be() -> None:
    assert all(_holds(flags, values) for flags, sample in SAMPLES.items() for values in sample)


@pytest.mark.parametrize("name", [name for name in FLOAT64 if name != "where"])
def test_a_row_of_the_table_promises_nothing_that_fails(name: str) -> None:
    arity = 2 if name in signs._BINARY else 1
    program = Program(("a", "b")[:arity], (Operation(name, tuple(range(arity))),), (arity,))
    bounds = Saturation(len(X), doubled=False)
    with np.errstate(all="ignore"):
        for flags in itertools.product(SAMPLES, repeat=arity):
            found = int(signs.of_result(program, [np.array([f], np.uint8) for f in flags])[0])
            for values in itertools.product(*[SAMPLES[f] for f in flags]):
                assert _holds(found, run(program, [v[None] for v in values], bounds)[0]), (flags, found)


@pytest.mark.parametrize("exponent", [2, 3, 4, 5])
def test_whole_powers(exponent: int) -> None:
    program = Program(("a",), (Operation("ipow", (0,), exponent),), (1,))
    for flags, sample in SAMPLES.items():
        found = int(signs.of_result(program, [np.array([flags], np.uint8)])[0])
        assert all(_holds(found, values**exponent) for values in sample)


def test_a_choice_is_what_both_branches_are() -> None:
    program = Program(("a", "b", "c"), (Operation("where", (0, 1, 2)),), (3,))
    bounds = Saturation(len(X), doubled=False)
    for flags in itertools.product(SAMPLES, repeat=3):
        found = int(signs.of_result(program, [np.array([f], np.uint8) for f in flags])[0])
        for values in itertools.product(*[SAMPLES[f] for f in flags]):
            assert _holds(found, run(program, [v[None] for v in values], bounds)[0])


@pytest.mark.parametrize("name", ["aquasurf", "pangaea"])
def test_facts_of_nested_operators_hold(name: str) -> None:
    grammar = load_grammar(name)
    bounds = Saturation(len(X), doubled=False)
    unary = [o for o in grammar.of_kind("unary") if not o.parameters]
    level = [(np.uint8(signs.OF_VARIABLE), X)]
    with np.errstate(all="ignore"):
        for _ in range(2):
            level = [
                (
                    signs.of_result(exact_program(o), [np.array([f])])[0],
                    np.broadcast_to(run(exact_program(o), [v[None]], bounds), (1, len(X)))[0],
                )
                for o in unary
                for f, v in level
            ]
            assert all(_holds(int(f), v) for f, v in level)


def test_what_matters_to_the_rules_is_found() -> None:
    def of(text: str) -> int:
        from symact.expr.tree import parse

        return int(signs.of_result(exact_program(parse(text).operator), [np.array([signs.OF_VARIABLE], np.uint8)])[0])

    assert of("exp(x)") == DEFINED | ABOVE | NONZERO
    assert of("-cosh(x)") == DEFINED | BELOW | NONZERO
    assert of("1/x") == DEFINED | NONZERO
    assert of("1/relu(x)") & DEFINED == 0
    assert of("x/(1 + abs(x))") == DEFINED | NONZERO
    assert of("log(1 + x**2)") & DEFINED
    assert of("log(x)") & DEFINED == 0
    assert of("relu(-exp(x))") == DEFINED | ABOVE | BELOW
