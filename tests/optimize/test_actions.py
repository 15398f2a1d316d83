"""The action space: every sequence that the mask allows is a member, and every member has its sequence."""

from __future__ import annotations

import numpy as np
import pytest

from symact.expr.tree import parse
from symact.optimize.actions import ActionSpace
from symact.optimize.policy import Controller, sample
from symact.program.loading import load_grammar, parse_grammar

FORBIDDING = """
name = "forbidding"
[unary]
exp = "exp(x)"
tanh = "tanh(x)"
[binary]
add = "a + b"
mul = "a*b"
[spaces]
mixed = ["unary(unary(x))", "binary(unary(x), unary(unary(x)))"]
open = ["tree(x)"]
[limits]
max_depth = 4
max_size = 6
forbid = ["exp(exp)", "mul(tanh)"]
"""


@pytest.mark.parametrize(
    ("grammar", "space"), [("aquasurf", "bench"), ("aquasurf", "large"), ("pangaea", "open"), ("pangaea", "start")]
)
def test_every_emitted_sequence_is_a_member_and_reads_back(grammar, space):
    members = load_grammar(grammar).space(space)
    actions = ActionSpace(members)
    for partial in sample(Controller(actions.tokens, 8), actions, 60, np.random.default_rng(0)):
        expression = actions.expression(partial)
        assert expression in members
        again = actions.sequence(expression)
        assert again is not None
        assert (again.tokens, again.parents) == (partial.tokens, partial.parents)
        assert all((a == b).all() for a, b in zip(again.masks, partial.masks, strict=True))


@pytest.mark.parametrize("space", ["mixed", "open"])
def test_limits_hold_and_every_member_can_be_emitted(space):
    members = parse_grammar(FORBIDDING).space(space)
    actions = ActionSpace(members)
    generator = np.random.default_rng(0)
    for _ in range(50):
        partial = actions.sequence(members.sample(generator))
        assert partial is not None
        assert all(mask[token] for mask, token in zip(partial.masks, partial.tokens, strict=True))
    emitted = sample(Controller(actions.tokens, 8), actions, 100, generator)
    assert all(actions.expression(partial) in members for partial in emitted)


def test_an_expression_outside_the_space_has_no_sequence():
    grammar = parse_grammar(FORBIDDING)
    actions = ActionSpace(grammar.space("mixed"))
    assert actions.sequence(parse("exp(exp(x))", grammar)) is None
    assert actions.sequence(parse("exp(tanh(x))", grammar)) is not None


def test_the_first_token_picks_a_shape_where_there_are_several():
    grammar = parse_grammar(FORBIDDING)
    actions = ActionSpace(grammar.space("mixed"))
    assert not actions.begin().started
    first, second = (actions.sequence(parse(text, grammar)) for text in ("exp(tanh(x))", "add(exp(x),exp(tanh(x)))"))
    assert (first.tokens[0], second.tokens[0]) == (1, 2)
    single = ActionSpace(grammar.space("open"))
    assert single.begin().started
